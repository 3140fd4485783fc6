"""The layers that the networks share, against their definitions and torch's own."""

import math

import naive
import numpy as np
import pytest
import torch
from conftest import assert_close, punch_holes, random_tensor, randomize, seeded
from numpy.testing import assert_allclose
from torch import nn

from skmemto._nn.layers import (
    Encoder,
    EncoderLayer,
    SelfAttention,
    TokenEmbedding,
    add_noise,
    dropout,
    fill_missing,
    initialize_weights,
    reconstruction_error,
)
from skmemto._nn.network import build_empty

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)]
)
# n_steps, d_model, n_heads: a single step, odd sizes, one head, one number a head.
SHAPES = pytest.mark.parametrize(
    ("n_steps", "d_model", "n_heads"),
    [(1, 4, 2), (2, 7, 1), (6, 8, 4), (9, 6, 1), (5, 4, 4), (3, 1, 1)],
)


def make_encoder(n_features=2, d_model=4, n_heads=2, n_layers=2, dropout=0.0):
    return build_empty(
        lambda: Encoder(n_features, d_model, n_heads, n_layers, 2 * d_model, dropout)
    )


@PRECISIONS
@pytest.mark.parametrize("n_features", [1, 3])
@SHAPES
def test_token_embedding_equals_naive(
    n_steps, d_model, n_heads, n_features, dtype, tolerance
):
    embedding = randomize(TokenEmbedding(n_features, d_model), dtype)
    x = random_tensor(2, n_steps, n_features, dtype=dtype)
    kernel = naive.conv_kernel(naive.weights_of(embedding)["projection.weight"])
    expected = [
        naive.token_embedding(window, kernel) + naive.positions(n_steps, d_model)
        for window in x.double().numpy()
    ]
    tokens = embedding(x)
    assert tokens.dtype == dtype
    assert_close(tokens, expected, tolerance)


@PRECISIONS
@pytest.mark.parametrize("n_steps", [1, 2, 3, 10])
def test_token_embedding_equals_circular_convolution(n_steps, dtype, tolerance):
    embedding = randomize(TokenEmbedding(5, 4), dtype)
    convolution = nn.Conv1d(
        5, 4, kernel_size=3, padding=1, padding_mode="circular", bias=False, dtype=dtype
    )
    with torch.no_grad():
        # (D, 3 F), step by step, against (D, F, 3), feature by feature.
        kernel = embedding.projection.weight.unflatten(1, (3, 5)).transpose(1, 2)
        convolution.weight.copy_(kernel)
    x = random_tensor(3, n_steps, 5, dtype=dtype)
    positions = embedding(torch.zeros_like(x))  # without bias nothing else is left
    convolved = convolution(x.transpose(1, 2)).transpose(1, 2)
    assert_close(embedding(x), convolved + positions, tolerance)


@PRECISIONS
@pytest.mark.parametrize(
    ("n_steps", "d_model"), [(1, 1), (1, 6), (7, 5), (100, 64), (1000, 32)]
)
def test_positions_are_as_exact_as_the_network(n_steps, d_model, dtype, tolerance):
    # Of a window of zeros the embedding is the position code alone.
    embedding = randomize(TokenEmbedding(2, d_model), dtype)
    code = embedding(torch.zeros(1, n_steps, 2, dtype=dtype))[0]
    assert_close(code, naive.positions(n_steps, d_model), tolerance)


def test_positions_tell_all_steps_apart():
    embedding = randomize(TokenEmbedding(1, 8))
    code = embedding(torch.zeros(1, 50, 1))[0]
    assert (torch.cdist(code, code) + torch.eye(50)).min() > 1e-2


@PRECISIONS
@SHAPES
def test_self_attention_equals_naive(n_steps, d_model, n_heads, dtype, tolerance):
    attention = randomize(SelfAttention(d_model, n_heads), dtype)
    x = random_tensor(3, n_steps, d_model, dtype=dtype)
    weights = naive.weights_of(attention)
    expected = [
        naive.self_attention(window, weights, n_heads) for window in x.double().numpy()
    ]
    assert_close(attention(x), expected, tolerance)


@PRECISIONS
@SHAPES
def test_encoder_layer_equals_naive(n_steps, d_model, n_heads, dtype, tolerance):
    layer = randomize(EncoderLayer(d_model, n_heads, 5, 0.0), dtype)
    x = random_tensor(2, n_steps, d_model, dtype=dtype)
    weights = naive.weights_of(layer)
    expected = [
        naive.encoder_layer(window, weights, n_heads) for window in x.double().numpy()
    ]
    assert_close(layer(x), expected, tolerance)


