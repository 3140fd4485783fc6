"""The network of MEMTO (Song et al., NeurIPS 2023, arXiv 2312.02530)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from skmemto._nn.layers import (
    Encoder,
    add_noise,
    initialize_weights,
    reconstruction_error,
)
from skmemto._nn.memory import GatedMemory
from skmemto._nn.network import WindowNetwork
from skmemto._nn.shapes import Float


@dataclass(frozen=True)
class MEMTOConfig:
    """The sizes of a network; all that is needed to make it anew."""

    n_features: int
    n_memory_items: int
    d_model: int
    n_heads: int
    n_layers: int
    dim_feedforward: int
    dropout: float
    noise: float
    temperature: float
    entropy_weight: float


class Decoder(nn.Module):
    """Two fully connected layers on [q, q~], weak on purpose.

    The first layer takes the retrieved q~ = w m (eq. 5) apart: its product with
    q~ is w times its product with the items, of which there are few.
    """

    def __init__(self, d_model: int, n_features: int):
        super().__init__()
        self.hidden = nn.Linear(2 * d_model, d_model)
        self.out = nn.Linear(d_model, n_features)

    def forward(
        self,
        queries: Float[Tensor, "B L D"],
        attention: Float[Tensor, "B L M"],
        items: Float[Tensor, "M D"],
    ) -> Float[Tensor, "B L F"]:
        """Reconstruct windows from q, w and m."""
        of_query, of_item = self.hidden.weight.chunk(2, dim=1)  # (D, D) each
        hidden = functional.linear(queries, of_query, self.hidden.bias)  # (B, L, D)
        hidden = hidden + attention @ (items @ of_item.T)
        return self.out(functional.gelu(hidden))


class MEMTONetwork(WindowNetwork):
    """Transformer encoder, gated memory, and a decoder that is weak on purpose."""

    config_class = MEMTOConfig
    config: MEMTOConfig

    def __init__(self, config: MEMTOConfig):
        super().__init__()
        c = self.config = config
        self.encoder = Encoder(
            c.n_features, c.d_model, c.n_heads, c.n_layers, c.dim_feedforward, c.dropout
        )
        self.memory = GatedMemory(c.n_memory_items, c.d_model, c.temperature)
        self.decoder = Decoder(c.d_model, c.n_features)

    def initialize(self, generator: torch.Generator) -> None:
        """Fill weights and memory from `generator`."""
        initialize_weights(self, generator)
        self.memory.initialize(generator)

    def loss(
        self, windows: Float[Tensor, "B L F"], generator: torch.Generator | None = None
    ) -> Float[Tensor, ""]:
        """Reconstruction error plus weighted entropy of the reading, eq. 6-8.

        In training mode the memory is updated on the way, and the encoder sees the
        windows with noise while the target stays clean: it cannot copy its input,
        as it otherwise learns to do from long training (not in the paper).
        """
        noisy = add_noise(windows, self.config.noise, generator)
        queries = self.encoder(noisy, generator)  # (B, L, D)
        items = self.memory.items
        if self.training:
            items = self.memory.update(queries.flatten(0, 1))
        attention = self.memory.attend(queries, items)  # (B, L, M)
        reconstruction = self.decoder(queries, attention, items)
        # The epsilon stands inside the logarithm: the gradient of a * log(a) at
        # 0 is NaN.
        entropy = -(attention * torch.log(attention + 1e-12)).sum(dim=-1)
        error = reconstruction_error(reconstruction, windows)
        return error + self.config.entropy_weight * entropy.mean()

    def forward(
        self, windows: Float[Tensor, "B L F"]
    ) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L"]]:
        """Return the reconstruction and the latent deviation; changes nothing.

        The latter is the squared distance of each query to the memory item nearest to
        it (eq. 9).
        """
        queries = self.encoder(windows)
        items = self.memory.items
        attention = self.memory.attend(queries, items)
        return self.decoder(queries, attention, items), self.memory.distance(queries)

    def decode_items(self) -> Float[Tensor, "M F"]:
        """Return what the decoder makes of queries that are the items themselves."""
        items = self.memory.items
        queries = items.unsqueeze(0)  # one window of M steps
        with torch.inference_mode():
            return self.decoder(queries, self.memory.attend(queries, items), items)[0]


class MemoryReading(nn.Module):
    """What a network reads of its memory, in the place of a reconstruction."""

    def __init__(self, network: MEMTONetwork):
        super().__init__()
        self.network = network

    def forward(
        self, windows: Float[Tensor, "B L F"]
    ) -> tuple[Float[Tensor, "B L M"], Float[Tensor, "B L"]]:
        """Return the weights of eq. 4, and zeros."""
        memory = self.network.memory
        attention = memory.attend(self.network.encoder(windows), memory.items)
        return attention, attention.new_zeros(attention.shape[:-1])
