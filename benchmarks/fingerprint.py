"""Hashes of what the detectors compute: equal before and after a change of form.

Scores, deviations, reconstructions, offsets and losses of both detectors in several
settings, on made-up series. Run it on two commits, with the same number of threads, and
compare; no line may differ where behaviour was to stay.

    OMP_NUM_THREADS=1 python benchmarks/fingerprint.py > before.txt
"""

import hashlib
import sys
from typing import Any

import numpy as np

from skmemto import AnomalyTransformerDetector, MEMTODetector

DETECTORS = (MEMTODetector, AnomalyTransformerDetector)
QUICK: dict[str, Any] = {"d_model": 16, "n_layers": 2, "max_iter": 2, "random_state": 0}
# Name -> what is special about the data, parameters of the detector.
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "defaults": ("", {}),
    "missing values": ("missing", {}),
    "groups": ("groups", {"window_size": 30}),
    "groups, missing values": ("groups missing", {"window_size": 30}),
    "softmax": ("missing", {"criterion": "softmax"}),
    "isd, smoothed": ("groups", {"criterion": "isd", "smoothing": 7}),
    "lsd": ("", {"criterion": "lsd"}),
    "early stopping": ("groups", {"early_stopping": True, "validation_fraction": 0.2}),
    "not standardized": ("missing", {"standardize": False}),
    "dropout, no noise": ("", {"dropout": 0.2, "noise": 0.0}),
    "bfloat16": ("missing", {"precision": "bfloat16"}),
    "contamination": ("", {"contamination": 0.02, "score_stride": 3}),
}


def make_data(special: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Waves of 4 channels, of which the last never moves, and the rows' series."""
    rng = np.random.RandomState(0)
    steps = np.arange(1500)[:, np.newaxis]
    X = np.sin(2 * np.pi * steps / [20, 33, 47, 1]) * [1, 30, 0.1, 0] + [0, 5, -2, 3]
    X[:, :3] += 0.1 * rng.standard_normal((len(X), 3)) * [1, 30, 0.1]
    if "missing" in special:
        X[rng.random_sample(X.shape) < 0.1] = np.nan
        X[700:703] = np.nan
    groups = np.repeat([3, 1, 2, 0], [900, 12, 500, 88])
    return X, groups if "groups" in special else None


def digest(values: Any) -> str:
    array = np.ascontiguousarray(values)
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def fingerprint(detector: Any, special: str) -> dict[str, str]:
    X, groups = make_data(special)
    new = X[::-1].copy()
    new[300:310, 1] += 90
    new[800] = [1e9, 5, -2, 4]
    detector.fit(X, groups=groups)
    groups = None if groups is None else groups[::-1]
    raw = detector.deviations(new, groups=groups)
    calibrated = detector.deviations(new, groups=groups, calibrated=True)
    return {
        "scores": digest(detector.score_samples(new, groups=groups)),
        "input": digest(raw.input),
        "latent": digest(raw.latent),
        "calibrated": digest(calibrated.input),
        "reconstruction": digest(detector.reconstruct(new, groups=groups)),
        "score": digest(detector.score(new, groups=groups)),
        "offset": digest(detector.offset_),
        "losses": digest(detector.loss_curve_),
    }


def main() -> int:
    for detector_class in DETECTORS:
        for name, (special, parameters) in SETTINGS.items():
            detector = detector_class(**{**QUICK, **parameters})
            for what, code in fingerprint(detector, special).items():
                print(f"{detector_class.__name__} | {name} | {what} | {code}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
