"""scikit-learn's callbacks see the fit as a tree of phases and epochs."""

import numpy as np
import pytest
from conftest import DETECTORS, QUICK, make_waves
from numpy.testing import assert_array_equal
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmemto import AnomalyTransformerDetector, MEMTODetector


class Recorder:
    """Keeps what it is told, and stops after `stop_after` epochs of each phase."""

    def __init__(self, stop_after=None):
        self.events, self.stop_after = [], stop_after

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.events.append(("end", context.task_name))
        if fitted_estimator is not None and context.task_name.startswith("epoch"):
            assert fitted_estimator.score_samples(X).shape == (len(X),)
        return context.task_name == f"epoch {self.stop_after}"


# The tasks of a fit; those with epochs are phases.
TASKS = {
    MEMTODetector: ["pre-training", "k-means", "training"],
    AnomalyTransformerDetector: ["training"],
}


@pytest.fixture(params=DETECTORS, ids=lambda detector: detector.__name__)
def detector(request):
    return request.param(**{**QUICK, "max_iter": 3}, random_state=0)


@pytest.fixture
def phases(detector):
    return [task for task in TASKS[type(detector)] if task != "k-means"]


def test_the_tree_of_tasks(detector, phases, waves):
    recorder = Recorder()
    detector.set_callbacks(recorder).fit(waves)
    epochs = [(e, f"epoch {i}") for i in (1, 2, 3) for e in ("begin", "end")]
    tasks = []
    for task in TASKS[type(detector)]:
        inside = epochs if task in phases else []
        tasks += [("begin", task), *inside, ("end", task)]
    assert recorder.events == [
        ("setup", "fit"), ("begin", "fit"),
        *tasks,
        ("end", "fit"), ("teardown", "fit"),
    ]  # fmt: skip


def test_callbacks_change_nothing(detector, waves):
    scores = detector.fit(waves).score_samples(waves)
    detector.set_callbacks(Recorder()).fit(waves)
    assert_array_equal(detector.score_samples(waves), scores)


def test_a_callback_can_stop_a_phase(detector, phases, waves):
    detector.set_callbacks(Recorder(stop_after=2)).fit(waves)
    assert detector.n_iter_ == 2 * len(phases)


def test_failing_fit_tears_down(detector):
    recorder = Recorder()
    with pytest.raises(ValueError, match="diverged"):
        detector.set_params(learning_rate=1e30).set_callbacks(recorder).fit(
            make_waves()
        )
    assert recorder.events[-1] == ("teardown", "fit")
    assert not hasattr(detector, "_callback_fit_ctx")


def test_an_interrupted_fit_leaves_the_previous_one(detector, waves):
    class Interrupt(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise KeyboardInterrupt

    scores = detector.fit(waves).score_samples(waves)
    with pytest.raises(KeyboardInterrupt):
        detector.set_callbacks(Interrupt()).fit(waves[:, :2])
    assert_array_equal(detector.score_samples(waves), scores)


def test_scoring_monitor_sees_every_epoch(detector, phases, waves):
    y = np.zeros(400, dtype=int)
    y[100:110] = 1
    X = waves.copy()
    X[100:110] += 5 * waves.std(axis=0)
    monitor = ScoringMonitor(scoring={"score": lambda est, X, y: est.score(X)})
    detector.set_callbacks(monitor).fit(X, y)
    log = [row for row in monitor.get_logs().data if row["task_name"] != "fit"]
    scores = [row["score"] for row in log if row["task_name"].startswith("epoch")]
    assert len(scores) == 3 * len(phases)
    assert scores[-1] == pytest.approx(detector.score(X), rel=1e-6)
    assert scores[-1] > scores[0]


def test_progress_bars(detector, phases, waves, capsys):
    detector.set_callbacks(ProgressBar()).fit(waves)
    out = capsys.readouterr().out
    for name in (f"{type(detector).__name__} - fit", *phases):
        assert name in out


def test_progress_bars_in_a_pipeline(detector, waves, capsys):
    pipeline = make_pipeline(StandardScaler(), detector)
    pipeline.set_callbacks(ProgressBar()).fit(waves)
    out = capsys.readouterr().out
    assert "Pipeline - fit" in out
    assert TASKS[type(detector)][0] in out


def test_progress_bars_in_a_search(detector, waves, capsys):
    search = GridSearchCV(detector, {"d_model": [8, 16]}, cv=TimeSeriesSplit(2))
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(waves)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out
    # Two candidates, two splits, one refit.
    assert out.count(f" {TASKS[type(detector)][0]} ") == 5
