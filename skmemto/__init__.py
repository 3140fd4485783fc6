"""Anomaly detection in multivariate time series, as scikit-learn estimators."""

from skmemto._anomaly_transformer import AnomalyTransformerDetector
from skmemto._memto import MEMTODetector
from skmemto._per_group import PerGroupDetector
from skmemto._version import __version__ as __version__
from skmemto.streaming import StreamingDetector

__all__ = [
    "AnomalyTransformerDetector",
    "MEMTODetector",
    "PerGroupDetector",
    "StreamingDetector",
]
