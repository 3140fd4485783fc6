"""The gated memory of MEMTO (arXiv 2312.02530, section 3.2.1)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skmemto import _distributed
from skmemto._nn.shapes import Float


class GatedMemory(nn.Module):
    """Items that hold prototypes of normal queries, with a learned update gate.

    The items are a buffer: saved with the weights, never touched by the
    optimiser, changed by `update` and `set_items` only.
    """

    items: Tensor  # (M, D)

    def __init__(self, n_items: int, d_model: int, temperature: float):
        super().__init__()
        self.register_buffer("items", torch.empty(n_items, d_model))
        self.gate_item = nn.Linear(d_model, d_model, bias=False)  # U of eq. 3
        self.gate_content = nn.Linear(d_model, d_model, bias=False)  # W of eq. 3
        self.temperature = temperature

    def initialize(self, generator: torch.Generator) -> None:
        """Set the items to random unit vectors."""
        self.set_items(
            functional.normalize(torch.randn(self.items.shape, generator=generator))
        )

    def set_items(self, items: Float[Tensor, "M D"]) -> None:
        """Replace the items."""
        self.items = items.detach()

    def update(self, queries: Float[Tensor, "T D"]) -> Float[Tensor, "M D"]:
        """Move the items towards the queries, eq. 1-3; return them.

        What is returned carries the gradient of the gate, so that reading in
        the same step trains U and W; what is kept for the next step does not. In a
        distributed fit the queries are those of all ranks, and so the items stay
        the same on all.
        """
        queries = queries.detach()
        logits = self.items @ queries.T / self.temperature  # (M, T)
        content = _distributed.softmax_average(logits, queries)  # (M, D)
        gate = torch.sigmoid(self.gate_item(self.items) + self.gate_content(content))
        items = (1 - gate) * self.items + gate * content
        self.set_items(items)
        return items

    def attend(
        self, queries: Float[Tensor, "*batch D"], items: Float[Tensor, "M D"]
    ) -> Float[Tensor, "*batch M"]:
        """Read the items by attention from the queries, eq. 4.

        What is retrieved, eq. 5, is the attention times the items; the decoder
        multiplies it out itself.
        """
        return (queries @ items.T / self.temperature).softmax(dim=-1)

    def distance(self, queries: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
        """Squared distance of the queries to the nearest item, eq. 9."""
        # |q - m|^2 less |q|^2 finds the nearest without a tensor (..., M, D); the
        # distance itself is then taken from the difference, which cannot cancel.
        scores = self.items.square().sum(dim=-1) - 2 * queries @ self.items.T
        # Faster than indexing: (..., D).
        nearest = functional.embedding(scores.argmin(dim=-1), self.items)
        return (queries - nearest).square().sum(dim=-1)
