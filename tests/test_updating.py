"""Detectors that go on learning."""

import copy
import pickle
import sys

import numpy as np
import pytest
from conftest import DETECTORS, QUICK, make_waves
from numpy.testing import assert_array_equal

from skmemto import MEMTODetector, StreamingDetector
from skmemto._training import Trainer
from skmemto.datasets import make_anomalous_series

OLD, NEW = make_waves(), make_waves(300, seed=1)


@pytest.fixture
def detector(make_detector):
    return make_detector().fit(OLD)


def state_of(detector):
    state = {k: v for k, v in detector.__getstate__().items() if k.endswith("_")}
    return pickle.dumps(state)


def test_first_call_is_a_fit(make_detector):
    first, fitted = make_detector().partial_fit(OLD), make_detector().fit(OLD)
    assert_array_equal(first.score_samples(NEW), fitted.score_samples(NEW))
    assert first.offset_ == fitted.offset_


def test_takes_in_what_is_new(detector):
    before = copy.deepcopy(detector)
    moved = NEW + OLD.std(axis=0)
    assert detector.partial_fit(moved) is detector
    mean = np.concatenate([OLD, moved]).mean(axis=0)
    np.testing.assert_allclose(detector.scaler_.mean_, mean)
    assert detector.n_iter_ == before.n_iter_ + 1 == len(detector.loss_curve_)
    assert detector.window_size_ == before.window_size_
    assert len(detector.reservoir_.X) == len(OLD) + len(NEW)
    assert detector.score(moved) > before.score(moved)


def test_is_the_same_each_time_and_after_a_round_trip(detector):
    twin = pickle.loads(pickle.dumps(detector))
    again = copy.deepcopy(detector)
    for one in (detector, twin, again):
        one.partial_fit(NEW).partial_fit(NEW[:100])
    for one in (twin, again):
        assert_array_equal(one.score_samples(OLD), detector.score_samples(OLD))
        assert one.offset_ == detector.offset_


def test_groups_are_series_of_their_own(make_detector):
    seen = []

    def training_blocks(self, *args):
        seen.append(self.train_blocks)
        return run(self, *args)

    run = Trainer.run
    detector = make_detector().fit(OLD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "run", training_blocks)
        detector.partial_fit(NEW, groups=np.repeat([0, 1], 150))
    ((block,),) = seen
    starts = block.starts
    for border in (len(OLD), len(OLD) + 150):
        assert not ((starts < border) & (starts + block.length > border)).any()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (NEW[:, :2], "X has 2 features"),
        (np.full_like(NEW, np.inf), "contains infinity"),
        (np.array([["a", "b", "c"]]), "could not convert"),
    ],
)
def test_bad_rows_leave_it_as_it_was(detector, bad, message):
    before = state_of(detector)
    with pytest.raises(ValueError, match=message):
        detector.partial_fit(bad)
    assert state_of(detector) == before


