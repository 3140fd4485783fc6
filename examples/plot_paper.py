"""
The paper's score, and why it is not the default
================================================

MEMTO's own score (``criterion="softmax"``, eq. 11) makes a peak in every window, which
suits point adjustment: the field's habit of counting a whole event as found when one
row of it is flagged. By that measure random numbers are very good, too.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import average_precision_score, f1_score

from skmemto import MEMTODetector
from skmemto.datasets import make_anomalous_series
from skmemto.metrics import point_adjust

data = make_anomalous_series(
    n_test=6000, n_events=12, kinds=["level_shift", "noise_burst"], random_state=1
)
paper = MEMTODetector(criterion="softmax", window_size=100, random_state=0)
scores = {
    "random numbers": np.random.default_rng(0).uniform(size=6000),
    "the paper's score": -paper.fit(data.X_train).score_samples(data.X_test),
    "calibrated (default)": -MEMTODetector(random_state=0)
    .fit(data.X_train)
    .score_samples(data.X_test),
}

# %%
# The best F1 over all thresholds, with and without point adjustment, and average
# precision, which needs no threshold.


def best_f1(score, adjust):
    best = 0.0
    for threshold in np.quantile(score, np.linspace(0.5, 0.999, 60)):
        flags = (score > threshold).astype(int)
        if adjust:
            flags = point_adjust(data.y_test, flags)
        best = max(best, f1_score(data.y_test, flags))
    return best


table = {
    name: (
        best_f1(score, adjust=True),
        best_f1(score, adjust=False),
        average_precision_score(data.y_test, score),
    )
    for name, score in scores.items()
}
for name, figures in table.items():
    print(f"{name:<22}" + "".join(f"{figure:8.2f}" for figure in figures))

# %%
# What the three see: one event, and the rows around it.

event = data.events[1]
rows = np.arange(max(0, event.start - 250), min(6000, event.stop + 250))
_, axes = plt.subplots(3, sharex=True, figsize=(10, 5), layout="constrained")
for ax, (name, score) in zip(axes, scores.items(), strict=True):
    ax.axvspan(event.start, event.stop - 1, color="#E69F00", alpha=0.35, lw=0)
    ax.plot(rows, score[rows], color="#0072B2", lw=1)
    ax.set_title(name, loc="left", fontsize="medium")
axes[-1].set_xlabel("row")
