"""The network of the Anomaly Transformer, against its equations and its minimax."""

import math
from functools import partial

import naive
import pytest
import torch
from conftest import (
    assert_close,
    assert_state,
    copy_state,
    initialized,
    make_network,
    random_tensor,
    randomize,
    seeded,
)
from torch.nn import functional

from skmemto._nn.anomaly_transformer import (
    AnomalyAttention,
    AnomalyTransformerNetwork,
    Associations,
    association_discrepancy,
    reverse_gradient,
)
from skmemto._nn.layers import Encoder, SelfAttention, add_noise

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-10)]
)
# (n_windows, n_steps) with the sizes that differ from those of the tiny network.
SHAPES = pytest.mark.parametrize(
    ("n_windows", "n_steps", "sizes"),
    [
        (3, 4, {}),
        (1, 1, {"n_features": 1}),
        (4, 1, {"n_layers": 2}),
        (2, 6, {"d_model": 7, "n_heads": 1, "n_features": 4}),
        (2, 5, {"d_model": 6, "n_heads": 3, "n_layers": 3}),
        (1, 30, {}),
    ],
)
make = partial(make_network, AnomalyTransformerNetwork)


def make_attention(d_model=6, n_heads=3, dtype=torch.float64):
    return randomize(AnomalyAttention(d_model, n_heads), dtype)


def pair(associations):
    return associations.prior, associations.series


def random_associations(n_windows=2, n_heads=3, n_steps=5):
    shape = (n_windows, n_heads, n_steps, n_steps)
    return (
        random_tensor(*shape, dtype=torch.float64, seed=seed).softmax(dim=-1)
        for seed in (1, 2)
    )


def run_naive(network, windows):
    return naive.anomaly_transformer(
        windows.double().numpy(),
        naive.weights_of(network),
        n_heads=network.config.n_heads,
    )


# ------------------------------------------------------------ associations


@PRECISIONS
@pytest.mark.parametrize("n_steps", [1, 2, 9, 40])
def test_attention_equals_naive(n_steps, dtype, tolerance):
    attention = make_attention(dtype=dtype)
    x = random_tensor(2, n_steps, 6, dtype=dtype)
    weights = naive.weights_of(attention)
    mixed, associations = attention.associate(x)
    prior, series = pair(associations)
    assert mixed.dtype == prior.dtype == series.dtype == dtype
    for i, window in enumerate(x.double().numpy()):
        assert_close(prior[i], naive.prior_association(window, weights), tolerance)
        assert_close(series[i], naive.attention_weights(window, weights, 3), tolerance)
        assert_close(mixed[i], naive.self_attention(window, weights, 3), tolerance)


def test_it_mixes_as_plain_self_attention_does():
    attention, plain = make_attention(), SelfAttention(6, 3).double()
    plain.load_state_dict(attention.state_dict(), strict=False)
    x = random_tensor(2, 7, 6, dtype=torch.float64)
    assert_close(attention(x), plain(x), 1e-12)


def test_rows_of_both_associations_sum_to_one():
    _, associations = make_attention(dtype=torch.float32).associate(
        10 * random_tensor(2, 30, 6)
    )
    for association in pair(associations):
        assert (association >= 0).all()
        assert_close(association.sum(dim=-1), 1.0, 1e-6)


@pytest.mark.parametrize("value", [-1e6, -3.0, 0.0, 3.0, 1e6])
def test_width_of_the_prior(value):
    # The bias alone decides: sigma = 3^(sigmoid(5 s) + 1e-5) - 1, in (1e-5, 2].
    attention = make_attention(dtype=torch.float32)
    with torch.no_grad():
        attention.spread.weight.zero_()
        attention.spread.bias.fill_(value).requires_grad_()
    prior = attention.prior(random_tensor(1, 200, 6))
    share = 0.5 * (1 + math.tanh(5 * value / 2))
    sigma = 3 ** (share + 1e-5) - 1
    peak = 1 / sum(math.exp(-(d**2) / (2 * sigma**2)) for d in range(-99, 100))
    assert_close(prior[0, :, 100, 100], peak, 1e-3)
    prior.square().sum().backward()
    assert torch.isfinite(attention.spread.bias.grad).all()


def test_width_of_the_prior_is_of_each_head_and_step():
    x = 0.2 * random_tensor(1, 9, 6, dtype=torch.float64)
    prior = make_attention().prior(x)
    peaks = prior[0].diagonal(dim1=1, dim2=2)[:, 1:-1]  # (H, L), without the ends
    assert len(peaks.flatten().unique()) == peaks.numel()


def test_discrepancy_equals_naive():
    prior, series = random_associations()
    expected = [
        naive.association_discrepancy(p, s)
        for p, s in zip(prior.numpy(), series.numpy(), strict=True)
    ]
    discrepancy = association_discrepancy(Associations(prior, series))
    assert discrepancy.shape == (2, 5)
    assert_close(discrepancy, expected, 1e-12)


