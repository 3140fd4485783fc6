"""What the items of a memory are set to, what is read of them, what they stand for."""

import numpy as np
import pytest
import torch
from conftest import QUICK, make_waves
from numpy.testing import assert_allclose

from skmemto import MEMTODetector
from skmemto._memory_items import place_items


@pytest.fixture(scope="module")
def detector():
    return MEMTODetector(**QUICK, random_state=0).fit(make_waves())


def test_weights_of_a_row_are_the_mean_of_its_windows(detector):
    X = make_waves(40, seed=1)
    window, stride = detector.window_size_, 1
    detector = MEMTODetector(**QUICK | {"score_stride": stride}, random_state=0)
    detector.fit(make_waves())
    scaled = detector.scaler_.transform(X)
    memory, total, count = detector.model_.memory, np.zeros((40, 10)), np.zeros(40)
    for start in range(40 - window + 1):
        rows = slice(start, start + window)
        with torch.inference_mode():
            queries = detector.model_.encoder(
                torch.tensor(scaled[rows], dtype=torch.float32).unsqueeze(0)
            )[0].double()
        logits = queries.numpy() @ memory.items.double().numpy().T / memory.temperature
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        total[rows] += weights / weights.sum(axis=1, keepdims=True)
        count[rows] += 1
    found = detector.memory_attention(X)
    assert_allclose(found, total / count[:, np.newaxis], atol=1e-4)
    assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("lookahead", ["auto", 0])
def test_weights_do_not_hang_on_other_series(lookahead):
    detector = MEMTODetector(**QUICK, lookahead=lookahead, random_state=0)
    detector.fit(make_waves())
    X = make_waves(90, seed=1)
    both = detector.memory_attention(X, groups=np.arange(90) // 45)
    assert_allclose(both[:45], detector.memory_attention(X[:45]), atol=1e-6)


def test_prototypes_lie_within_the_data(detector):
    X = make_waves()
    found = detector.memory_prototypes_
    assert found.shape == (10, 3)
    spread = X.max(axis=0) - X.min(axis=0)
    assert (found > X.min(axis=0) - spread).all()
    assert (found < X.max(axis=0) + spread).all()


def test_a_constant_channel_stays_what_it_is():
    X = make_waves()
    X[:, 1] = 7.0
    detector = MEMTODetector(**QUICK, random_state=0).fit(X)
    assert_allclose(detector.memory_prototypes_[:, 1], 7.0)


def test_queries_that_differ_by_rounding_are_one():
    """Found by `test_odd_input.py`: k-means then warned of its n_clusters."""
    rng = np.random.RandomState(0)
    queries = np.repeat(rng.normal(size=(4, 3)), 5, axis=0)
    queries *= 1 + 1e-9 * rng.normal(size=queries.shape)
    items = torch.zeros(6, 3)
    placed = place_items(items, queries, np.random.RandomState(0))
    assert torch.equal(placed[4:], items[4:])
    found = placed[:4].numpy()[np.argsort(placed[:4, 0].numpy())]
    expected = queries[::5][np.argsort(queries[::5, 0])]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
