"""Warnings that have a class of their own, to be filtered or caught by it."""

__all__ = [
    "AbsurdValueWarning",
    "DataDriftWarning",
    "ModelVersionWarning",
    "ShortHistoryWarning",
]


class AbsurdValueWarning(UserWarning):
    """Training data hold values far from all others, which were taken as missing.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from skmemto import MEMTODetector
    >>> from skmemto.exceptions import AbsurdValueWarning, ShortHistoryWarning
    >>> X = np.random.RandomState(0).normal(20, 2, size=(200, 1))
    >>> X[150] = -200  # a code for "no value"
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("ignore", ShortHistoryWarning)
    ...     warnings.simplefilter("always", AbsurdValueWarning)
    ...     detector = MEMTODetector(max_iter=1, random_state=0).fit(X)
    >>> print(caught[0].message)
    X holds values far from all others of their channel: channel 0 has 1, the first is
    -200 in row 150. They are taken as missing; make them NaN to silence this.
    """


class ShortHistoryWarning(UserWarning):
    """The history is too short to know how high normal scores may be.

    Examples
    --------
    >>> import warnings
    >>> from skmemto.exceptions import ShortHistoryWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", ShortHistoryWarning)
    """


class DataDriftWarning(UserWarning):
    """The data no longer look like the training data, lastingly.

    Examples
    --------
    >>> import warnings
    >>> from skmemto.exceptions import DataDriftWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DataDriftWarning)
    """


class ModelVersionWarning(UserWarning):
    """A saved model was written by another version of skmemto.

    Examples
    --------
    >>> import warnings
    >>> from skmemto.exceptions import ModelVersionWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ModelVersionWarning)
    """