@PRECISIONS
@pytest.mark.parametrize("n_layers", [1, 3])
@SHAPES
def test_encoder_equals_naive(n_steps, d_model, n_heads, n_layers, dtype, tolerance):
    encoder = randomize(make_encoder(3, d_model, n_heads, n_layers), dtype)
    x = random_tensor(2, n_steps, 3, dtype=dtype)
    weights = naive.weights_of(encoder)
    expected = [
        naive.encoder(window, weights, n_heads) for window in x.double().numpy()
    ]
    assert_close(encoder(x), expected, tolerance)


@pytest.mark.parametrize("n_heads", [1, 4])
def test_attention_is_that_of_torch(n_heads):
    attention = randomize(SelfAttention(8, n_heads))
    reference = nn.MultiheadAttention(8, n_heads, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": attention.qkv.weight,
            "in_proj_bias": attention.qkv.bias,
            "out_proj.weight": attention.out.weight,
            "out_proj.bias": attention.out.bias,
        }
    )
    x = random_tensor(3, 6, 8)
    expected, _ = reference(x, x, x)
    assert_close(attention(x), expected, 1e-5)


def test_attention_has_no_order_of_its_own():
    attention = randomize(SelfAttention(4, 2), torch.float64)
    x = random_tensor(1, 5, 4, dtype=torch.float64)
    order = [3, 0, 4, 1, 2]
    assert_close(attention(x[:, order]), attention(x)[:, order], 1e-12)


def test_embedding_turns_with_the_window():
    embedding = randomize(TokenEmbedding(2, 4), torch.float64)
    x = random_tensor(1, 6, 2, dtype=torch.float64)
    positions = embedding(torch.zeros_like(x))
    turned = embedding(x.roll(2, dims=1)) - positions
    expected = (embedding(x) - positions).roll(2, dims=1)
    assert_close(turned, expected, 1e-12)


def test_build_empty_and_initialize_leave_global_random_state():
    before = torch.get_rng_state()
    initialize_weights(make_encoder(), seeded(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_initialize_fills_all_parameters():
    encoder = make_encoder()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.fill_(math.nan)
    initialize_weights(encoder, seeded(0))
    for name, parameter in encoder.named_parameters():
        assert torch.isfinite(parameter).all(), name
        if name.endswith(("bias", "missing")):
            assert (parameter == 0).all(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            # Glorot and Bengio (2010), eq. 16.
            bound = math.sqrt(6 / sum(parameter.shape))
            assert 0.5 * bound < parameter.abs().max() <= bound, name


def test_initialize_is_reproducible():
    first, again, other = make_encoder(), make_encoder(), make_encoder()
    initialize_weights(first, seeded(3))
    initialize_weights(again, seeded(3))
    initialize_weights(other, seeded(4))
    for name, array in first.state_dict().items():
        assert torch.equal(array, again.state_dict()[name]), name
    weight = "embedding.projection.weight"
    assert not torch.equal(first.state_dict()[weight], other.state_dict()[weight])


def test_dropout_keeps_the_mean():
    x = torch.ones(200, 100)
    dropped = dropout(x, 0.25, seeded(0))
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0.0, 1 / 0.75])
    # 20,000 draws: the standard deviation of the share is 0.003.
    assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.015)
    assert dropped.mean() == pytest.approx(1.0, abs=0.02)


def test_noise_is_normal():
    x = torch.full((200, 100), 7.0)
    noise = add_noise(x, 0.5, seeded(0)) - x
    assert noise.mean() == pytest.approx(0.0, abs=0.02)
    assert noise.std() == pytest.approx(0.5, abs=0.015)
    # Of a normal distribution 4.55 % is beyond two standard deviations.
    assert (noise.abs() > 1.0).float().mean() == pytest.approx(0.0455, abs=0.008)


@pytest.mark.parametrize("function", [dropout, add_noise])
def test_random_functions_draw_from_their_generator_only(function):
    x = torch.ones(5, 6)
    before = torch.get_rng_state()
    first = function(x, 0.5, seeded(0))
    assert torch.equal(first, function(x, 0.5, seeded(0)))
    assert not torch.equal(first, function(x, 0.5, seeded(1)))
    assert torch.equal(torch.get_rng_state(), before)
    assert (x == 1).all()


