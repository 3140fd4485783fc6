import math
from dataclasses import replace

import naive
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skmemto._nn.layers import add_noise, build_empty
from skmemto._nn.memto import MEMTOConfig, MEMTONetwork

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)]
)
TINY = MEMTOConfig(
    n_features=2,
    n_memory_items=3,
    d_model=4,
    n_heads=2,
    n_layers=1,
    dim_feedforward=5,
    dropout=0.0,
    noise=0.0,
    temperature=0.5,
    entropy_weight=0.3,
)
# (n_windows, n_steps) with a network.
SHAPES = pytest.mark.parametrize(
    ("n_windows", "n_steps", "config"),
    [
        (3, 4, TINY),
        (1, 1, replace(TINY, n_features=1)),
        (4, 1, replace(TINY, n_memory_items=1)),
        (2, 6, replace(TINY, d_model=7, n_heads=1, n_features=4)),
        (2, 5, replace(TINY, d_model=6, n_heads=3, n_layers=3, temperature=0.1)),
        (1, 9, replace(TINY, n_memory_items=10, temperature=0.1, entropy_weight=0.0)),
    ],
)
quick = settings(deadline=None, derandomize=True, max_examples=25)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_tensor(*shape, dtype=torch.float32, seed=1):
    return torch.randn(*shape, generator=seeded(seed)).to(dtype)


def make_network(config=TINY, dtype=torch.float32, seed=0):
    """Initialise a network, then move all its parameters: no bias stays 0."""
    network = build_empty(lambda: MEMTONetwork(config))
    network.initialize(seeded(seed))
    generator = seeded(seed + 1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return network.to(dtype).eval()


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


def assert_close(actual, expected, tolerance):
    np.testing.assert_allclose(
        np.asarray(actual.detach()), expected, rtol=tolerance, atol=tolerance
    )


def entropy_of(network, windows):
    """Mean entropy, from what its weight does to the loss."""
    losses = []
    for weight in (1.0, 0.0):
        network.config = replace(network.config, entropy_weight=weight)
        losses.append(network.loss(windows).item())
    return losses[0] - losses[1]


@PRECISIONS
@SHAPES
def test_forward_equals_naive(n_windows, n_steps, config, dtype, tolerance):
    network = make_network(config, dtype)
    windows = random_tensor(n_windows, n_steps, config.n_features, dtype=dtype)
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
def test_loss_equals_naive(n_windows, n_steps, config, dtype, tolerance):
    network = make_network(config, dtype)
    windows = random_tensor(n_windows, n_steps, config.n_features, dtype=dtype)
    expected = run_naive(network, windows)
    loss = network.loss(windows)
    assert loss.dtype == dtype
    assert_close(loss, expected["loss"], tolerance)


@PRECISIONS
@SHAPES
def test_loss_in_training_equals_naive(n_windows, n_steps, config, dtype, tolerance):
    network = make_network(config, dtype).train()
    for seed in (1, 2):  # the second batch finds the items that the first left
        windows = random_tensor(
            n_windows, n_steps, config.n_features, dtype=dtype, seed=seed
        )
        expected = run_naive(network, windows, update=True)
        loss = network.loss(windows)
        assert_close(loss, expected["loss"], tolerance)
        assert_close(network.memory.items, expected["items"], tolerance)


def test_noise_is_seen_by_the_encoder_only():
    network = make_network(replace(TINY, noise=0.7), torch.float64).train()
    windows = random_tensor(2, 4, 2, dtype=torch.float64)
    noisy = add_noise(windows, 0.7, seeded(5))
    expected = run_naive(network, noisy, update=True, target=windows)
    assert_close(network.loss(windows, seeded(5)), expected["loss"], 1e-10)
    assert_close(network.memory.items, expected["items"], 1e-10)


@pytest.mark.parametrize(
    "config", [replace(TINY, noise=0.5), replace(TINY, dropout=0.5)]
)
def test_training_draws_from_its_generator_only(config):
    windows = random_tensor(3, 4, 2)
    before = torch.get_rng_state()

    def loss(seed):
        network = make_network(config).train()
        generator = None if seed is None else seeded(seed)
        return network.loss(windows, generator).item()

    assert loss(0) == loss(0) != loss(1)
    # Without a generator there is neither noise nor dropout.
    plain = make_network(replace(config, noise=0.0, dropout=0.0)).train()
    assert loss(None) == plain.loss(windows).item()
    assert torch.equal(torch.get_rng_state(), before)


def test_loss_in_training_moves_the_items():
    network = make_network().train()
    before = network.memory.items.clone()
    network.loss(random_tensor(3, 4, 2))
    assert (network.memory.items != before).all()
    assert not network.memory.items.requires_grad


@pytest.mark.parametrize("training", [False, True])
def test_forward_changes_nothing(training):
    network = make_network(replace(TINY, dropout=0.5, noise=0.5)).train(training)
    windows = random_tensor(3, 4, 2)
    before = {name: array.clone() for name, array in network.state_dict().items()}
    first, again = network(windows), network(windows)
    for name, array in network.state_dict().items():
        assert torch.equal(array, before[name]), name
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)


