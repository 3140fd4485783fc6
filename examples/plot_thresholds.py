"""
Thresholds and alarms
=====================

A score of -s says that about one in 10 ** s normal rows scores as low. So a threshold
is a choice of how many false alarms are worth an event, and can be moved after the fit.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from skmemto import MEMTODetector
from skmemto.datasets import make_anomalous_series
from skmemto.metrics import compare_events

data = make_anomalous_series(n_test=6000, n_events=20, random_state=3)
detector = MEMTODetector(random_state=0).fit(data.X_train)
scores = detector.score_samples(data.X_test)
print(f"threshold: {detector.offset_}")

# %%
# What each threshold would do
# ----------------------------
# Events found, and false events, as the threshold moves. The default is where three
# normal rows in a thousand score as low.


def runs(flags):
    """Where flagged rows begin and end."""
    edges = np.flatnonzero(np.diff(np.r_[0, flags, 0]))
    return list(zip(edges[::2], edges[1::2], strict=True))


thresholds = np.arange(1.0, 6.0, 0.25)
found, false = [], []
for threshold in thresholds:
    compared = compare_events(data.y_test, runs(-scores > threshold))
    found.append(compared.found.mean())
    false.append(compared.false.sum())

_, ax = plt.subplots(layout="constrained")
ax.plot(thresholds, found, "o-", color="#0072B2", label="share of events found")
ax.set(xlabel="threshold, -score", ylabel="share of events found", ylim=(0, 1.05))
other = ax.twinx()
other.plot(thresholds, false, "s--", color="#D55E00", label="false events")
other.set(ylabel="false events", ylim=(0, None))
ax.axvline(-detector.offset_, color="black", lw=1)
ax.annotate(
    "default", (-detector.offset_, 0.03), xytext=(4, 0), textcoords="offset points"
)
ax.figure.legend(loc="outside upper right", ncols=2, frameon=False)

# %%
# Another threshold, the same scores
# ----------------------------------
# ``contamination`` sets it by the share of the training rows that may be flagged. It
# knows nothing beyond what these have shown: where they are few the default is safer.

by_share = MEMTODetector(contamination=0.001, random_state=0).fit(data.X_train)
print(f"{by_share.offset_:.2f} instead of {detector.offset_:.2f}")

# %%
# Short flags and gaps
# --------------------
# ``min_length`` leaves out what is over at once; ``merge_gap`` joins what belongs
# together.

print(len(detector.events(data.X_test)), "events")
print(len(detector.events(data.X_test, min_length=5)), "of five rows or more")
