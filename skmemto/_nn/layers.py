"""Embedding and Transformer encoder layers that the networks share.

NaN in a window is a missing value. The letters of the shapes are those of
`skmemto._nn.shapes`.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from skmemto import _distributed
from skmemto._nn.shapes import Bool, Float


def initialize_weights(network: nn.Module, generator: torch.Generator) -> None:
    """Fill all parameters: Glorot weights, zero biases, unit norms."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.LayerNorm):
            layer.reset_parameters()
        elif isinstance(layer, TokenEmbedding):
            nn.init.zeros_(layer.missing)


def dropout(
    x: Float[Tensor, "*shape"], p: float, generator: torch.Generator | None
) -> Float[Tensor, "*shape"]:
    """Inverted dropout that draws from its own generator; none without one."""
    if p == 0.0 or generator is None:
        return x
    kept = torch.empty_like(x).bernoulli_(1.0 - p, generator=generator)
    return x * kept / (1.0 - p)


def add_noise(
    x: Float[Tensor, "*shape"], std: float, generator: torch.Generator | None
) -> Float[Tensor, "*shape"]:
    """Add Gaussian noise drawn from its own generator; none without one."""
    if std == 0.0 or generator is None:
        return x
    return x + std * torch.empty_like(x).normal_(generator=generator)


def reconstruction_error(
    reconstruction: Float[Tensor, "B L F"], windows: Float[Tensor, "B L F"]
) -> Float[Tensor, ""]:
    """Mean squared error over the values of the windows that are not missing."""
    missing = windows.isnan()
    # Taken as it was reconstructed, a missing value has no error and no gradient.
    target = torch.where(missing, reconstruction.detach(), windows)
    mean_square = functional.mse_loss(reconstruction, target)
    n_missing = missing.sum()
    # Of the whole batch, in a distributed fit: parts may have more or fewer.
    counts = torch.stack([torch.full_like(n_missing, missing.numel()), n_missing])
    n_values, n_missing = _distributed.sum_over_ranks(counts).to(mean_square.dtype)
    return mean_square * (n_values / (n_values - n_missing).clamp(min=1))


def fill_missing(
    x: Float[Tensor, "B L F"], missing: Bool[Tensor, "B L F"]
) -> Float[Tensor, "B L F"]:
    """Interpolate windows linearly over time where values are missing.

    Before the first value of a window and after the last these go on; a feature
    without any is zero, its mean where the training data were standardized.
    """
    length = x.shape[1]
    steps = torch.arange(length, device=x.device)[:, None]  # (L, 1)
    before = torch.where(missing, -1, steps).cummax(dim=1).values
    after = torch.where(missing, length, steps).flip(1).cummin(dim=1).values.flip(1)
    share = (steps - before).to(x) / (after - before)  # of the value after
    share = torch.where(before < 0, 1, torch.where(after == length, 0, share))
    known = x.nan_to_num(0.0)
    left = known.gather(1, before.clamp(min=0))
    right = known.gather(1, after.clamp(max=length - 1))
    return torch.where(missing, torch.lerp(left, right, share), x)


def sinusoidal_positions(length: int, d_model: int) -> Float[Tensor, "L D"]:
    """Position code of Vaswani et al. (2017), section 3.5, in float64.

    In float32 the angles of long windows would be off by more than a float32 code
    can show.
    """
    steps = torch.arange(length, dtype=torch.float64)
    even = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = torch.outer(steps, torch.exp(even * (-math.log(10000.0) / d_model)))
    code = torch.stack([angles.sin(), angles.cos()], dim=-1)  # (L, D/2, 2)
    return code.flatten(1)[:, :d_model]