def test_loss_in_eval_mode_changes_nothing():
    network = make_network()
    windows = random_tensor(3, 4, 2)
    before = {name: array.clone() for name, array in network.state_dict().items()}
    first = network.loss(windows)
    first.backward()
    for name, array in network.state_dict().items():
        assert torch.equal(array, before[name]), name
    assert torch.equal(network.loss(windows), first)
    assert torch.equal(windows, random_tensor(3, 4, 2))


def test_gates_learn_in_training():
    network = make_network()
    windows = random_tensor(3, 4, 2)
    gates = network.memory.gate_item.weight, network.memory.gate_content.weight
    network.loss(windows).backward()
    assert all(gate.grad is None for gate in gates)
    network.train().loss(windows).backward()
    assert all(gate.grad.abs().min() > 0 for gate in gates)


def test_all_parameters_learn_in_training():
    network = make_network().train()
    windows = random_tensor(3, 4, 2)
    windows[0, 1] = math.nan
    network.loss(windows).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_optimizer_does_not_own_the_items():
    network = make_network()
    assert "memory.items" in network.state_dict()
    assert "memory.items" not in dict(network.named_parameters())
    before = network.memory.items.clone()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    network.loss(random_tensor(3, 4, 2)).backward()
    optimizer.step()
    assert torch.equal(network.memory.items, before)


def test_training_goes_on_for_several_steps():
    network = make_network(replace(TINY, dropout=0.1, noise=0.1)).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    windows = random_tensor(8, 4, 2)
    before = network.eval().loss(windows).item()
    network.train()
    generator = seeded(0)
    for _ in range(30):
        optimizer.zero_grad()
        network.loss(windows, generator).backward()
        optimizer.step()
    assert network.eval().loss(windows).item() < 0.8 * before


def test_gradient_of_the_loss():
    network = make_network(dtype=torch.float64)
    windows = random_tensor(2, 3, 2, dtype=torch.float64)
    windows[0, 1, 0] = math.nan
    parameters = [p for n, p in network.named_parameters() if "gate" not in n]
    assert torch.autograd.gradcheck(lambda *_: network.loss(windows), parameters)


