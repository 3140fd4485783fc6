"""MEMTO's network, against its equations."""

import math
from dataclasses import replace
from functools import partial

import naive
import pytest
import torch
from conftest import assert_close, initialized, make_network, random_tensor, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from skmemto._nn.layers import add_noise
from skmemto._nn.memto import MEMTONetwork

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)]
)
# (n_windows, n_steps) with the sizes that differ from those of the tiny network.
SHAPES = pytest.mark.parametrize(
    ("n_windows", "n_steps", "sizes"),
    [
        (3, 4, {}),
        (1, 1, {"n_features": 1}),
        (4, 1, {"n_memory_items": 1}),
        (2, 6, {"d_model": 7, "n_heads": 1, "n_features": 4}),
        (2, 5, {"d_model": 6, "n_heads": 3, "n_layers": 3, "temperature": 0.1}),
        (1, 9, {"n_memory_items": 10, "temperature": 0.1, "entropy_weight": 0.0}),
    ],
)
quick = settings(deadline=None, derandomize=True, max_examples=25)
make = partial(make_network, MEMTONetwork)


def run_naive(network, windows, *, update=False, target=None):
    """Run the naive network; add its loss."""
    config = network.config
    outputs = naive.memto(
        windows.double().numpy(),
        naive.weights_of(network),
        n_heads=config.n_heads,
        temperature=config.temperature,
        update=update,
    )
    target = windows if target is None else target
    outputs["loss"] = naive.loss(
        target.double().numpy(),
        outputs["reconstruction"],
        outputs["attention"],
        config.entropy_weight,
    )
    return outputs


def entropy_of(network, windows):
    """Mean entropy, from what its weight does to the loss."""
    losses = []
    for weight in (1.0, 0.0):
        network.config = replace(network.config, entropy_weight=weight)
        losses.append(network.loss(windows).item())
    return losses[0] - losses[1]


@PRECISIONS
@SHAPES
def test_forward_equals_naive(n_windows, n_steps, sizes, dtype, tolerance):
    network = make(dtype, **sizes)
    windows = random_tensor(n_windows, n_steps, network.config.n_features, dtype=dtype)
    expected = run_naive(network, windows)
    reconstruction, latent = network(windows)
    assert reconstruction.dtype == latent.dtype == dtype
    assert_close(reconstruction, expected["reconstruction"], tolerance)
    assert_close(latent, expected["latent"], tolerance)
    assert_close(network.encoder(windows), expected["queries"], tolerance)
    deviation = naive.input_deviation(
        windows.double().numpy(), expected["reconstruction"]
    )
    assert_close((windows - reconstruction) ** 2, deviation, 10 * tolerance)


@PRECISIONS
@SHAPES
def test_loss_equals_naive(n_windows, n_steps, sizes, dtype, tolerance):
    network = make(dtype, **sizes)
    windows = random_tensor(n_windows, n_steps, network.config.n_features, dtype=dtype)
    expected = run_naive(network, windows)
    loss = network.loss(windows)
    assert loss.dtype == dtype
    assert_close(loss, expected["loss"], tolerance)


@PRECISIONS
@SHAPES
def test_loss_in_training_equals_naive(n_windows, n_steps, sizes, dtype, tolerance):
    network = make(dtype, **sizes).train()
    for seed in (1, 2):  # the second batch finds the items that the first left
        windows = random_tensor(
            n_windows, n_steps, network.config.n_features, dtype=dtype, seed=seed
        )
        expected = run_naive(network, windows, update=True)
        loss = network.loss(windows)
        assert_close(loss, expected["loss"], tolerance)
        assert_close(network.memory.items, expected["items"], tolerance)


def test_noise_is_seen_by_the_encoder_only():
    network = make(torch.float64, noise=0.7).train()
    windows = random_tensor(2, 4, 2, dtype=torch.float64)
    noisy = add_noise(windows, 0.7, seeded(5))
    expected = run_naive(network, noisy, update=True, target=windows)
    assert_close(network.loss(windows, seeded(5)), expected["loss"], 1e-10)
    assert_close(network.memory.items, expected["items"], 1e-10)


def test_loss_in_training_moves_the_items():
    network = make().train()
    before = network.memory.items.clone()
    network.loss(random_tensor(3, 4, 2))
    assert (network.memory.items != before).all()
    assert not network.memory.items.requires_grad


def test_gates_learn_in_training():
    network = make()
    windows = random_tensor(3, 4, 2)
    gates = network.memory.gate_item.weight, network.memory.gate_content.weight
    network.loss(windows).backward()
    assert all(gate.grad is None for gate in gates)
    network.train().loss(windows).backward()
    assert all(gate.grad.abs().min() > 0 for gate in gates)


