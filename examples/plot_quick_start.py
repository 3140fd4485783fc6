"""
Quick start
===========

A detector learns what is normal from rows in time order, and gives every new row a
score, a label, and the events that labelled rows make together.
"""

# %%
# The data
# --------
# Six channels of a made-up plant: normal rows to learn from, and new ones with ten
# anomalies of several kinds.

from skmemto import MEMTODetector
from skmemto.datasets import make_anomalous_series
from skmemto.metrics import compare_events
from skmemto.plotting import AnomalyScoreDisplay, LossCurveDisplay

data = make_anomalous_series(random_state=0)
print(f"{len(data.X_train)} normal rows, {len(data.X_test)} new ones")

# %%
# Learn and judge
# ---------------
# No parameter needs a value; ``random_state`` makes the result repeat.

detector = MEMTODetector(random_state=0).fit(data.X_train)
labels = detector.predict(data.X_test)  # +1 normal, -1 anomaly
print(f"{(labels == -1).sum()} rows are flagged")

# %%
# Events
# ------
# What an operator wants is not rows but events: from when to when, how bad, and which
# channels are to blame, the worst first.

events = detector.events(data.X_test)
for event in events:
    channels = ", ".join(f"x{channel}" for channel in event.channels)
    print(f"rows {event.start}-{event.stop - 1}: score {event.score:.1f} ({channels})")

# %%
# Beside the labels:

compared = compare_events(data.y_test, events)
found = f"{compared.found.sum()} of {len(compared.found)}"
print(f"{found} found, {compared.false.sum()} false")

# %%
# A picture
# ---------
# Readings in blue, what the detector would have expected in dashed red; true anomalies
# as orange bands, events as black marks on the channels to blame.

AnomalyScoreDisplay.from_estimator(detector, data.X_test, data.y_test)

# %%
# How the training went:

LossCurveDisplay.from_estimator(detector)
