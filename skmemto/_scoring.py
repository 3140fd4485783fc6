"""From a network and rows to deviations and scores, without an estimator.

Here scores are high for anomalies. Rows are read through a `WindowReader`, in blocks,
so that a history may be larger than memory.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._criteria import CalibratedCriterion, Criterion
from skmemto._inference import RowOutputs, iter_row_outputs
from skmemto._nn.network import WindowNetwork
from skmemto._series import SeriesBounds
from skmemto._smoothing import smooth
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


def iter_outputs(
    network: WindowNetwork,
    reader: WindowReader,
    series: SeriesBounds,
    *,
    window_size: int,
    stride: int,
    precision: str,
) -> Iterator[RowOutputs]:
    """Yield what the network says of each row, each row once."""
    outputs = iter_row_outputs(
        network,
        reader.windows,
        window_blocks(series, window_size, stride),
        device=reader.device,
        precision=precision,
    )
    # What never moved is expected to stay: of that the network knows less, since its
    # guess there follows the other channels.
    constant = reader.scaler.constant_
    for row_outputs in outputs:
        row_outputs.reconstruction[:, constant] = 0.0
        yield row_outputs


def iter_deviations(
    outputs: Iterable[RowOutputs], reader: WindowReader
) -> Iterator[RowDeviations]:
    """Yield the deviations of each row from the network's outputs."""
    for rows, reconstruction, latent in outputs:
        squares = (reader.rows(rows) - reconstruction) ** 2
        unknown = np.isnan(squares).all(axis=1)
        yield RowDeviations(rows, squares, np.where(unknown, np.nan, latent))


def score_rows(
    deviations: Iterable[RowDeviations],
    series: SeriesBounds,
    criterion: Criterion,
    *,
    span: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Score each row (n,), and tell which have no value to be scored by (n,).

    The latter are given the average of their neighbours where there is one, else NaN.
    """
    n_rows = int(series[-1, 1])
    scores, latent = np.empty(n_rows), np.empty(n_rows)
    for rows, input_deviations, latent_deviations in deviations:
        scores[rows] = criterion.reduce(input_deviations)
        latent[rows] = latent_deviations
    for start, stop in series:
        scores[start:stop] = criterion.score(scores[start:stop], latent[start:stop])
    del latent  # of a long history each array counts
    unknown = np.isnan(scores)
    smooth_series(scores, series, criterion, span=span)
    return scores, unknown


def gather_deviations(
    deviations: Iterable[RowDeviations], shape: tuple[int, int]
) -> Deviations:
    """Put the deviations of all rows into arrays (n, F) and (n,)."""
    gathered = Deviations(np.empty(shape), np.empty(shape[0]))
    for rows, input_deviations, latent_deviations in deviations:
        gathered.input[rows] = input_deviations
        gathered.latent[rows] = latent_deviations
    return gathered


def share_out(
    deviations: Iterable[RowDeviations], criterion: CalibratedCriterion
) -> Iterator[RowDeviations]:
    """Yield, in place of input deviations, each channel's part of the row's score."""
    for part in deviations:
        yield part._replace(input=criterion.contributions(part.input))


def smooth_series(
    values: NDArray[np.float64],
    series: SeriesBounds,
    criterion: Criterion,
    *,
    span: int,
) -> None:
    """Smooth each series over time, in place."""
    for start, stop in series:
        smooth(values[start:stop], span, criterion.time_order)


def mean_deviation(deviations: Iterable[RowDeviations]) -> float:
    """Average the input deviations over all values that are not missing."""
    total, n_values = 0.0, 0
    for part in deviations:
        total += np.nansum(part.input)
        n_values += int(np.count_nonzero(~np.isnan(part.input)))
    if n_values == 0:
        raise ValueError("X contains no value that could be reconstructed.")
    return float(total) / n_values