def test_discrepancy_is_that_of_torch_but_for_the_epsilon():
    prior, series = random_associations()
    divergence = functional.kl_div(series.log(), prior, reduction="none")
    divergence += functional.kl_div(prior.log(), series, reduction="none")
    assert_close(
        association_discrepancy(Associations(prior, series)),
        divergence.sum(dim=-1).mean(dim=1),
        5e-3,
    )


def test_discrepancy_is_symmetric_and_zero_for_the_same():
    prior, series = random_associations()
    there = association_discrepancy(Associations(prior, series))
    assert (there > 0).all()
    assert torch.equal(there, association_discrepancy(Associations(series, prior)))
    assert (association_discrepancy(Associations(prior, prior)) == 0).all()


def test_discrepancy_of_one_hot_rows_is_finite_and_has_a_gradient():
    prior = torch.eye(4).expand(1, 2, 4, 4).clone().requires_grad_()
    series = torch.eye(4).flip(0).expand(1, 2, 4, 4).clone().requires_grad_()
    discrepancy = association_discrepancy(Associations(prior, series))
    assert_close(discrepancy, 2 * math.log(1 + 1e4), 1e-4)
    discrepancy.sum().backward()
    for association in (prior, series):
        assert torch.isfinite(association.grad).all()


def test_a_step_tied_to_its_neighbours_has_a_low_discrepancy():
    # The reason why the sign is turned: that is what an anomaly looks like.
    steps = torch.arange(21.0)
    prior = (-((steps[:, None] - steps) ** 2) / 8).softmax(dim=-1)
    series = torch.full((21, 21), 1 / 21)
    series[10] = (-((steps[10] - steps) ** 2) / 10).softmax(dim=-1)
    discrepancy = association_discrepancy(
        Associations(prior[None, None], series[None, None])
    )
    assert discrepancy[0].argmin() == 10


# ------------------------------------------------------------ network


@PRECISIONS
@SHAPES
def test_forward_equals_naive(n_windows, n_steps, sizes, dtype, tolerance):
    network = make(dtype, **sizes)
    windows = random_tensor(n_windows, n_steps, network.config.n_features, dtype=dtype)
    expected = run_naive(network, windows)
    reconstruction, latent = network(windows)
    assert reconstruction.dtype == latent.dtype == dtype
    assert latent.shape == windows.shape[:2]
    assert_close(reconstruction, expected["reconstruction"], tolerance)
    assert_close(latent, -expected["discrepancies"].sum(axis=1), 5 * tolerance)


@PRECISIONS
@SHAPES
def test_value_of_the_loss_is_twice_the_error(
    n_windows, n_steps, sizes, dtype, tolerance
):
    network = make(dtype, **sizes)
    windows = random_tensor(n_windows, n_steps, network.config.n_features, dtype=dtype)
    expected = run_naive(network, windows)["reconstruction"]
    error = naive.input_deviation(windows.double().numpy(), expected).mean()
    loss = network.loss(windows)
    assert loss.dtype == dtype
    assert_close(loss, 2 * error, tolerance)


def test_encoder_is_that_of_memto_with_another_attention():
    network = make(torch.float64, n_layers=2)
    plain = Encoder(2, 4, 2, 2, 5, 0.0).double()
    missing = plain.load_state_dict(network.encoder.state_dict(), strict=False)
    assert not missing.missing_keys
    assert all("spread" in name for name in missing.unexpected_keys)
    windows = random_tensor(3, 6, 2, dtype=torch.float64)
    assert_close(network.encoder(windows), plain(windows), 1e-12)


def test_forward_gives_the_tokens_of_associate():
    encoder = make(dropout=0.3, n_layers=2).encoder
    layer, windows = encoder.layers[0], random_tensor(3, 6, 2)
    x = encoder.embed(windows)
    assert torch.equal(layer.attention(x), layer.attention.associate(x)[0])
    for module, given in ((layer, x), (encoder, windows)):
        for seed in (None, 1):
            generators = [seed and seeded(seed) for _ in range(2)]
            tokens, _ = module.associate(given, generators[0])
            assert torch.equal(module(given, generators[1]), tokens)


def test_encoder_tells_the_associations_of_each_layer():
    encoder, windows = make(n_layers=3).encoder, random_tensor(2, 6, 2)
    x = encoder.embed(windows)
    _, associations = encoder.associate(windows)
    for layer, found in zip(encoder.layers, associations, strict=True):
        _, expected = layer.attention.associate(x)
        for actual, wanted in zip(pair(found), pair(expected), strict=True):
            assert torch.equal(actual, wanted)
        x = layer(x)


