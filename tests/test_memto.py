"""What only MEMTODetector does: the three phases and its memory."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import QUICK, assert_state, copy_state, make_network, make_waves
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from skmemto import MEMTODetector
from skmemto._memory_items import place_items, sample_queries
from skmemto._nn.memto import MEMTONetwork
from skmemto._scaling import ChannelScaler
from skmemto._windows import WindowBlock, WindowReader, window_blocks


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
            self.states.append(copy_state(fitted_estimator.model_))


# ---------------------------------------------------------------- queries and clusters


class RowNumbers:
    """Windows that hold the numbers of their rows, and an encoder that tells them."""

    def __init__(self):
        self.shapes = []  # of the batches

    def get_windows(self, starts, length):
        self.shapes.append((len(starts), length))
        rows = starts[:, np.newaxis] + np.arange(length)
        return torch.from_numpy(rows[..., np.newaxis].astype(np.float32))

    def encoder(self, windows):
        assert torch.is_inference_mode_enabled()
        return torch.cat([windows, -windows], dim=-1)

    def sample(self, blocks, batch_size=32, seed=0):
        rng = np.random.RandomState(seed)
        return sample_queries(
            self.encoder, self.get_windows, blocks, batch_size=batch_size, rng=rng
        )


def blocks_of(*lengths_and_numbers):
    """Blocks of windows side by side, from row 0 in each."""
    return [WindowBlock(n, n * np.arange(count)) for n, count in lengths_and_numbers]


def test_queries_are_those_of_whole_windows_each_drawn_once():
    queries = RowNumbers().sample(blocks_of((50, 400)))
    assert queries.dtype == np.float64
    assert_array_equal(queries[:, 1], -queries[:, 0])
    rows = queries[:, 0].reshape(-1, 50)
    assert_array_equal(rows, rows[:, :1] + np.arange(50))
    starts = rows[:, 0]
    assert (starts % 50 == 0).all() and starts.max() < 50 * 400
    assert len(set(starts)) == len(starts) == 40
    assert not (np.diff(starts) > 0).all()  # at random


@pytest.mark.parametrize(
    "length, n_windows, n_drawn",
    [
        (16, 30, 30),  # fewer than a thousand queries: all
        (20, 100, 50),  # a thousand
        (50, 1000, 100),  # a tenth
        (50, 20_000, 1000),  # fifty thousand
        (50, 401, 41),  # rounded up
    ],
)
def test_number_of_queries(length, n_windows, n_drawn):
    queries = RowNumbers().sample(blocks_of((length, n_windows)))
    assert len(queries) == n_drawn * length


def test_queries_come_from_windows_of_every_length():
    windows = RowNumbers()
    windows.sample(blocks_of(*((length, 1) for length in range(4, 24))))
    assert {length for _, length in windows.shapes} == set(range(4, 24))


def test_each_length_is_drawn_in_proportion():
    windows = RowNumbers()
    windows.sample(blocks_of((10, 1000), (5, 500)), batch_size=1000)
    assert windows.shapes == [(100, 10), (50, 5)]


def test_queries_are_made_in_batches():
    windows = RowNumbers()
    windows.sample(blocks_of((10, 80), (4, 20)), batch_size=8)  # all, since few
    assert windows.shapes == [(8, 10)] * 10 + [(8, 4), (8, 4), (4, 4)]


def test_the_random_state_draws():
    blocks = blocks_of((50, 400))
    first, again, other = (RowNumbers().sample(blocks, seed=s) for s in (0, 0, 1))
    assert_array_equal(first, again)
    assert (first != other).any()


def test_queries_are_what_the_encoder_makes_of_windows(waves):
    network = make_network(MEMTONetwork, n_features=3)
    reader = WindowReader(waves, ChannelScaler().fit(waves), "cpu")
    series = np.array([[0, 150], [150, 155], [155, 400]])
    blocks = window_blocks(series, 16, 16)
    queries = sample_queries(
        network.encoder, reader.windows, blocks, batch_size=7, rng=np.random
    )
    with torch.inference_mode():
        expected = [
            network.encoder(reader.windows(block.starts, block.length)).flatten(0, 1)
            for block in blocks
        ]
    expected = torch.cat(expected).double().numpy()
    assert queries.shape == expected.shape
    assert_allclose(
        queries[np.lexsort(queries.T)], expected[np.lexsort(expected.T)], atol=1e-5
    )


def three_clusters():
    rng = np.random.RandomState(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 20.0]])
    return np.concatenate([c + rng.uniform(-1, 1, (50, 2)) for c in centres])


def test_items_are_placed_where_the_queries_are():
    queries, items = three_clusters(), torch.full((3, 2), 7.0)
    placed = place_items(items, queries, np.random.RandomState(0))
    assert placed.dtype == torch.float32
    expected = queries.reshape(3, 50, 2).mean(axis=1)
    placed = placed.numpy()
    assert_allclose(
        placed[np.lexsort(placed.T)], expected[np.lexsort(expected.T)], rtol=1e-5
    )
    assert (items == 7).all()


def test_items_are_the_centres_of_kmeans():
    queries = np.random.RandomState(1).standard_normal((200, 4))
    placed = place_items(torch.zeros(10, 4), queries, np.random.RandomState(3))
    kmeans = KMeans(10, random_state=np.random.RandomState(3)).fit(queries)
    assert_array_equal(placed, kmeans.cluster_centers_.astype(np.float32))


def test_items_that_are_left_over_stay():
    queries = np.repeat([[1.0, 2.0], [3.0, 4.0]], 20, axis=0)
    items = torch.arange(10.0).reshape(5, 2)
    placed = place_items(items, queries, np.random.RandomState(0))
    assert sorted(placed[:2].tolist()) == [[1, 2], [3, 4]]
    assert torch.equal(placed[2:], items[2:])


def test_fewer_distinct_queries_than_items(detector):
    detector.set_params(n_memory_items=30, window_size=2).fit(np.ones((40, 2)))
    assert np.isfinite(detector.memory_items_).all()
    assert detector.memory_items_.shape == (30, 16)


# ---------------------------------------------------------------- phases


def test_between_its_phases_the_items_are_placed_by_what_was_trained(detector, waves):
    detector.fit(waves)
    model, log = detector.model_, []
    reader = WindowReader(waves, detector.scaler_, detector.device_)
    blocks = window_blocks(np.array([[0, 400]]), 16, 4)

    def run(learning_rate, phase):
        log.append((phase, learning_rate))
        for parameter in model.encoder.parameters():
            parameter.data.mul_(0.9)

    @contextmanager
    def task(name):
        before = model.memory.items
        yield name
        if name == "k-means":
            rng = np.random.RandomState(5)
            queries = sample_queries(
                model.encoder, reader.windows, blocks, batch_size=8, rng=rng
            )
            assert torch.equal(model.memory.items, place_items(before, queries, rng))
            assert not torch.equal(model.memory.items, before)
            log.append("k-means")
        else:
            assert torch.equal(model.memory.items, before)

    trainer = SimpleNamespace(
        run=run,
        get_windows=reader.windows,
        train_blocks=blocks,
        batch_size=8,
        rng=np.random.RandomState(5),
        is_ahead=False,
    )
    detector._train(trainer, SimpleNamespace(phase=task, step=task))
    assert log == [("pre-training", 1e-3), "k-means", ("training", 5e-4)]


def test_the_gate_is_trained(detector, waves):
    snapshots = Snapshots()
    detector.set_params(max_iter=2).set_callbacks(snapshots).fit(waves)
    first, last = snapshots.states[0], snapshots.states[-1]
    for name in ("memory.gate_item.weight", "memory.gate_content.weight"):
        assert (first[name] - last[name]).abs().max() > 1e-4


def test_best_items_are_kept_with_the_best_weights(waves):
    # One batch of validation windows in each epoch; the third and the fifth are best.
    # After each phase the network looks once more.
    first, second = [5.0, 4.0, 1.0, 9.0, 9.0, 9.0], [5.0, 4.0, 3.0, 2.0, 1.0, 9.0]
    validation = iter([*first, 1.0, *second, 1.0])

    class Network(MEMTONetwork):
        def loss(self, windows, generator=None):
            if self.training:
                return super().loss(windows, generator)
            return torch.tensor(next(validation))

    class Detector(MEMTODetector):
        _network_class = Network

    snapshots = Snapshots()
    detector = Detector(**QUICK, random_state=0).set_callbacks(snapshots)
    detector.set_params(early_stopping=True, max_iter=6, batch_size=32).fit(waves)
    assert_state(detector.model_, snapshots.states[6 + 4])
    final = detector.model_.memory.items
    assert not torch.equal(snapshots.states[-1]["memory.items"], final)


def test_curves_and_early_stopping(detector, waves):
    detector.set_params(max_iter=30, n_iter_no_change=2, tol=0.1).fit(waves)
    assert detector.n_iter_ == len(detector.loss_curve_) < 60
    assert detector.validation_loss_curve_ is None
    detector.set_params(early_stopping=True).fit(waves)
    assert len(detector.validation_loss_curve_) == detector.n_iter_


def test_noise_is_for_training_only(detector, waves):
    noisy = detector.set_params(noise=0.5, early_stopping=True).fit(waves)
    curves = noisy.loss_curve_, noisy.validation_loss_curve_
    scores = noisy.score_samples(waves)
    assert_array_equal(noisy.score_samples(waves), scores)
    detector.set_params(noise=0.0).fit(waves)
    assert detector.loss_curve_ != curves[0]


# ---------------------------------------------------------------- memory


def test_memory_items(detector, waves):
    assert not hasattr(detector, "memory_items_")
    detector.fit(waves)
    assert detector.memory_items_.shape == (10, 16)
    assert "memory.items" in detector.model_.state_dict()
    items = detector.model_.state_dict()["memory.items"].cpu()
    assert_array_equal(detector.memory_items_, items)


def test_memory_items_are_a_copy(detector, waves):
    scores = detector.fit(waves).score_samples(waves)
    detector.memory_items_[:] = 0
    assert_array_equal(detector.score_samples(waves), scores)


def test_search_over_the_number_of_items(detector, waves):
    search = GridSearchCV(
        detector,
        {"n_memory_items": [2, 5]},
        cv=TimeSeriesSplit(2),
        error_score="raise",
    ).fit(waves)
    assert search.best_estimator_.memory_items_.shape[0] in {2, 5}


def test_series_of_every_length_are_learned_from(detector):
    lengths = list(range(4, 24))
    X = np.vstack([make_waves(length, seed=length) for length in lengths])
    groups = np.repeat(lengths, lengths)
    detector.set_params(window_size=23).fit(X, groups=groups)
    assert np.isfinite(detector.score_samples(X, groups=groups)).all()
