"""
Reading an event
================

An alarm is worth as much as what can be found out about it: which channel, what it
read, what it should have read, and what state the process was in.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from skmemto import MEMTODetector
from skmemto.datasets import make_anomalous_series
from skmemto.plotting import DeviationDisplay, MemoryDisplay

data = make_anomalous_series(n_test=1500, random_state=0)
names = ["flow", "pressure", "level", "heat", "speed", "power"]
detector = MEMTODetector(random_state=0).fit(data.X_train)

# %%
# Which channel, and when
# -----------------------
# Each channel's part of the score. Yellow: enough for an alarm alone.

DeviationDisplay.from_estimator(detector, data.X_test, feature_names=names)

# %%
# What it read, and what was expected
# -----------------------------------

events = detector.events(data.X_test)
event = min(events, key=lambda e: e.score)
channel = event.channels[0]
expected = detector.reconstruct(data.X_test)
rows = np.arange(max(0, event.start - 80), event.stop + 80)
_, ax = plt.subplots(figsize=(10, 3), layout="constrained")
ax.axvspan(event.start, event.stop - 1, color="#E69F00", alpha=0.35, lw=0)
ax.plot(rows, data.X_test[rows, channel], color="#0072B2", label="came")
ax.plot(rows, expected[rows, channel], "--", color="#D55E00", label="expected")
ax.set(xlabel="row", ylabel=names[channel])
ax.legend(frameon=False, ncols=2)

# %%
# What state the process was in
# -----------------------------
# The memory holds ten prototypes of normal rows. Above: which of them each row reads.
# Below: what they stand for, channel by channel.

MemoryDisplay.from_estimator(detector, data.X_test, feature_names=names)