# ------------------------------------------------------------ minimax


def two_steps(network, windows):
    """Both phases as the authors write them: their gradients, added up."""
    k = network.config.discrepancy_weight
    error = functional.mse_loss(network(windows)[0], windows)

    def discrepancy(detach_prior=False, detach_series=False):
        _, associations = network.encoder.associate(windows)
        layers = []
        for prior, series in map(pair, associations):
            p = prior.detach() if detach_prior else prior
            s = series.detach() if detach_series else series
            forth = (p * ((p + 1e-4).log() - (s + 1e-4).log())).sum(dim=-1)
            back = (s * ((s + 1e-4).log() - (p + 1e-4).log())).sum(dim=-1)
            layers.append((forth.mean(dim=1) + back.mean(dim=1)).mean())
        return sum(layers) / len(layers)

    maximise = error - k * discrepancy(detach_prior=True)
    minimise = error + k * discrepancy(detach_series=True)
    maximise.backward(retain_graph=True)
    minimise.backward()


@pytest.mark.parametrize("weight", [0.0, 3.0])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_gradient_is_that_of_the_two_steps(n_layers, weight):
    network = make(torch.float64, n_layers=n_layers, discrepancy_weight=weight)
    windows = random_tensor(3, 6, 2, dtype=torch.float64)
    parameters = {
        name: parameter
        for name, parameter in network.named_parameters()
        if not name.endswith("missing")  # no value is
    }
    two_steps(network, windows)
    expected = {name: p.grad.clone() for name, p in parameters.items()}
    network.zero_grad()
    network.loss(windows).backward()
    for name, parameter in parameters.items():
        assert_close(parameter.grad, expected[name], 1e-12)
        if "spread" in name:
            assert (parameter.grad.abs().max() > 0) == (weight > 0)


def test_reversed_gradient():
    x = random_tensor(3, 4).requires_grad_()
    y = reverse_gradient(x)
    assert torch.equal(y, x)
    y.sum().backward()
    assert (x.grad == -1).all()


def associations_after_a_step(part):
    """Discrepancy before and after a step of training on one part of the network."""
    network = make(discrepancy_weight=1e3)
    windows = random_tensor(8, 10, 2)
    parameters = [p for n, p in network.named_parameters() if part in n]
    assert len(parameters) == 2
    optimizer = torch.optim.SGD(parameters, lr=1e-5)
    before = network(windows)[1].mean().item()
    network.train().loss(windows).backward()
    optimizer.step()
    return -before, -network.eval()(windows)[1].mean().item()


def test_prior_comes_near_to_the_series_which_goes_away_from_it():
    before, after = associations_after_a_step("spread")
    assert after < before
    before, after = associations_after_a_step("qkv")
    assert after > before


# ------------------------------------------------------------ training


def test_noise_is_seen_by_the_encoder_only():
    network = make(torch.float64, noise=0.7).train()
    windows = random_tensor(2, 4, 2, dtype=torch.float64)
    noisy = add_noise(windows, 0.7, seeded(5))
    expected = run_naive(network, noisy)["reconstruction"]
    error = naive.input_deviation(windows.numpy(), expected).mean()
    assert_close(network.loss(windows, seeded(5)), 2 * error, 1e-10)


@pytest.mark.parametrize("training", [False, True])
def test_forward_and_loss_change_nothing(training):
    network = make(dropout=0.5, noise=0.5).train(training)
    windows = random_tensor(3, 4, 2)
    before = copy_state(network)
    for a, b in zip(network(windows), network(windows), strict=True):
        assert torch.equal(a, b)
    network.loss(windows, seeded(0)).backward()
    assert_state(network, before)


@pytest.mark.parametrize("n_steps", [1, 6])
def test_gradient_is_finite_for_constant_windows(n_steps):
    network = initialized(AnomalyTransformerNetwork)
    windows = torch.zeros(2, n_steps, 2)
    windows[0, 0, 0] = math.nan
    network.loss(windows).backward()
    for name, parameter in network.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


def test_bfloat16_compares_associations_in_float32():
    network = make(n_layers=2)
    windows = random_tensor(3, 12, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, associations = network.encoder.associate(windows)
        loss = network.loss(windows)
    for association in (a for layer in associations for a in pair(layer)):
        assert association.dtype == torch.float32
        assert_close(association.sum(dim=-1), 1.0, 1e-5)
    assert_close(loss, network.loss(windows).item(), 0.05)


def test_widths_of_the_prior_are_not_saturated_at_first():
    network = initialized(AnomalyTransformerNetwork, d_model=64, n_heads=4)
    tokens = functional.layer_norm(random_tensor(2, 50, 64), (64,))
    spread = network.encoder.layers[0].attention.spread(tokens)
    assert ((5 * spread).abs() < 5).double().mean() > 0.8