@pytest.mark.parametrize("function", [dropout, add_noise])
def test_random_functions_do_nothing_at_0_or_without_generator(function):
    x = random_tensor(5, 6)
    assert torch.equal(function(x, 0.0, seeded(0)), x)
    assert torch.equal(function(x, 0.5, None), x)


def test_encoder_drops_out_only_with_generator():
    plain = randomize(make_encoder())
    dropping = make_encoder(dropout=0.5)
    dropping.load_state_dict(plain.state_dict())
    dropping.train()
    x = random_tensor(2, 6, 2)
    before = torch.get_rng_state()
    assert torch.equal(dropping(x), plain(x))
    assert torch.equal(plain(x, seeded(0)), plain(x))
    first = dropping(x, seeded(0))
    assert torch.equal(first, dropping(x, seeded(0)))
    assert not torch.equal(first, dropping(x, seeded(1)))
    assert not torch.equal(first, plain(x))
    assert torch.equal(torch.get_rng_state(), before)


def test_encoder_drops_out_after_embedding_attention_and_feed_forward():
    encoder = randomize(make_encoder(n_layers=2, dropout=0.3))
    windows, generator = random_tensor(2, 6, 2), seeded(0)
    x = dropout(encoder.embedding(windows), 0.3, generator)
    for layer in encoder.layers:
        x = layer.norm1(x + dropout(layer.attention(x), 0.3, generator))
        fed = layer.linear2(nn.functional.gelu(layer.linear1(x)))
        x = layer.norm2(x + dropout(fed, 0.3, generator))
    assert torch.equal(encoder(windows, seeded(0)), encoder.norm(x))


def test_encoder_has_finite_gradient_for_constant_windows():
    encoder = make_encoder()
    initialize_weights(encoder, seeded(0))
    windows = torch.zeros(2, 4, 2)
    windows[0, 0, 0] = math.nan
    encoder(windows).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


# ---------------------------------------------------------------- missing values


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_filling_is_linear_interpolation(share):
    windows = punch_holes(np.random.RandomState(1).standard_normal((4, 9, 3)), share)
    expected = np.zeros(windows.shape)
    steps = np.arange(9)
    for b, f in np.ndindex(4, 3):
        known = ~np.isnan(windows[b, :, f])
        if known.any():
            expected[b, :, f] = np.interp(steps, steps[known], windows[b, known, f])
    x = torch.from_numpy(windows)
    assert_allclose(fill_missing(x, x.isnan()), expected, rtol=1e-12, atol=1e-12)


def test_error_is_the_mean_over_what_is_observed():
    windows = punch_holes(np.random.RandomState(1).standard_normal((4, 9, 3)))
    guess = torch.zeros(windows.shape, dtype=torch.float64, requires_grad=True)
    error = reconstruction_error(guess, torch.from_numpy(windows))
    assert error.item() == pytest.approx(np.nanmean(windows**2), rel=1e-12)
    error.backward()
    n_observed = np.count_nonzero(~np.isnan(windows))
    assert_allclose(guess.grad, np.nan_to_num(-2 * windows / n_observed), rtol=1e-12)


def test_error_of_nothing_is_zero():
    guess = torch.ones(2, 3, 1, requires_grad=True)
    error = reconstruction_error(guess, torch.full((2, 3, 1), torch.nan))
    error.backward()
    assert error.item() == 0
    assert (guess.grad == 0).all()


def test_error_of_complete_windows_is_that_of_torch():
    windows = random_tensor(2, 6, 3)
    error = reconstruction_error(windows, windows.flip(0))
    assert torch.equal(error, nn.functional.mse_loss(windows, windows.flip(0)))


def test_embedding_adds_the_vector_of_the_feature_that_is_missing():
    embedding = randomize(TokenEmbedding(2, 4), torch.float64)
    x = random_tensor(1, 6, 2, dtype=torch.float64)
    x[0, 3, 1] = (x[0, 2, 1] + x[0, 4, 1]) / 2
    holes = x.clone()
    holes[0, 3, 1] = torch.nan  # interpolated, it is the same window
    added = torch.zeros(1, 6, 4, dtype=torch.float64)
    added[0, 3] = embedding.missing[1].detach()
    assert_close(embedding(holes) - embedding(x), added, 1e-12)
