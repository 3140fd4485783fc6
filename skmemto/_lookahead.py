"""How many later rows may count in what is said of a row."""

from typing import Literal, NamedTuple, Self


class Lookahead(NamedTuple):
    """Later rows that count at most; None: all there are."""

    window: int | None = None  # by which the window that reconstructs a row goes on
    smoothing: int | None = None  # that the averages over time take in

    @property
    def total(self) -> int | None:
        """Return how many later rows count in all."""
        if self.window is None or self.smoothing is None:
            return None
        return self.window + self.smoothing

    @classmethod
    def of(cls, requested: int | Literal["auto"], window_size: int) -> Self:
        """Divide rows evenly between window and averages.

        In the midst of its window a row has the most around it: more is of no use.
        """
        if requested == "auto":
            return cls()
        window = min(requested, window_size) // 2
        return cls(window, requested - window)
