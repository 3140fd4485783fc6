"""What "auto" means: every rule that turns a length of data into a setting."""

from typing import Literal

import numpy as np

from skmemto._messages import warn_user
from skmemto._series import SeriesBounds

Auto = Literal["auto"]

# Half the papers' window as soon as there are so many rows for each of its steps to
# learn from, and less below.
_WINDOW = 50
_ROWS_PER_WINDOW_STEP = 20
_WINDOWS_PER_EPOCH = 1024
_WINDOWS_PER_SCORED_ROW = 2
_SMOOTHED_SHARE = 2 / 5  # of the window
_WINDOWS_PER_LEVEL = 30
_WINDOWS_PER_BLOCK = 10  # of rows that are kept
_STEPS_PER_EPOCH = 32
_SMALLEST_BATCH, _LARGEST_BATCH = 4, 32


def window_size(requested: int | Auto, series: SeriesBounds) -> int:
    """Return the window size for series that are to be learned from."""
    lengths = series[:, 1] - series[:, 0]
    longest = int(lengths.max())
    if requested == "auto":
        enough = max(1, int(lengths.sum()) // _ROWS_PER_WINDOW_STEP)
        return min(_WINDOW, enough, longest)
    if requested > longest:
        warn_user(
            f"window_size ({requested}) is greater than the length of the longest "
            f"series ({longest}). window_size will be set to {longest}."
        )
    return min(requested, longest)


def training_stride(
    requested: int | Auto, series: SeriesBounds, window_size: int
) -> int:
    """Return the stride of the training windows.

    "auto" makes about the same number of windows of short and long histories, as
    long as windows overlap: the number of steps of training, not of epochs, is what
    decides how well a network learns to copy its input.
    """
    if requested != "auto":
        return requested
    n_samples = int((series[:, 1] - series[:, 0]).sum())
    return int(np.clip(n_samples // _WINDOWS_PER_EPOCH, 1, window_size))


def batch_size(requested: int | Auto, n_windows: int) -> int:
    """Return the number of windows in a training step.

    "auto" takes fewer where there are few windows, so that an epoch has about as many
    steps as it has with many.
    """
    if requested != "auto":
        return requested
    return int(np.clip(n_windows // _STEPS_PER_EPOCH, _SMALLEST_BATCH, _LARGEST_BATCH))


def score_stride(requested: int | Auto, criterion: str, window_size: int) -> int:
    """Return the stride of the windows that score; the paper's do not overlap."""
    if requested != "auto":
        return min(requested, window_size)  # no row is left out
    if criterion == "softmax":
        return window_size
    return max(1, window_size // _WINDOWS_PER_SCORED_ROW)


def smoothing(requested: int | Auto, criterion: str, window_size: int) -> int:
    """Return the span of the smoothing; the paper's scores have none."""
    if requested != "auto":
        return requested
    if criterion != "calibrated":
        return 1
    return max(1, int(_SMOOTHED_SHARE * window_size))


def level_span(requested: int | Auto | None, window_size: int) -> int:
    """Return the span of the running level of a channel."""
    if requested == "auto" or requested is None:
        return _WINDOWS_PER_LEVEL * window_size
    return requested


def follows_levels(requested: int | Auto | None, window_size: int) -> bool:
    """Tell whether levels are followed; at a window of 1 rows stand for themselves."""
    return requested is not None and (requested != "auto" or window_size > 1)


def reservoir_block(window_size: int) -> int:
    """Return how many rows in a row are kept of those learned from."""
    return _WINDOWS_PER_BLOCK * window_size
