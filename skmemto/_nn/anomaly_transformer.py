"""The network of the Anomaly Transformer (Xu et al., ICLR 2022, arXiv 2110.02642)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from skmemto._nn.layers import (
    Encoder,
    EncoderLayer,
    SelfAttention,
    add_noise,
    initialize_weights,
    reconstruction_error,
)
from skmemto._nn.network import WindowNetwork
from skmemto._nn.shapes import Float

# Inside the logarithms of the divergence, as in the authors' code. Without it the
# far tail of a Gaussian would make the divergence as good as infinite.
_EPSILON = 1e-4


@dataclass(frozen=True)
class AnomalyTransformerConfig:
    """The sizes of a network; all that is needed to make it anew."""

    n_features: int
    d_model: int
    n_heads: int
    n_layers: int
    dim_feedforward: int
    dropout: float
    noise: float
    discrepancy_weight: float


@dataclass(frozen=True)
class Associations:
    """How each step is tied to the others; rows sum to one."""

    prior: Float[Tensor, "B H L L"]  # by how near they are
    series: Float[Tensor, "B H L L"]  # by what they hold


class AnomalyAttention(SelfAttention):
    """Self-attention beside a Gaussian of the distance in time, eq. 2."""

    def __init__(self, d_model: int, n_heads: int):
        super().__init__(d_model, n_heads)
        self.spread = nn.Linear(d_model, n_heads)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Map tokens to tokens."""
        return self.associate(x)[0]

    def associate(
        self, x: Float[Tensor, "B L D"]
    ) -> tuple[Float[Tensor, "B L D"], Associations]:
        """Map tokens to tokens and their associations."""
        q, k, v = self.split(x)
        logits = (q / math.sqrt(q.shape[-1])) @ k.mT  # (B, H, L, L)
        # In bfloat16 the associations would be too coarse to compare.
        series = logits.to(self.spread.weight.dtype).softmax(dim=-1)
        return self.merge(series.to(v) @ v), Associations(self.prior(x), series)

    def prior(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B H L L"]:
        """Make of each token a Gaussian for each head."""
        spread = self.spread(x).to(self.spread.weight.dtype).mT  # (B, H, L)
        # sigma = 3^(sigmoid(5 s) + 1e-5) - 1 as in the authors' code, in (0, 2).
        exponent = torch.sigmoid(5 * spread) + 1e-5
        sigma = torch.expm1(math.log(3) * exponent).unsqueeze(-1)  # (B, H, L, 1)
        steps = torch.arange(x.shape[1], device=x.device)
        distance = (steps[:, None] - steps).to(sigma)  # (L, L)
        # Softmax normalises the rows; the factor 1 / (sqrt(2 pi) sigma) cancels.
        return (distance**2 * (-0.5 / sigma**2)).softmax(dim=-1)


def association_discrepancy(associations: Associations) -> Float[Tensor, "B L"]:
    """Symmetrised Kullback-Leibler divergence of each step, mean over heads.

    KL(P || S) + KL(S || P), in one sum.
    """
    prior, series = associations.prior, associations.series
    ratio = torch.log(prior + _EPSILON) - torch.log(series + _EPSILON)
    return ((prior - series) * ratio).sum(dim=-1).mean(dim=1)


def reverse_gradient(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the same values; what would be minimised is maximised."""
    return 2 * x.detach() - x


class AnomalyEncoderLayer(EncoderLayer):
    """Encoder layer that also tells the associations of its attention."""

    attention_class = AnomalyAttention
    attention: AnomalyAttention

    def associate(
        self, x: Float[Tensor, "B L D"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "B L D"], Associations]:
        """Map tokens to tokens and their associations."""
        attended, associations = self.attention.associate(x)
        return self.feed_forward(x, attended, generator), associations


class AnomalyEncoder(Encoder):
    """Encoder that also tells the associations of all its layers."""

    layer_class = AnomalyEncoderLayer

    def associate(
        self, x: Float[Tensor, "B L F"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "B L D"], list[Associations]]:
        """Encode windows as tokens, with their associations in each layer."""
        x = self.embed(x, generator)
        associations = []
        for layer in cast(Iterable[AnomalyEncoderLayer], self.layers):
            x, of_layer = layer.associate(x, generator)
            associations.append(of_layer)
        return self.norm(x), associations


class AnomalyTransformerNetwork(WindowNetwork):
    """Transformer encoder with anomaly attention, and a linear decoder."""

    config_class = AnomalyTransformerConfig
    config: AnomalyTransformerConfig

    def __init__(self, config: AnomalyTransformerConfig):
        super().__init__()
        c = self.config = config
        self.encoder = AnomalyEncoder(
            c.n_features, c.d_model, c.n_heads, c.n_layers, c.dim_feedforward, c.dropout
        )
        self.decoder = nn.Linear(c.d_model, c.n_features)

    def initialize(self, generator: torch.Generator) -> None:
        """Fill the weights from `generator`."""
        initialize_weights(self, generator)
        # Torch's own bound, the authors'. Glorot's is so wide here that sigmoid(5 s)
        # would be 0 or 1 for most steps, and learn nothing.
        bound = self.config.d_model**-0.5
        for layer in self.encoder.modules():
            if isinstance(layer, AnomalyAttention):
                weight = layer.spread.weight
                nn.init.uniform_(weight, -bound, bound, generator=generator)

    def loss(
        self, windows: Float[Tensor, "B L F"], generator: torch.Generator | None = None
    ) -> Float[Tensor, ""]:
        """Both phases of the minimax strategy as one scalar, eq. 5.

        Minimise phase: error + k * discrepancy, series detached: the prior comes
        near to the series. Maximise phase: error - k * discrepancy, prior detached:
        the series goes away from the prior. One step on both is a step on their sum.
        In it the error counts twice, and the discrepancies have opposite gradients
        but cancel in value, so that is twice the error: what early stopping watches.

        With noise, the encoder sees noisy windows while the target stays clean (not
        in the paper).
        """
        noisy = add_noise(windows, self.config.noise, generator)
        tokens, associations = self.encoder.associate(noisy, generator)
        error = reconstruction_error(self.decoder(tokens), windows)
        # The gradient reaches the prior as it is and the series reversed.
        game = [
            association_discrepancy(Associations(a.prior, reverse_gradient(a.series)))
            for a in associations
        ]
        discrepancy = torch.stack(game).mean()  # over the layers too, eq. 3
        weight = self.config.discrepancy_weight
        return 2 * error + weight * (discrepancy - discrepancy.detach())

    def forward(
        self, windows: Float[Tensor, "B L F"]
    ) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L"]]:
        """Return the reconstruction and the latent deviation; changes nothing.

        The latter is minus the association discrepancy summed over the layers: an
        anomaly is tied to its neighbours alone, so its associations agree and its
        discrepancy is low.
        """
        tokens, associations = self.encoder.associate(windows)
        discrepancies = [association_discrepancy(a) for a in associations]
        return self.decoder(tokens), -torch.stack(discrepancies).sum(dim=0)
