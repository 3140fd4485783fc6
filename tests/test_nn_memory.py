"""The gated memory, against its equations."""

import math

import naive
import numpy as np
import pytest
import torch
from conftest import assert_close, random_tensor, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skmemto._nn.memory import GatedMemory
from skmemto._nn.network import build_empty

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)]
)
# n_items, n_tokens, d_model
SHAPES = pytest.mark.parametrize(
    ("n_items", "n_tokens", "d_model"),
    [(1, 1, 1), (1, 9, 4), (4, 1, 3), (3, 20, 5), (10, 7, 8)],
)
TEMPERATURES = pytest.mark.parametrize("temperature", [0.1, 1.0])
quick = settings(deadline=None, derandomize=True, max_examples=50)


def make_memory(items, temperature=0.1, dtype=torch.float64, seed=0):
    """Make a memory of these items, with random gates."""
    items = torch.as_tensor(items, dtype=dtype)
    memory = build_empty(lambda: GatedMemory(*items.shape, temperature)).to(dtype)
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.normal_(generator=generator)
    memory.set_items(items)
    return memory


def naive_update(memory, items, queries):
    weights = naive.weights_of(memory)
    return naive.memory_update(
        np.asarray(items, dtype=float),
        np.asarray(queries, dtype=float),
        weights["gate_item.weight"],
        weights["gate_content.weight"],
        memory.temperature,
    )


@st.composite
def memories_and_queries(draw):
    n_items = draw(st.integers(1, 5))
    n_tokens = draw(st.integers(1, 6))
    d_model = draw(st.integers(1, 4))
    numbers = st.floats(-10, 10, allow_subnormal=False)
    items = draw(arrays(np.float64, (n_items, d_model), elements=numbers))
    queries = draw(arrays(np.float64, (n_tokens, d_model), elements=numbers))
    temperature = draw(st.sampled_from([0.01, 0.1, 1.0, 10.0]))
    return make_memory(items, temperature), torch.as_tensor(queries)


@PRECISIONS
@TEMPERATURES
@SHAPES
def test_update_equals_naive(n_items, n_tokens, d_model, temperature, dtype, tolerance):
    items = torch.nn.functional.normalize(random_tensor(n_items, d_model, dtype=dtype))
    queries = random_tensor(n_tokens, d_model, dtype=dtype, seed=2)
    memory = make_memory(items, temperature, dtype)
    expected = naive_update(memory, items, queries)
    updated = memory.update(queries)
    assert_close(updated, expected, tolerance)
    assert torch.equal(memory.items, updated)
    # The next step starts from what this one left.
    expected = naive_update(memory, expected, queries)
    assert_close(memory.update(queries), expected, tolerance)


@PRECISIONS
@TEMPERATURES
@SHAPES
def test_attend_equals_naive(n_items, n_tokens, d_model, temperature, dtype, tolerance):
    items = torch.nn.functional.normalize(random_tensor(n_items, d_model, dtype=dtype))
    queries = random_tensor(n_tokens, d_model, dtype=dtype, seed=2)
    memory = make_memory(items, temperature, dtype)
    expected = naive.memory_read(queries.double().numpy(), items.numpy(), temperature)
    attention = memory.attend(queries, items)
    assert_close(attention, expected[0], tolerance)
    assert_close(attention @ items, expected[1], tolerance)


@PRECISIONS
@SHAPES
def test_distance_equals_naive(n_items, n_tokens, d_model, dtype, tolerance):
    items = random_tensor(n_items, d_model, dtype=dtype)
    queries = random_tensor(n_tokens, d_model, dtype=dtype, seed=2)
    expected = naive.latent_deviation(queries.double().numpy(), items.double().numpy())
    memory = make_memory(items, dtype=dtype)
    assert_close(memory.distance(queries), expected, tolerance)


def test_distance_is_to_the_nearest_item_not_to_the_most_similar():
    # The inner product prefers the long item, which is far away.
    memory = make_memory([[1.0, 0.0], [9.0, 0.0]])
    queries = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    assert memory.distance(queries).tolist() == [1.0]


def test_distance_does_not_cancel_far_from_the_origin():
    items = 1e3 * torch.eye(4) + 1e4
    memory = make_memory(items, dtype=torch.float32)
    assert (memory.distance(items) == 0).all()
    np.testing.assert_allclose(memory.distance(items + 1), 4, rtol=1e-6)


def test_windows_and_tokens_are_read_alike():
    memory = make_memory(random_tensor(3, 4))
    queries = random_tensor(2, 5, 4, dtype=torch.float64)
    attention = memory.attend(queries, memory.items)
    distance = memory.distance(queries)
    assert attention.shape == (2, 5, 3)
    flat_attention = memory.attend(queries.flatten(0, 1), memory.items)
    assert_close(attention.flatten(0, 1), flat_attention, 1e-12)
    assert_close(distance.flatten(), memory.distance(queries.flatten(0, 1)), 1e-12)


def test_attend_and_distance_keep_the_items():
    items = random_tensor(3, 4, dtype=torch.float64)
    memory = make_memory(items.clone()).train()
    queries = random_tensor(5, 4, dtype=torch.float64)
    memory.attend(queries, memory.items)
    memory.distance(queries)
    assert torch.equal(memory.items, items)