def test_optimizer_does_not_own_the_items():
    network = make()
    assert "memory.items" in network.state_dict()
    assert "memory.items" not in dict(network.named_parameters())
    before = network.memory.items.clone()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    network.loss(random_tensor(3, 4, 2)).backward()
    optimizer.step()
    assert torch.equal(network.memory.items, before)


def test_gradient_of_the_loss():
    network = make(torch.float64)
    windows = random_tensor(2, 3, 2, dtype=torch.float64)
    windows[0, 1, 0] = math.nan
    parameters = [p for n, p in network.named_parameters() if "gate" not in n]
    assert torch.autograd.gradcheck(lambda *_: network.loss(windows), parameters)


def test_gradient_of_the_loss_in_training():
    network = make(torch.float64).train()
    windows = random_tensor(2, 3, 2, dtype=torch.float64)
    windows[0, 1, 0] = math.nan
    start = network.memory.items

    def loss():
        network.memory.set_items(start)
        return network.loss(windows)

    # The gates and the decoder: they do not change the queries.
    parameters = [*network.memory.parameters(), *network.decoder.parameters()]
    assert len(parameters) == 6
    assert torch.autograd.gradcheck(lambda *_: loss(), parameters)

    # The queries are constants to the update (eq. 1-3), so the gradient is that of
    # a loss in which the update sees the same queries whatever the encoder says.
    gradients = torch.autograd.grad(loss(), list(network.parameters()))
    update = network.memory.update
    queries = network.encoder(windows).flatten(0, 1).detach()
    network.memory.update = lambda _: update(queries)
    expected = torch.autograd.grad(loss(), list(network.parameters()))
    for gradient, other in zip(gradients, expected, strict=True):
        assert_close(gradient, other, 1e-12)
    assert torch.autograd.gradcheck(lambda *_: loss(), list(network.parameters()))


def test_gradient_is_finite_where_the_attention_is_one_hot():
    network = make(entropy_weight=1.0)
    # So long that the softmax underflows to exact zeros and ones.
    network.memory.set_items(1e4 * network.memory.items)
    windows = random_tensor(3, 4, 2)
    windows[0, 0, 0] = math.nan
    queries = network.encoder(windows)
    attention = network.memory.attend(queries, network.memory.items)
    assert ((attention == 0) | (attention == 1)).all()
    network.loss(windows).backward()
    for name, parameter in network.named_parameters():
        if "gate" not in name:
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("n_items", [1, 2, 7])
@quick
@given(seed=st.integers(0, 1000))
def test_entropy_of_one_hot_and_uniform_attention(n_items, seed):
    network = make(torch.float64, seed, n_memory_items=n_items)
    windows = random_tensor(3, 4, 2, dtype=torch.float64, seed=seed)
    # All items on one line: the attention is on the first or on the last.
    line = torch.linspace(-1, 1, n_items, dtype=torch.float64)
    direction = torch.tensor([1.0, -0.3, 0.2, 0.7], dtype=torch.float64)
    network.memory.set_items(1e8 * torch.outer(line, direction))
    # Exact in spite of the 1e-12 in the logarithm, and of the error beside it,
    # which is large here.
    error = network.loss(windows).item()
    assert entropy_of(network, windows) == pytest.approx(0, abs=1e-10 * max(1, error))
    network.memory.set_items(torch.ones(n_items, 4, dtype=torch.float64))
    assert entropy_of(network, windows) == pytest.approx(math.log(n_items), abs=1e-9)


@quick
@given(
    seed=st.integers(0, 1000),
    order=st.permutations(range(5)),
    temperature=st.sampled_from([0.05, 1.0]),
)
def test_order_of_items_means_nothing(seed, order, temperature):
    network, permuted = (
        make(torch.float64, seed, n_memory_items=5, temperature=temperature)
        for _ in range(2)
    )
    permuted.memory.set_items(network.memory.items[order])
    windows = random_tensor(2, 3, 2, dtype=torch.float64, seed=seed)
    for actual, expected in zip(permuted(windows), network(windows), strict=True):
        assert_close(actual, expected, 1e-10)
    assert_close(permuted.loss(windows), network.loss(windows), 1e-10)
    permuted.train(), network.train()
    assert_close(permuted.loss(windows), network.loss(windows), 1e-10)
    assert_close(permuted.memory.items, network.memory.items[order], 1e-10)


def test_decoder_is_weak_on_purpose():
    layers = make(n_layers=3).decoder.modules()
    shapes = [tuple(m.weight.shape) for m in layers if isinstance(m, torch.nn.Linear)]
    assert shapes == [(4, 8), (2, 4)]


def test_items_are_unit_vectors_at_first():
    items = initialized(MEMTONetwork, n_memory_items=10).memory.items
    assert_close(items.norm(dim=1), 1.0, 1e-6)
