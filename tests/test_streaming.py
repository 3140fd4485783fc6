"""A fitted detector on a feed."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import DETECTORS, QUICK, make_waves
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import lfilter
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError

from skmemto import MEMTODetector, StreamingDetector
from skmemto.exceptions import DataDriftWarning
from skmemto.streaming import StreamEvent, Update

N = 260


@pytest.fixture(scope="module", params=DETECTORS, ids=lambda cls: cls.__name__)
def detector(request):
    settings = {**QUICK, "lookahead": 0, "contamination": 0.01, "random_state": 0}
    return request.param(**settings).fit(make_waves())


def new_rows(seed=1):
    X = make_waves(N, seed=seed)
    X[60:80, 0] += 10 * X[:, 0].std()
    X[120, 1] = X[130:133] = np.nan
    X[160:180, 2] = X[159, 2]  # stuck
    X[200:, 1] += 5 * X[:, 1].std()  # for good
    return X


def cut(X, size):
    return np.split(X, range(size, len(X), size))


def of_updates(updates):
    return Update(*(np.concatenate(parts) for parts in zip(*updates, strict=True)))


def last_of_each(streams_events):
    """Events as they were told last, without what is told of the update."""
    told = {}
    for event in streams_events:
        told[event.group, event.start] = event
    return [event[:6] for event in told.values()]


@pytest.mark.parametrize("size", [1, 37, N])
def test_rows_have_the_scores_of_one_call_however_they_are_cut(detector, size):
    stream, X = StreamingDetector(detector), new_rows()
    updates, told = [], []
    for rows in cut(X, size):
        updates.append(stream.update(rows))
        told += stream.events
    found = of_updates(updates)
    assert found.labels.dtype == np.int64
    assert_allclose(found.scores, detector.score_samples(X), rtol=1e-9)
    assert_allclose(found.decisions, detector.decision_function(X), atol=1e-9)
    assert_array_equal(found.labels, detector.predict(X))
    expected = detector.events(X)
    assert len(expected) >= 3
    for event, of_all in zip(last_of_each(told), expected, strict=True):
        assert event[:3] + event[4:] == of_all[:3] + of_all[4:]
        assert event[3] == pytest.approx(of_all.score)
    assert stream.groups == [None]


@pytest.mark.parametrize(
    "parameters",
    [
        {"criterion": "isd"},
        {"criterion": "lsd", "smoothing": 5},
        {"rebase": None},
        {"window_size": 1, "smoothing": 1},
    ],
    ids=str,
)
def test_other_parameters(parameters):
    settings = {**QUICK, "lookahead": 0, "contamination": 0.01} | parameters
    detector = MEMTODetector(**settings, random_state=0).fit(make_waves())
    X, stream = new_rows(), StreamingDetector(detector)
    found = of_updates([stream.update(rows) for rows in cut(X, 37)])
    assert_allclose(found.scores, detector.score_samples(X), rtol=1e-9)
    assert_allclose(found.decisions, detector.decision_function(X), atol=1e-9)


def test_streams_of_many_groups_do_not_know_of_each_other(detector):
    series = {name: new_rows(seed) for seed, name in enumerate(["b", "a", "c"])}
    rng, stream = np.random.default_rng(0), StreamingDetector(detector)
    names = rng.permutation(np.repeat(list(series), N))
    nth = np.zeros(len(names), dtype=int)
    for name in series:
        nth[names == name] = np.arange(N)
    X = np.array([series[name][i] for name, i in zip(names, nth, strict=True)])
    cuts = np.sort(rng.choice(len(X), 6, replace=False))
    found = of_updates(
        stream.update(rows, groups=of_rows)
        for rows, of_rows in zip(np.split(X, cuts), np.split(names, cuts), strict=True)
    )
    for name, rows in series.items():
        expected = detector.score_samples(rows)
        assert_allclose(found.scores[names == name], expected, rtol=1e-9)
    assert sorted(stream.groups) == ["a", "b", "c"]


def test_events_are_told_of_each_group(detector):
    stream, X = StreamingDetector(detector), new_rows()
    stream.update(X[:70], groups=["pump"] * 70)
    (event,) = [event for event in stream.events if event.stop > 60]
    assert isinstance(event, StreamEvent)
    assert (event.group, event.is_new, event.is_over) == ("pump", True, False)
    assert event.channels[0] == 0
    table = pd.DataFrame(stream.events)
    assert list(table.columns) == list(StreamEvent._fields)
    stream.update(make_waves(9), groups=["fan"] * 9)
    assert all(event.group == "fan" for event in stream.events)  # no row of the other
    stream.update(X[70:120], groups=["pump"] * 50)
    (event,) = [event for event in stream.events if event.stop > 60]
    assert (event.is_new, event.is_over) == (False, True)


def test_a_channel_that_has_moved_on_is_told_once():
    settings = {**QUICK, "lookahead": 0, "rebase": 20, "random_state": 0}
    stream = StreamingDetector(MEMTODetector(**settings).fit(make_waves()))
    moved = make_waves(N, seed=1)
    moved[100:, 1] += 9 * moved[:, 1].std()
    groups = np.array(["pump", "fan"])
    told = []
    for i in range(N):
        rows = np.stack([moved[i], make_waves(N, seed=2)[i]])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stream.update(rows, groups=groups)
        told += [(i, str(warning.message), warning) for warning in caught]
    ((row, message, warning),) = told
    assert warning.category is DataDriftWarning and warning.filename == __file__
    since = int(re.search(r"pump: channel 1 since row (\d+) ", message).group(1))
    assert 100 < since < 130 and row == since + 20
    assert "fan" not in message


@pytest.mark.parametrize("window_size", [1, 2, 9])
def test_what_is_kept_of_the_rows_is_a_window(window_size):
    settings = {**QUICK, "window_size": window_size, "lookahead": 0}
    X, detector = make_waves(60), MEMTODetector(**settings, random_state=0)
    stream = StreamingDetector(detector.fit(make_waves()))
    for row in range(len(X)):
        stream.update(X[row : row + 1])
        (of_stream,) = stream._streams.values()
        kept = X[max(0, row + 2 - window_size) : row + 1]
        assert_array_equal(of_stream.recent, kept)
        assert of_stream.recent.base is None


def test_channels_are_named():
    X = pd.DataFrame(new_rows(), columns=["flow", "heat", "noise"])
    train = pd.DataFrame(make_waves(), columns=X.columns)
    detector = MEMTODetector(**QUICK, lookahead=0, contamination=0.01, random_state=0)
    stream = StreamingDetector(detector.fit(train))
    stream.update(X.iloc[:70])
    assert stream.events[-1].channels[0] == "flow"
    with pytest.raises(ValueError, match="feature names"):
        stream.update(X.iloc[70:80, ::-1])


def test_a_pickle_goes_on_bit_for_bit(detector):
    stream, X = StreamingDetector(detector), new_rows()
    stream.update(X[:77])
    other = pickle.loads(pickle.dumps(stream))
    for rows in cut(X[77:], 20):
        for found, expected in zip(
            other.update(rows), stream.update(rows), strict=True
        ):
            assert_array_equal(found, expected)
        assert other.events == stream.events


def test_memory_does_not_grow(detector):
    stream, X = StreamingDetector(detector), new_rows()
    sizes = []
    for _ in range(3):
        stream.update(X[:57])
        sizes.append(len(pickle.dumps(stream._streams)))
    assert sizes[1] == pytest.approx(sizes[2], abs=100)
    # Without what all share.
    stream.update(np.vstack([X[:57]] * 2), groups=np.repeat([1, 2], 57))
    assert len(pickle.dumps(stream._streams)) - 2 * sizes[2] < 2 * 30_000


@pytest.mark.parametrize(
    ("rows", "groups", "message"),
    [
        (np.zeros((1, 2)), None, "X has 2 features, but"),
        ([["a", "b", "c"]], None, "could not convert string"),
        (np.full((1, 3), np.inf), None, "infinity"),
        (np.zeros(3), None, "Expected 2D array"),
        (np.zeros((2, 3)), ["a"], "groups must have one entry for each row"),
        (np.zeros((2, 3)), ["a", None], "groups contains NaN or None"),
    ],
)
def test_what_is_wrong_leaves_the_stream_as_it_was(detector, rows, groups, message):
    stream, X = StreamingDetector(detector), new_rows()
    stream.update(X[:70])
    before = pickle.dumps((stream._streams, stream.events))
    with pytest.raises(ValueError, match=re.escape(message)):
        stream.update(rows, groups=groups)
    assert pickle.dumps((stream._streams, stream.events)) == before
    expected = detector.score_samples(X)[70:]
    assert_allclose(stream.update(X[70:]).scores, expected, rtol=1e-9)


def test_an_interrupt_leaves_all_streams_as_they_were(detector, monkeypatch):
    stream, X = StreamingDetector(detector), new_rows()
    groups = np.repeat([1, 2], [40, 40])
    stream.update(X[:80], groups=groups)
    before = pickle.dumps(stream._streams)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StreamingDetector, "_event", interrupted)
        patch.setattr("skmemto._running_events.EventFollower.next", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stream.update(X[80:160], groups=groups)
    assert pickle.dumps(stream._streams) == before


def test_groups_go(detector):
    stream, X = StreamingDetector(detector), new_rows()
    first = stream.update(X[:50], groups=["a"] * 50)
    stream.update(X[:5], groups=["b"] * 5)
    stream.forget("a")
    assert stream.groups == ["b"]
    again = stream.update(X[:50], groups=["a"] * 50)
    assert_array_equal(first.scores, again.scores)
    with pytest.raises(KeyError):
        stream.forget("c")


def test_the_detector_must_look_back_only():
    fitted = MEMTODetector(**QUICK, random_state=0).fit(make_waves(100))
    with pytest.raises(ValueError, match=r"lookahead=0\. Got MEMTODetector"):
        StreamingDetector(fitted)
    with pytest.raises(NotFittedError):
        StreamingDetector(MEMTODetector(lookahead=0))
    forest = IsolationForest(n_estimators=2).fit(make_waves(20))
    with pytest.raises(ValueError, match="Got IsolationForest"):
        StreamingDetector(forest)


def test_merge_gap(detector):
    with pytest.raises(ValueError, match="merge_gap == -1"):
        StreamingDetector(detector, merge_gap=-1)
    stream, X = StreamingDetector(detector, merge_gap=1000), new_rows()
    stream.update(X)
    (event,) = stream.events
    assert (event.is_new, event.is_over) == (True, False)
    (expected,) = detector.events(X, merge_gap=1000)
    assert event[:3] == expected[:3]


def drifting():
    """A feed that drifts slowly, and never as far as in an event."""
    X = make_waves(3000, seed=2)
    X += np.linspace(0, 1.2, len(X))[:, np.newaxis] * X.std(axis=0)
    return X


@pytest.fixture(scope="module")
def steady():
    settings = {**QUICK, "lookahead": 0, "rebase": None, "random_state": 0}
    return MEMTODetector(**settings).fit(make_waves(3000))


def test_a_threshold_follows_and_says_so_once(steady):
    X, stream = drifting(), StreamingDetector(steady, adapt=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = of_updates([stream.update(rows) for rows in cut(X, 50)])
    fixed = StreamingDetector(steady).update(X)
    assert_allclose(found.scores, fixed.scores, rtol=1e-9)
    rise = found.decisions - fixed.decisions
    assert_allclose(rise[:100], 0, atol=1e-9)
    assert 0.25 < rise.max() <= 1
    assert 0 < (found.labels == -1).sum() < (fixed.labels == -1).sum()
    (drift,) = caught
    assert drift.category is DataDriftWarning
    assert "The scores have risen lastingly" in str(drift.message)


@pytest.mark.parametrize("seed", [0, 1])
def test_normal_rows_that_wander_leave_the_threshold_where_it_was(seed):
    noise = np.random.default_rng(seed).standard_normal((20_000, 4))
    learned, new = np.split(lfilter([1], [1, -0.97], noise, axis=0), 2)
    settings = {"max_iter": 1, "d_model": 16, "n_layers": 1, "random_state": 0}
    detector = MEMTODetector(lookahead=0, rebase=None, **settings).fit(learned)
    followed = StreamingDetector(detector, adapt=True).update(new)
    fixed = StreamingDetector(detector).update(new)
    assert_array_equal(followed.decisions, fixed.decisions)


@pytest.mark.filterwarnings("ignore:The scores have risen")
def test_a_threshold_that_follows_does_not_hang_on_the_cuts_or_a_pickle(steady):
    X = drifting()
    X[1500], X[1510:1600, 0] = np.nan, X[1509, 0]
    whole = StreamingDetector(steady, adapt=True).update(X)
    stream = StreamingDetector(steady, adapt=True)
    first = stream.update(X[:1234])
    then = pickle.loads(pickle.dumps(stream)).update(X[1234:])
    found = of_updates([first, then])
    assert_allclose(found.decisions, whole.decisions, atol=1e-9)
    assert whole.labels[1500] == -1  # no value: flagged, however high the threshold


def test_only_rarities_can_be_followed():
    detector = MEMTODetector(**QUICK, lookahead=0, criterion="isd", random_state=0)
    with pytest.raises(ValueError, match=re.escape("Got criterion='isd' instead")):
        StreamingDetector(detector.fit(make_waves()), adapt=True)
    with pytest.raises(TypeError, match="adapt must be an instance of"):
        StreamingDetector(detector, adapt="yes")