def test_gradient_of_the_loss_in_training():
    network = make_network(dtype=torch.float64).train()
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
    network = make_network(replace(TINY, entropy_weight=1.0))
    # So long that the softmax underflows to exact zeros and ones.
    network.memory.set_items(1e4 * network.memory.items)
    windows = random_tensor(3, 4, 2)
    windows[0, 0, 0] = math.nan
    queries = network.encoder(windows)
    attention = network.memory.read(queries, network.memory.items)
    assert ((attention == 0) | (attention == 1)).all()
    network.loss(windows).backward()
    for name, parameter in network.named_parameters():
        if "gate" not in name:
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("n_items", [1, 2, 7])
@quick
@given(seed=st.integers(0, 1000))
def test_entropy_of_one_hot_and_uniform_attention(n_items, seed):
    config = replace(TINY, n_memory_items=n_items)
    network = make_network(config, torch.float64, seed)
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
    config = replace(TINY, n_memory_items=5, temperature=temperature)
    network = make_network(config, torch.float64, seed)
    permuted = make_network(config, torch.float64, seed)
    permuted.memory.set_items(network.memory.items[order])
    windows = random_tensor(2, 3, 2, dtype=torch.float64, seed=seed)
    for actual, expected in zip(permuted(windows), network(windows), strict=True):
        assert_close(actual, expected.detach(), 1e-10)
    assert_close(permuted.loss(windows), network.loss(windows).detach(), 1e-10)
    permuted.train(), network.train()
    assert_close(permuted.loss(windows), network.loss(windows).detach(), 1e-10)
    assert_close(permuted.memory.items, network.memory.items[order], 1e-10)


@pytest.mark.parametrize(
    ("n_windows", "n_steps", "config"),
    [
        (20, 100, replace(TINY, n_features=5, d_model=64, n_heads=4, n_layers=3)),
        (2048, 1, TINY),
        (3, 7, replace(TINY, d_model=7, n_heads=1)),
    ],
)
def test_windows_of_a_batch_do_not_influence_one_another(n_windows, n_steps, config):
    network = make_network(config)
    windows = random_tensor(n_windows, n_steps, config.n_features)
    others = windows.clone()
    others[1::2] = 1e3 * random_tensor(*others[1::2].shape, seed=2)
    others[-1] = math.nan
    kept = slice(0, n_windows - 1, 2)
    with torch.inference_mode():
        for actual, expected in zip(network(others), network(windows), strict=True):
            assert torch.equal(actual[kept], expected[kept])
            assert not torch.equal(actual[1], expected[1])


@pytest.mark.parametrize(("n_windows", "n_steps"), [(20, 100), (2048, 1)])
def test_order_of_windows_in_a_batch_means_nothing(n_windows, n_steps):
    # Bitwise, at the shapes and the size that the estimators score with.
    config = replace(TINY, n_features=5, d_model=64, n_heads=4, n_layers=3)
    network = make_network(config)
    windows = random_tensor(n_windows, n_steps, 5)
    order = torch.randperm(n_windows, generator=seeded(0))
    with torch.inference_mode():
        permuted, expected = network(windows[order]), network(windows)
    for actual, other in zip(permuted, expected, strict=True):
        assert torch.equal(actual, other[order])


def test_building_leaves_global_random_state():
    before = torch.get_rng_state()
    build_empty(lambda: MEMTONetwork(TINY)).initialize(seeded(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_initialize_fills_everything_reproducibly():
    states = []
    for seed, rubbish in ((0, math.nan), (0, 1e30), (1, 0.0)):
        network = build_empty(lambda: MEMTONetwork(TINY))
        for array in network.state_dict().values():
            array.fill_(rubbish)
        network.initialize(seeded(seed))
        states.append(network.state_dict())
    for name, array in states[0].items():
        assert torch.equal(array, states[1][name]), name
        if array.ndim == 2 and not name.endswith("missing"):
            assert not torch.equal(array, states[2][name]), name
    np.testing.assert_allclose(states[0]["memory.items"].norm(dim=1), 1, rtol=1e-6)


def test_decoder_is_weak_on_purpose():
    layers = make_network(replace(TINY, n_layers=3)).decoder.modules()
    shapes = [tuple(m.weight.shape) for m in layers if isinstance(m, torch.nn.Linear)]
    assert shapes == [(4, 8), (2, 4)]