def test_update_leaves_what_it_was_given():
    items = random_tensor(3, 4, dtype=torch.float64)
    queries = random_tensor(5, 4, dtype=torch.float64)
    memory = make_memory(items)
    memory.update(queries)
    assert torch.equal(items, random_tensor(3, 4, dtype=torch.float64))
    assert torch.equal(queries, random_tensor(5, 4, dtype=torch.float64))


def test_update_trains_the_gates_but_not_the_queries():
    memory = make_memory(random_tensor(3, 4))
    queries = random_tensor(5, 4, dtype=torch.float64, seed=2).requires_grad_()
    updated = memory.update(queries)
    assert not memory.items.requires_grad
    updated.square().sum().backward()
    assert memory.gate_item.weight.grad.abs().min() > 0
    assert memory.gate_content.weight.grad.abs().min() > 0
    assert queries.grad is None
    # Nothing of this step's graph is left to the next, so that it can go back too.
    memory.update(queries).square().sum().backward()


def test_items_are_state_but_not_parameters():
    memory = make_memory(random_tensor(3, 4))
    assert {name for name, _ in memory.named_parameters()} == {
        "gate_item.weight",
        "gate_content.weight",
    }
    memory.update(random_tensor(5, 4, dtype=torch.float64))
    saved = {name: array.clone() for name, array in memory.state_dict().items()}
    assert torch.equal(saved["items"], memory.items)
    memory.update(random_tensor(5, 4, dtype=torch.float64, seed=3))
    assert not torch.equal(saved["items"], memory.items)
    memory.load_state_dict(saved)
    assert torch.equal(saved["items"], memory.items)


def test_initial_items_are_random_unit_vectors():
    before = torch.get_rng_state()
    first, again, other = (
        build_empty(lambda: GatedMemory(6, 5, 0.1)) for _ in range(3)
    )
    first.initialize(seeded(0))
    again.initialize(seeded(0))
    other.initialize(seeded(1))
    np.testing.assert_allclose(first.items.norm(dim=1), 1, rtol=1e-6)
    assert (first.items < 0).any() and (first.items > 0).any()
    assert torch.equal(first.items, again.items)
    assert not torch.equal(first.items, other.items)
    assert torch.equal(torch.get_rng_state(), before)


@quick
@given(memories_and_queries())
def test_attention_rows_sum_to_one(drawn):
    memory, queries = drawn
    attention = memory.attend(queries, memory.items)
    assert (attention >= 0).all()
    np.testing.assert_allclose(attention.sum(dim=-1), 1, rtol=1e-12)


@quick
@given(memories_and_queries())
def test_retrieved_lies_between_the_items(drawn):
    memory, queries = drawn
    retrieved = memory.attend(queries, memory.items) @ memory.items
    assert (retrieved >= memory.items.amin(dim=0) - 1e-9).all()
    assert (retrieved <= memory.items.amax(dim=0) + 1e-9).all()


@quick
@given(memories_and_queries())
def test_updated_item_lies_between_old_item_and_new_content(drawn):
    memory, queries = drawn
    old = memory.items.numpy()
    content = naive.memory_content(old, queries.numpy(), memory.temperature)
    updated = memory.update(queries).detach().numpy()
    assert (updated >= np.minimum(old, content) - 1e-9).all()
    assert (updated <= np.maximum(old, content) + 1e-9).all()


@quick
@given(memories_and_queries(), st.randoms(use_true_random=False))
def test_order_of_items_means_nothing(drawn, random):
    memory, queries = drawn
    order = list(range(len(memory.items)))
    random.shuffle(order)
    permuted = make_memory(memory.items[order], memory.temperature)
    attention = memory.attend(queries, memory.items)
    permuted_attention = permuted.attend(queries, permuted.items)
    assert_close(permuted_attention, attention[:, order], 1e-9)
    retrieved = attention @ memory.items
    assert_close(permuted_attention @ permuted.items, retrieved, 1e-9)
    assert_close(permuted.distance(queries), memory.distance(queries), 1e-9)
    updated = memory.update(queries)
    assert_close(permuted.update(queries), updated[order], 1e-9)


@quick
@given(memories_and_queries(), st.randoms(use_true_random=False))
def test_order_of_tokens_means_nothing_to_the_update(drawn, random):
    memory, queries = drawn
    order = list(range(len(queries)))
    random.shuffle(order)
    again = make_memory(memory.items, memory.temperature)
    updated = memory.update(queries)
    assert_close(again.update(queries[order]), updated, 1e-9)


@quick
@given(memories_and_queries())
def test_one_item_is_all_there_is_to_read(drawn):
    memory, queries = drawn
    memory.set_items(memory.items[:1])
    assert (memory.attend(queries, memory.items) == 1).all()


def test_temperature_sharpens_the_attention():
    queries = random_tensor(5, 4, dtype=torch.float64, seed=2)
    items = random_tensor(3, 4)
    cold = make_memory(items, 1e-3).attend(queries, items.double())
    hot = make_memory(items, 1e6).attend(queries, items.double())
    np.testing.assert_allclose(cold.amax(dim=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(hot, 1 / 3, rtol=1e-4)
    assert math.isclose(float(hot.sum()), 5, rel_tol=1e-12)
