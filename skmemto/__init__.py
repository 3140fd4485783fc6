"""Anomaly detection in multivariate time series, as scikit-learn estimators."""

from skmemto._anomaly_transformer import AnomalyTransformerDetector
from skmemto._memto import MEMTODetector

__all__ = ["AnomalyTransformerDetector", "MEMTODetector"]
__version__ = "0.1.0.dev0"
