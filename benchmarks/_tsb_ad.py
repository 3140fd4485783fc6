"""The protocol of TSB-AD: its series, its period of a series, its VUS-PR.

Liu and Paparrizos, "The Elephant in the Room: Towards A Reliable Time-Series Anomaly
Detection Benchmark", NeurIPS 2024.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from _data import Entity, load_entities
from scipy.signal import argrelmax

from skmemto.metrics._labels import segments

N_THRESHOLDS = 250
_LARGEST_LAG, _LEAST_LAG = 400, 3
_USUAL_PERIOD, _LARGEST_PERIOD, _ROWS_FOR_PERIOD = 125, 300, 20_000
_NAME = re.compile(r"_tr_(\d+)_1st_\d+$")
# Columns of a list that are no detector's published figures.
OF_SERIES = ("tsb_file", "source_entity", "train_prefix", "length")


class Series(NamedTuple):
    """A recording: all of it is scored, its first rows are what is learned from."""

    entity: Entity
    published: dict[str, float]  # VUS-PR of other detectors, where they are known


def from_list(path: Path, set_name: str, folder: Path) -> Iterator[Series]:
    """Read a list of series, each the beginning of the test rows of an entity."""
    entities = {entity.name: entity for entity in load_entities(set_name, folder)}
    for row in pd.read_csv(path).to_dict("records"):
        entity = entities[row["source_entity"]]
        X, labels = entity.test[: row["length"]], entity.labels[: row["length"]]
        published = {k: float(v) for k, v in row.items() if k not in OF_SERIES}
        train = X[: row["train_prefix"]]
        yield Series(Entity(entity.name, train, X, labels), published)


def from_files(folder: Path) -> Iterator[Series]:
    """Read the files of the benchmark: columns of values, then ``Label``."""
    for path in sorted(folder.glob("*.csv")):
        found = _NAME.search(path.stem)
        if found is None:
            raise ValueError(f"{path}: the name does not end in _tr_N_1st_M.csv")
        frame = pd.read_csv(path).dropna()
        X = frame.iloc[:, :-1].to_numpy(np.float32)
        labels = frame["Label"].to_numpy(np.uint8)
        yield Series(Entity(path.stem, X[: int(found[1])], X, labels), {})


def period(values: np.ndarray) -> int:
    """Return the lag of the highest peak of the autocorrelation of values (n,)."""
    values = values[:_ROWS_FOR_PERIOD].astype(np.float64)
    centred = values - values.mean()
    n_lags = min(_LARGEST_LAG, len(values) - 1) + 1
    spectrum = np.fft.rfft(centred, 2 * len(values))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:n_lags][_LEAST_LAG:]
    (peaks,) = argrelmax(correlation)
    if not len(peaks) or (correlation[peaks].max() <= 0 and not centred.any()):
        return _USUAL_PERIOD
    lag = int(peaks[correlation[peaks].argmax()])
    if not _LEAST_LAG <= lag <= _LARGEST_PERIOD:
        return _USUAL_PERIOD
    return lag + _LEAST_LAG


def vus_pr_by_samples(
    y_true: np.ndarray, y_score: np.ndarray, *, max_buffer_size: int
) -> float:
    """Compute VUS-PR as the benchmark's code does.

    It differs from `skmemto.metrics.vus_pr` in this: thresholds are the scores of 250
    samples, evenly spaced in their order; areas are made of rectangles of the height at
    their right end; of the slopes only what is flagged counts as positive; and slopes
    are as long behind a segment as before it.
    """
    _, ranks = np.unique(-y_score, return_inverse=True)
    positions = np.linspace(0, len(y_score) - 1, N_THRESHOLDS).astype(int)
    chosen = np.sort(ranks)[positions]
    n_flagged = np.cumsum(np.bincount(ranks))[chosen]
    n_anomalous = int(y_true.sum())
    areas = []
    for buffer_size in range(max_buffer_size + 1):
        slopes = _slopes(y_true, buffer_size)
        on_slopes = np.cumsum(np.bincount(ranks, weights=slopes))[chosen]
        inside = np.cumsum(np.bincount(ranks, weights=y_true))[chosen]
        true_positives = inside + on_slopes
        found_at = [ranks[part].min() for part in _widened(y_true, buffer_size // 2)]
        found = (np.array(found_at)[:, np.newaxis] <= chosen).mean(axis=0)
        recall = np.minimum(true_positives / (n_anomalous + on_slopes / 2), 1) * found
        width = np.diff(recall, prepend=0.0)
        areas.append(np.sum(width * true_positives / n_flagged))
    return float(np.mean(areas))


def _slopes(y_true: np.ndarray, buffer_size: int) -> np.ndarray:
    """Return labels that fall off from 1 beside segments, 0 within them (n,)."""
    half, labels = buffer_size // 2, y_true.astype(np.float64)
    starts, ends = segments(y_true)
    distance = np.arange(1, half + 1)
    for edge, step in [(s, -1) for s in starts] + [(e - 1, 1) for e in ends]:
        rows = edge + step * distance
        inside = (rows >= 0) & (rows < len(labels))
        labels[rows[inside]] += np.sqrt(1 - distance[inside] / buffer_size)
    return np.where(y_true, 0.0, np.minimum(labels, 1.0))


def _widened(y_true: np.ndarray, half: int) -> Iterator[slice]:
    """Yield segments with so much on either side, those that then meet as one."""
    starts, ends = segments(y_true)
    first, last = starts[0] - half, ends[0] - 1 + half
    for start, end in zip(starts[1:], ends[1:], strict=True):
        if last >= start - half:
            last = end - 1 + half
            continue
        yield slice(max(first, 0), last + 1)
        first, last = start - half, end - 1 + half
    yield slice(max(first, 0), last + 1)
