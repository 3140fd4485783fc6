"""From a network to deviations: how far rows are from what it expects.

Rows are read through a `WindowReader`, in blocks, so that a history may be larger than
memory.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from skmemto._inference import RowOutputs, iter_outputs_of_rows, iter_row_outputs
from skmemto._nn.network import WindowNetwork
from skmemto._scaling import ChannelScaler
from skmemto._series import SeriesBounds, rows_of
from skmemto._windows import WindowReader, window_blocks


class Deviations(NamedTuple):
    """How far each time step is from what a model expects."""

    input: NDArray[np.float64]  # (n_samples, n_features)
    latent: NDArray[np.float64]  # (n_samples,)


class RowDeviations(NamedTuple):
    """How far some rows are from what a network expects.

    NaN is the input deviation of a missing value, and both of a row without any value.
    """

    rows: NDArray[np.int64]  # (n,)
    input: NDArray[np.float64]  # (n, F)
    latent: NDArray[np.float64]  # (n,)


@dataclass(frozen=True)
class Reconstructor:
    """A fitted network, and how rows are shown to it."""

    network: WindowNetwork
    scaler: ChannelScaler
    window_size: int
    stride: int
    lookahead: int | None  # later rows that a window of a row's own has; None: shared
    device: str
    precision: str

    def outputs(
        self,
        X: NDArray,
        series: SeriesBounds,
        rows: NDArray[np.int64] | None = None,
    ) -> Iterator[RowOutputs]:
        """Yield what the network says of each row, each row once.

        Where each row has a window of its own it can be asked for some `rows` only.
        """
        # What never moved is expected to stay: of that the network knows less, since
        # its guess there follows the other channels.
        constant = self.scaler.constant_
        for row_outputs in self.of_network(self.network, X, series, rows):
            row_outputs.reconstruction[:, constant] = 0.0
            yield row_outputs

    def of_network(
        self,
        network: nn.Module,
        X: NDArray,
        series: SeriesBounds,
        rows: NDArray[np.int64] | None = None,
    ) -> Iterator[RowOutputs]:
        """Yield what some network says of each row, shown as to this one's own."""
        reader = WindowReader(X, self.scaler, self.device)
        if self.lookahead is None:
            return iter_row_outputs(
                network,
                reader.windows,
                window_blocks(series, self.window_size, self.stride),
                device=self.device,
                precision=self.precision,
            )
        return iter_outputs_of_rows(
            network,
            reader,
            rows_of(series) if rows is None else rows,
            series,
            window_size=self.window_size,
            lookahead=self.lookahead,
            precision=self.precision,
        )

    def deviations(
        self,
        X: NDArray,
        series: SeriesBounds,
        *,
        normal: bool = False,
        rows: NDArray[np.int64] | None = None,
    ) -> Iterator[RowDeviations]:
        """Yield how far each row is from what the network expects, each row once.

        Of `normal` rows absurd values are missing. With `rows` see `outputs`.
        """
        reader = WindowReader(X, self.scaler, self.device, normal)
        for of_rows, reconstruction, latent in self.outputs(X, series, rows):
            squares = (reader.rows(of_rows) - reconstruction) ** 2
            unknown = np.isnan(squares).all(axis=1)
            yield RowDeviations(of_rows, squares, np.where(unknown, np.nan, latent))


def gather_deviations(
    deviations: Iterable[RowDeviations], shape: tuple[int, int]
) -> Deviations:
    """Put the deviations of all rows into arrays (n, F) and (n,)."""
    gathered = Deviations(np.empty(shape), np.empty(shape[0]))
    for rows, input_deviations, latent_deviations in deviations:
        gathered.input[rows] = input_deviations
        gathered.latent[rows] = latent_deviations
    return gathered


def mean_deviation(deviations: Iterable[RowDeviations]) -> float:
    """Average the input deviations over all values that are not missing."""
    total, n_values = 0.0, 0
    for part in deviations:
        total += np.nansum(part.input)
        n_values += int(np.count_nonzero(~np.isnan(part.input)))
    if n_values == 0:
        raise ValueError("X contains no value that could be reconstructed.")
    return float(total) / n_values