def test_an_interruption_leaves_it_as_it_was(detector, monkeypatch):
    before = state_of(detector)

    def interrupted(self, batches, optimizer):
        mean_loss(self, batches, optimizer)
        raise KeyboardInterrupt

    mean_loss = Trainer._mean_loss
    monkeypatch.setattr(Trainer, "_mean_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        detector.partial_fit(NEW)
    assert state_of(detector) == before


def test_without_a_reservoir_new_rows_alone_count(make_detector):
    detector = make_detector(reservoir_size=0).fit(OLD)
    assert detector.reservoir_.X.size == 0
    detector.partial_fit(NEW)
    np.testing.assert_allclose(detector.scaler_.mean_, NEW.mean(axis=0))


def test_levels_that_were_normal_stay_so(make_detector):
    restless = make_waves(400)
    restless[200:260] += 0.3 * restless.std(axis=0) * np.sin(np.arange(60))[:, None]
    detector = make_detector(reservoir_size=0).fit(restless)
    before = detector.normal_.levels.highest.copy()
    detector.partial_fit(NEW)
    assert (detector.normal_.levels.highest >= before).all()


@pytest.mark.parametrize("n_rows", [1, 2, 10])
def test_takes_in_few_rows(detector, n_rows):
    detector.partial_fit(NEW[:n_rows])
    assert np.isfinite(detector.score_samples(NEW)).all()
    assert len(detector.reservoir_.X) == len(OLD) + n_rows


def test_reports_to_who_asks_for_it(make_detector, capsys):
    detector = make_detector(verbose=1).fit(OLD)
    capsys.readouterr()
    detector.partial_fit(NEW)
    out = capsys.readouterr().out
    assert out.startswith(f"[{type(detector).__name__}] partial_fit: loss 0.")


def test_a_stream_that_has_begun_goes_on_as_it_was(make_detector):
    detector = make_detector(lookahead=0).fit(OLD)
    expected = detector.score_samples(NEW)
    stream = StreamingDetector(detector)
    first = stream.update(NEW[:100]).scores
    detector.partial_fit(NEW + OLD.std(axis=0))
    later = stream.update(NEW[100:]).scores
    np.testing.assert_allclose(np.concatenate([first, later]), expected, rtol=1e-9)


# ---------------------------------------------------------------- what it is for

N_OLD, N_NEW, SHIFTED = 3_000, 1_000, 2


@pytest.fixture(scope="module")
def shifted():
    """Rows before a shift of one channel by 1.5 standard deviations, and after it."""
    X = make_anomalous_series(
        n_train=N_OLD + N_NEW + 1_500, n_test=1_100, random_state=0
    ).X_train
    X[N_OLD:, SHIFTED] += 1.5 * X[:N_OLD, SHIFTED].std()
    return np.split(X, [N_OLD, N_OLD + N_NEW])


def test_what_has_moved_for_good_is_learned(shifted):
    old, new, after = shifted
    settings = {
        "max_iter": 3,
        "stride": 5,
        "batch_size": 8,
        "rebase": None,
        "random_state": 0,
    }
    detector = MEMTODetector(**settings).fit(old)
    assert (detector.predict(new) == -1).mean() > 0.5
    detector.partial_fit(new)
    assert (detector.predict(after) == -1).mean() < 0.02
    # What comes on top of it is seen.
    after = after.copy()
    spread = old.std(axis=0)
    after[500, SHIFTED] += 8 * spread[SHIFTED]
    after[1_200:1_240, 0] += 5 * spread[0]
    flagged = detector.predict(after) == -1
    assert flagged[500] and flagged[1_200:1_240].mean() > 0.5


@pytest.mark.parametrize("cls", DETECTORS, ids=lambda cls: cls.__name__)
def test_more_of_the_same_changes_little(cls):
    settings = {**QUICK, "max_iter": 3, "random_state": 0}
    detector = cls(**settings).fit(make_waves(1_500))
    test = make_waves(1_000, seed=9)
    test[300:320, 0] += 10 * OLD[:, 0].std()
    before = detector.score_samples(test)
    for night in range(5):
        detector.partial_fit(make_waves(300, seed=10 + night))
    after = detector.score_samples(test)
    assert np.corrcoef(before, after)[0, 1] > 0.9
    assert (detector.predict(np.delete(test, slice(280, 340), axis=0)) == -1).mean() < (
        0.02
    )


def test_an_interrupt_at_any_line_of_the_exchange_leaves_a_whole_model():
    """Either the old model, or the new one."""
    old = MEMTODetector(**QUICK, random_state=0).fit(OLD)
    new = copy.deepcopy(old).partial_fit(NEW)
    whole = [detector.score_samples(NEW) for detector in (old, new)]
    exchange, seen = MEMTODetector._take_over.__code__, set()

    def interrupt_after(at, detector):
        n_lines = 0

        def trace(frame, event, _):
            nonlocal n_lines
            if frame.f_code is exchange and event == "line":
                n_lines += 1
                seen.add(n_lines)
                if n_lines > at:
                    raise KeyboardInterrupt
            return trace if frame.f_code is exchange else None

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            detector._take_over(copy.copy(new))
        finally:
            sys.settrace(before)

    for at in range(100):
        detector = copy.deepcopy(old)
        try:
            interrupt_after(at, detector)
        except KeyboardInterrupt:
            found = detector.score_samples(NEW)
            assert any(np.array_equal(found, scores) for scores in whole)
        else:
            break
    assert len(seen) >= 5
    assert_array_equal(detector.score_samples(NEW), whole[1])


# ---------------------------------------------------------------- calibrate

SETTINGS = [
    {"criterion": "isd"},
    {"criterion": "lsd", "smoothing": 7},
    {"criterion": "softmax"},
    {"score_stride": 3, "smoothing": 2},
    {"lookahead": 0},
    {"lookahead": 5, "rebase": None},
    {"contamination": 0.1},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_settings_are_those_of_fit_until_they_are_taken_over(make_detector, settings):
    detector = make_detector().fit(OLD)
    before = detector.score_samples(NEW), detector.decision_function(NEW)
    events = detector.events(NEW)
    detector.set_params(**settings)
    assert_array_equal(detector.score_samples(NEW), before[0])
    assert_array_equal(detector.decision_function(NEW), before[1])
    assert detector.events(NEW) == events
    assert detector.calibrate(OLD) is detector
    other = make_detector(**settings).fit(OLD)
    assert_array_equal(detector.score_samples(NEW), other.score_samples(NEW))
    assert_array_equal(detector.decision_function(NEW), other.decision_function(NEW))
    assert detector.events(NEW) == other.events(NEW)
    assert state_of(detector) == state_of(other)


def test_scoring_does_not_ask_what_parameters_are_now(detector):
    before = detector.decision_function(NEW)
    for name in detector.get_params():
        setattr(detector, name, "nonsense")
    assert_array_equal(detector.decision_function(NEW), before)


@pytest.mark.parametrize("method", ["calibrate", "partial_fit"])
@pytest.mark.parametrize(
    ("name", "value"), [("criterion", "x"), ("smoothing", -3), ("contamination", 0.7)]
)
def test_refuses_what_fit_would(detector, method, name, value):
    detector.set_params(**{name: value})
    before = state_of(detector)
    with pytest.raises(ValueError, match=f"The '{name}' parameter of .* must be"):
        getattr(detector, method)(NEW)
    assert state_of(detector) == before


def test_the_temperature_of_the_memory_stays(detector):
    temperature = detector.settings_.temperature
    detector.set_params(temperature=5.0, criterion="softmax").calibrate(OLD)
    is_of_memory = isinstance(detector, MEMTODetector)
    assert detector.settings_.temperature == (temperature if is_of_memory else 5.0)


def test_calibrates_by_other_rows(detector):
    network = copy.deepcopy(detector.model_.state_dict())
    noise = np.random.RandomState(1).uniform(-2, 2, size=NEW.shape)
    noisy = NEW + noise * OLD.std(axis=0)
    flagged = (detector.predict(noisy) == -1).mean()
    detector.calibrate(noisy)
    assert (detector.predict(noisy) == -1).mean() < 0.05 < 0.2 < flagged
    for name, tensor in detector.model_.state_dict().items():
        assert_array_equal(tensor, network[name])


def test_says_what_cannot_be_calibrated_by(detector):
    silent = NEW.copy()
    silent[:, 1] = np.nan
    with pytest.raises(ValueError, match="no values of channel 1, which fit knows"):
        detector.calibrate(silent)
    with pytest.raises(ValueError, match=r"Found 15 rows in a row .* a window, 16"):
        detector.calibrate(NEW[:45], groups=np.repeat([0, 1, 2], 15))


def test_few_rows_alone_cannot_be_learned_from(make_detector):
    detector = make_detector(reservoir_size=0).fit(OLD)
    with pytest.raises(ValueError, match="Found 5 rows in a row"):
        detector.partial_fit(NEW[:5])


def test_streams_go_by_the_settings_of_fit(make_detector):
    detector = make_detector().fit(OLD)
    detector.set_params(lookahead=0)
    with pytest.raises(
        ValueError, match=r"fitted with lookahead=0\..* lookahead='auto'"
    ):
        StreamingDetector(detector)
    detector.calibrate(OLD).set_params(lookahead="auto", criterion="lsd")
    stream = StreamingDetector(detector)
    assert_array_equal(stream.update(NEW).scores, detector.score_samples(NEW))
