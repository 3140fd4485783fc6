"""Pictures, by scikit-learn's Display convention: of scores, of what is behind them."""

from skmemto.plotting._deviations import DeviationDisplay
from skmemto.plotting._losses import LossCurveDisplay
from skmemto.plotting._memory import MemoryDisplay
from skmemto.plotting._scores import AnomalyScoreDisplay

__all__ = [
    "AnomalyScoreDisplay",
    "DeviationDisplay",
    "LossCurveDisplay",
    "MemoryDisplay",
]
