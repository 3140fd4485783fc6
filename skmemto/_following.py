"""Scores as rows come -> a threshold that follows slow drift.

The mean of the scores of rows that are not flagged, running: where it is above what
normal data reach, the threshold rises by a share of it. Flagged rows teach nothing, and
the rise is bounded. The idea of a threshold that goes on learning from unflagged scores
is that of DSPOT (Siffer et al., KDD 2017); a mean of rarities, which are logarithms of
the tail, takes the place of a tail fitted again for each row.
"""

import numpy as np
from numpy.typing import NDArray

# Mean of rarities, -log10 of the share of normal rows that exceed a score.
USUAL = 1 / np.log(10)
# What the running mean of long normal data reaches at most: about that on smd, batadal.
_HIGHEST = 1.0
# Of what the mean is above it, and decades at most.
_SHARE, _MOST = 0.5, 1.0
# A threshold that has risen by so many decades says that a new fit is due.
DUE = 0.25


def follow(
    rarities: NDArray[np.float64],
    counts: NDArray[np.bool_],
    mean: NDArray[np.float64],
    threshold: float,
    span: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Let a threshold follow the next rows of S series.

    Parameters
    ----------
    rarities : ndarray of shape (S, n)
        Scores, high = anomalous.
    counts : ndarray of shape (S, n)
        Which rows may be learned from, if they are not flagged.
    mean : ndarray of shape (S,)
        The running mean before them; `USUAL` before the first row.
    threshold : float
        As it was fitted.
    span : int
        Rows, of the running mean.

    Returns
    -------
    rise : ndarray of shape (S, n)
        By how many decades the threshold is higher, row by row.
    mean : ndarray of shape (S,)
        The running mean after the last row.
    """
    weight = 2 / (span + 1)
    rise = np.empty(rarities.shape)
    for i, (rarity, count) in enumerate(zip(rarities.T, counts.T, strict=True)):
        rise[:, i] = risen(mean)
        learned = count & (rarity <= threshold + rise[:, i])
        mean = np.where(learned, mean + weight * (rarity - mean), mean)
    return rise, mean


def risen(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how many decades a threshold is higher at a running mean."""
    return np.clip(_SHARE * (mean - _HIGHEST), 0.0, _MOST)
