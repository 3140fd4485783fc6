"""What only MEMTODetector does: the three phases and its memory."""

import numpy as np
import pytest
import torch
from conftest import QUICK, make_waves
from numpy.testing import assert_array_equal
from sklearn.cluster import KMeans
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from skmemto import MEMTODetector
from skmemto._memto import MEMTODetector as Detector
from skmemto._nn.memto import MEMTONetwork


@pytest.fixture
def detector():
    return MEMTODetector(**QUICK, random_state=0)


class Snapshots:
    """Records the network's state at the end of every epoch."""

    def __init__(self):
        self.states = []

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name.startswith("epoch"):
            state = fitted_estimator.model_.state_dict()
            self.states.append({k: v.clone() for k, v in state.items()})


def test_memory_items(detector, waves):
    assert not hasattr(detector, "memory_items_")
    detector.fit(waves)
    assert detector.memory_items_.shape == (10, 16)
    assert "memory.items" in detector.model_.state_dict()
    assert_array_equal(
        detector.memory_items_, detector.model_.state_dict()["memory.items"]
    )


def test_search_over_the_number_of_items(detector, waves):
    search = GridSearchCV(
        detector,
        {"n_memory_items": [2, 5]},
        cv=TimeSeriesSplit(2),
        error_score="raise",
    ).fit(waves)
    assert search.best_estimator_.memory_items_.shape[0] in {2, 5}


def test_the_gate_is_trained(detector, waves):
    snapshots = Snapshots()
    detector.set_params(max_iter=2).set_callbacks(snapshots).fit(waves)
    first, last = snapshots.states[0], snapshots.states[-1]
    for name in ("memory.gate_item.weight", "memory.gate_content.weight"):
        assert (first[name] - last[name]).abs().max() > 1e-4


def test_kmeans_on_the_queries_of_the_pretrained_encoder(detector, waves, monkeypatch):
    seen = {}

    class Spy(KMeans):
        def fit(self, X, y=None):
            seen["queries"] = X
            result = super().fit(X, y)
            seen["centers"] = result.cluster_centers_
            return result

    monkeypatch.setattr("skmemto._memto.KMeans", Spy)
    items_in_training = []
    original = Detector._initialize_memory

    def record(self, trainer):
        before = {k: v.clone() for k, v in self.model_.state_dict().items()}
        original(self, trainer)
        items_in_training.append((before, self.model_.memory.items.clone()))
        windows = trainer.read(trainer.train_blocks[0].starts, 16)
        with torch.no_grad():
            seen["expected"] = self.model_.encoder(windows).flatten(0, 1).numpy()

    monkeypatch.setattr(Detector, "_initialize_memory", record)
    detector.fit(waves)
    ((before, items),) = items_in_training
    assert not torch.equal(before["memory.items"], items)
    np.testing.assert_allclose(items, seen["centers"], rtol=1e-6)
    # Each query is one that the encoder, as just trained, makes of a window.
    expected = {row.tobytes() for row in np.round(seen["expected"], 3)}
    found = [row.astype(np.float32).tobytes() in expected
             for row in np.round(seen["queries"], 3)]  # fmt: skip
    assert np.mean(found) > 0.9


def test_best_items_are_kept_with_the_best_weights(detector, monkeypatch):
    # One batch of validation windows in each epoch; the third and the fifth are best.
    validation = iter([5.0, 4.0, 1.0, 9.0, 9.0, 9.0, 5.0, 4.0, 3.0, 2.0, 1.0, 9.0])
    trained = MEMTONetwork.loss

    def loss(self, windows, generator):
        if self.training:
            return trained(self, windows, generator)
        return torch.tensor(next(validation))

    monkeypatch.setattr(MEMTONetwork, "loss", loss)
    detector.set_params(early_stopping=True, max_iter=6, batch_size=32)
    snapshots = Snapshots()
    detector.set_callbacks(snapshots).fit(make_waves())
    final = detector.model_.state_dict()
    for name, value in snapshots.states[6 + 4].items():
        assert torch.equal(value, final[name]), name
    assert not torch.equal(snapshots.states[-1]["memory.items"], final["memory.items"])


def test_curves_and_early_stopping(detector, waves):
    detector.set_params(max_iter=30, n_iter_no_change=2, tol=0.1).fit(waves)
    assert detector.n_iter_ == len(detector.loss_curve_) < 60
    assert detector.validation_loss_curve_ is None
    detector.set_params(early_stopping=True).fit(waves)
    assert len(detector.validation_loss_curve_) == detector.n_iter_


def test_items_come_from_series_of_every_length(detector, monkeypatch):
    lengths = range(4, 24)
    seen = []
    X = np.vstack([make_waves(length, seed=length) for length in lengths])
    groups = np.repeat(list(lengths), list(lengths))
    original = Detector._initialize_memory

    def spy(self, trainer):
        inner = trainer.read
        trainer.read = lambda starts, length: (
            seen.append(length) or inner(starts, length)
        )
        original(self, trainer)
        trainer.read = inner

    monkeypatch.setattr(Detector, "_initialize_memory", spy)
    detector.set_params(window_size=23).fit(X, groups=groups)
    assert set(seen) == set(lengths)


def test_queries_are_made_in_batches(detector, waves, monkeypatch):
    sizes = []
    original = Detector._initialize_memory

    def spy(self, trainer):
        read = trainer.read
        trainer.read = lambda starts, length: (
            sizes.append(len(starts)) or read(starts, length)
        )
        original(self, trainer)
        trainer.read = read

    monkeypatch.setattr(Detector, "_initialize_memory", spy)
    detector.set_params(batch_size=8, stride=1).fit(waves)
    assert len(sizes) > 1
    assert max(sizes) == 8


def test_memory_items_are_a_copy(detector, waves):
    scores = detector.fit(waves).score_samples(waves)
    detector.memory_items_[:] = 0
    assert_array_equal(detector.score_samples(waves), scores)


def test_fewer_distinct_queries_than_items(detector):
    detector.set_params(n_memory_items=30, window_size=2).fit(np.ones((40, 2)))
    assert np.isfinite(detector.memory_items_).all()
    assert detector.memory_items_.shape == (30, 16)


def test_paper_criterion_is_windowed_and_unsmoothed(waves):
    detector = MEMTODetector(**QUICK, random_state=0, criterion="softmax").fit(waves)
    X = make_waves(n_samples=64, seed=1)
    deviations = detector.deviations(X)
    scores = np.empty(64)
    for start in range(0, 64, 16):
        weights = np.exp(deviations.latent[start : start + 16] / 0.1)
        error = deviations.input[start : start + 16].mean(axis=1)
        scores[start : start + 16] = -weights / weights.sum() * error
    np.testing.assert_allclose(detector.score_samples(X), scores, rtol=1e-6)


@pytest.mark.parametrize("criterion", ["isd", "lsd"])
def test_single_deviations_as_criteria(waves, criterion):
    detector = MEMTODetector(**QUICK, random_state=0, criterion=criterion).fit(waves)
    deviations = detector.deviations(waves)
    expected = {"isd": deviations.input.mean(axis=1), "lsd": deviations.latent}
    np.testing.assert_allclose(detector.score_samples(waves), -expected[criterion])


def test_noise_is_for_training_only(detector, waves):
    noisy = detector.set_params(noise=0.5, early_stopping=True).fit(waves)
    curves = noisy.loss_curve_, noisy.validation_loss_curve_
    scores = noisy.score_samples(waves)
    assert_array_equal(noisy.score_samples(waves), scores)
    detector.set_params(noise=0.0).fit(waves)
    assert detector.loss_curve_ != curves[0]