class TokenEmbedding(nn.Module):
    """Circular convolution over three steps, without bias, plus position code.

    Written as a linear layer on each step beside its two neighbours, which is the
    same map and faster on a CPU. A missing value is interpolated, and adds a learned
    vector of its feature to the token; the vectors start at zero (not in the papers).
    """

    def __init__(self, n_features: int, d_model: int):
        super().__init__()
        self.projection = nn.Linear(3 * n_features, d_model, bias=False)
        self.missing = nn.Parameter(torch.empty(n_features, d_model))

    def forward(self, x: Float[Tensor, "B L F"]) -> Float[Tensor, "B L D"]:
        """Embed windows as tokens."""
        # One NaN makes the sum NaN, which takes less time than to ask each value. A
        # sum that overflows costs time only.
        missing = x.isnan() if x.sum().isnan() else None
        if missing is not None:
            x = fill_missing(x, missing)
        circle = torch.cat([x[:, -1:], x, x[:, :1]], dim=1).flatten(1)
        neighbours = circle.unfold(1, 3 * x.shape[-1], x.shape[-1])  # (B, L, 3 F)
        # A view would be multiplied window by window.
        tokens = self.projection(neighbours.contiguous())
        if missing is not None:
            tokens = tokens + missing.to(x) @ self.missing
        code = sinusoidal_positions(*tokens.shape[1:])
        return tokens + code.to(tokens.dtype).to(tokens.device)  # MPS has no float64


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product self-attention over the steps of a window."""

    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Map tokens to tokens."""
        q, k, v = self.split(x)
        if q.dtype is torch.bfloat16 and q.device.type == "cpu":
            # There the gradient of attention in bfloat16 takes ten times as long.
            q, k, v = q.float(), k.float(), v.float()
        with torch.autocast(q.device.type, enabled=False):
            mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.merge(mixed)

    def split(
        self, x: Float[Tensor, "B L D"]
    ) -> tuple[
        Float[Tensor, "B H L E"], Float[Tensor, "B H L E"], Float[Tensor, "B H L E"]
    ]:
        """Map tokens to queries, keys and values of each head, E = D / H wide."""
        q, k, v = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        return q, k, v

    def merge(self, mixed: Float[Tensor, "B H L E"]) -> Float[Tensor, "B L D"]:
        """Map what the heads took from the values to tokens."""
        return self.out(mixed.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each with a residual and a norm after it."""

    attention_class: ClassVar[type[SelfAttention]] = SelfAttention

    def __init__(
        self, d_model: int, n_heads: int, dim_feedforward: int, dropout: float
    ):
        super().__init__()
        self.attention = self.attention_class(d_model, n_heads)
        self.norm1 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.linear2 = nn.Linear(dim_feedforward, d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout = dropout

    def forward(
        self, x: Float[Tensor, "B L D"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B L D"]:
        """Map tokens to tokens."""
        return self.feed_forward(x, self.attention(x), generator)

    def feed_forward(
        self,
        x: Float[Tensor, "B L D"],
        attended: Float[Tensor, "B L D"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B L D"]:
        """Join tokens and what attention made of them, and feed both forward."""
        x = self.norm1(x + dropout(attended, self.dropout, generator))
        hidden = functional.gelu(self.linear1(x))  # (B, L, dim_feedforward)
        return self.norm2(x + dropout(self.linear2(hidden), self.dropout, generator))


class Encoder(nn.Module):
    """Embedding, a stack of encoder layers, and a last norm."""

    layer_class: ClassVar[type[EncoderLayer]] = EncoderLayer

    def __init__(
        self,
        n_features: int,
        d_model: int,
        n_heads: int,
        n_layers: int,
        dim_feedforward: int,
        dropout: float,
    ):
        super().__init__()
        self.embedding = TokenEmbedding(n_features, d_model)
        self.layers = nn.ModuleList(
            self.layer_class(d_model, n_heads, dim_feedforward, dropout)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.dropout = dropout

    def forward(
        self, x: Float[Tensor, "B L F"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B L D"]:
        """Encode windows as tokens, the queries of a memory."""
        x = self.embed(x, generator)
        for layer in self.layers:
            x = layer(x, generator)
        return self.norm(x)

    def embed(
        self, x: Float[Tensor, "B L F"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B L D"]:
        """Turn windows into the tokens of the first layer."""
        return dropout(self.embedding(x), self.dropout, generator)
