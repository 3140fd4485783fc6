"""Embedding and Transformer encoder layers that the networks share.

Shapes: B windows, L steps, F features, D = d_model, H heads. NaN in a window is a
reading that is missing.
"""

import math
from collections.abc import Callable
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from skmemto import _distributed

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def build_empty(make: Callable[[], NetworkT]) -> NetworkT:
    """Make a network whose parameters hold nothing yet.

    Torch layers fill their parameters from the global random state when they are
    made. Made on the "meta" device they leave it alone; the caller fills them
    with `initialize` or `load_state_dict`.
    """
    with torch.device("meta"):
        network = make()
    return network.to_empty(device="cpu").float()


def initialize(network: nn.Module, generator: torch.Generator) -> None:
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


def dropout(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Inverted dropout that draws from its own generator; none without one."""
    if p == 0.0 or generator is None:
        return x
    kept = torch.empty_like(x).bernoulli_(1.0 - p, generator=generator)
    return x * kept / (1.0 - p)


def add_noise(x: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    """Add Gaussian noise drawn from its own generator; none without one."""
    if std == 0.0 or generator is None:
        return x
    return x + std * torch.empty_like(x).normal_(generator=generator)


def reconstruction_error(reconstruction: Tensor, windows: Tensor) -> Tensor:
    """Mean squared error over the readings of the windows that are not missing."""
    missing = windows.isnan()
    # Taken as it was reconstructed, a missing reading has no error and no gradient.
    target = torch.where(missing, reconstruction.detach(), windows)
    error = functional.mse_loss(reconstruction, target)
    n_missing = missing.sum()
    # Of the whole batch, in a distributed fit: parts may have more or fewer.
    counts = torch.stack([torch.full_like(n_missing, missing.numel()), n_missing])
    n_readings, n_missing = _distributed.sum_over_ranks(counts).to(error.dtype)
    return error * (n_readings / (n_readings - n_missing).clamp(min=1))


def fill_missing(x: Tensor, missing: Tensor) -> Tensor:
    """Interpolate windows (B, L, F) linearly over time where readings are missing.

    Before the first reading of a window and after the last these go on; a feature
    without any is zero, its mean where the training data were standardized.
    """
    length = x.shape[1]
    steps = torch.arange(length, device=x.device)[:, None]  # (L, 1)
    before = torch.where(missing, -1, steps).cummax(dim=1).values
    after = torch.where(missing, length, steps).flip(1).cummin(dim=1).values.flip(1)
    share = (steps - before).to(x) / (after - before)  # of the reading after
    share = torch.where(before < 0, 1, torch.where(after == length, 0, share))
    known = x.nan_to_num(0.0)
    left = known.gather(1, before.clamp(min=0))
    right = known.gather(1, after.clamp(max=length - 1))
    return torch.where(missing, torch.lerp(left, right, share), x)


def sinusoidal_positions(length: int, d_model: int) -> Tensor:
    """Position code of Vaswani et al. (2017), section 3.5: (L, D), in float64.

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
    same map and faster on a CPU. A missing reading is interpolated, and adds a learned
    vector of its feature to the token; the vectors start at zero (not in the papers).
    """

    def __init__(self, n_features: int, d_model: int):
        super().__init__()
        self.projection = nn.Linear(3 * n_features, d_model, bias=False)
        self.missing = nn.Parameter(torch.empty(n_features, d_model))

    def forward(self, x: Tensor) -> Tensor:
        """Embed windows (B, L, F) as tokens (B, L, D)."""
        # One NaN makes the sum NaN, which takes less time than to ask each reading. A
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

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, L, D) to tokens (B, L, D)."""
        q, k, v = self.split(x)
        if q.dtype is torch.bfloat16 and q.device.type == "cpu":
            # There the gradient of attention in bfloat16 takes ten times as long.
            q, k, v = q.float(), k.float(), v.float()
        with torch.autocast(q.device.type, enabled=False):
            mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.merge(mixed)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map tokens (B, L, D) to queries, keys, values, each (B, H, L, D/H)."""
        q, k, v = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        return q, k, v

    def merge(self, mixed: Tensor) -> Tensor:
        """Map what the heads took from the values (B, H, L, D/H) to (B, L, D)."""
        return self.out(mixed.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each with a residual and a norm after it."""

    attention_class: ClassVar[type[nn.Module]] = SelfAttention

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

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Map tokens (B, L, D) to tokens (B, L, D)."""
        return self.add(x, self.attention(x), generator)

    def add(
        self, x: Tensor, attended: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Add to tokens (B, L, D) what attention made of them, and feed forward."""
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

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Encode windows (B, L, F) as queries (B, L, D)."""
        x = self.embed(x, generator)
        for layer in self.layers:
            x = layer(x, generator)
        return self.norm(x)

    def embed(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Turn windows (B, L, F) into the tokens (B, L, D) of the first layer."""
        return dropout(self.embedding(x), self.dropout, generator)
