"""How rows are scored, as it was when the threshold was set."""

from dataclasses import replace
from typing import NamedTuple, Self

from skmemto import _auto
from skmemto._criteria import (
    CalibratedCriterion,
    Criterion,
    InputDeviation,
    LatentDeviation,
    SoftmaxCriterion,
)
from skmemto._levels import LevelFollower
from skmemto._lookahead import Lookahead
from skmemto._parameters import SharedParameters


class Settings(NamedTuple):
    """What scoring depends on besides what was learned, each "auto" resolved.

    A detector keeps those that its threshold was set by: a parameter that is changed
    afterwards would give scores that the threshold knows nothing of.
    """

    criterion: str
    temperature: float
    span: int  # rows, of the smoothing
    stride: int  # of the windows
    lookahead: Lookahead
    level_span: int  # rows, of the running level of a channel
    follows_levels: bool  # of channels that move on
    precision: str

    @classmethod
    def of(
        cls, parameters: SharedParameters, window_size: int, temperature: float
    ) -> Self:
        """Take them from a detector's parameters, and the temperature of a softmax."""
        criterion, rebase = parameters.criterion, parameters.rebase
        follows = _auto.follows_levels(rebase, window_size)
        return cls(
            criterion,
            float(temperature),
            _auto.smoothing(parameters.smoothing, criterion, window_size),
            _auto.score_stride(parameters.score_stride, criterion, window_size),
            Lookahead.of(parameters.lookahead, window_size),
            _auto.level_span(rebase, window_size),
            criterion == "calibrated" and follows,
            parameters.precision,
        )

    @property
    def is_calibrated(self) -> bool:
        """Tell whether scores say how rare rows are."""
        return self.criterion == "calibrated"

    def to_criterion(
        self,
        calibrated: CalibratedCriterion,
        window_size: int,
        follower: LevelFollower | None = None,
    ) -> Criterion:
        """Return what turns deviations into scores."""
        if self.is_calibrated:
            return replace(calibrated, follower=follower)
        if self.criterion == "softmax":
            return SoftmaxCriterion(self.span, window_size, self.temperature)
        of_deviation = {"isd": InputDeviation, "lsd": LatentDeviation}[self.criterion]
        return of_deviation(self.span, self.lookahead.smoothing)
