"""
Live: rows as they come
=======================

With ``lookahead=0`` a row is judged by what came before it, so its score never changes.
``StreamingDetector`` says the same row by row, and tells of events as they begin, go on
and end.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from skmemto import MEMTODetector, StreamingDetector
from skmemto.datasets import make_anomalous_series

data = make_anomalous_series(n_train=1200, n_test=1500, random_state=0)
detector = MEMTODetector(lookahead=0, random_state=0).fit(data.X_train)

# %%
# Ten rows at a time, as a gateway might send them:

stream = StreamingDetector(detector)
scores = []
for i in range(0, 1500, 10):
    update = stream.update(data.X_test[i : i + 10])
    scores.append(update.scores)
    for event in stream.events:
        if event.is_new:
            print(f"row {event.start}: begins, channels {event.channels}")
        if event.is_over:
            print(f"rows {event.start}-{event.stop - 1}: over, {event.score:.1f}")
scores = np.concatenate(scores)

# %%
# The same as in one call, however the rows are cut:

print(np.abs(scores - detector.score_samples(data.X_test)).max() < 1e-9)

# %%
# What later rows are worth: the score that looks both ways is smoother, and rises where
# the anomaly is; the one that looks back only comes a little later.

both_ways = MEMTODetector(random_state=0).fit(data.X_train)
_, ax = plt.subplots(figsize=(10, 3.5), layout="constrained")
top = 12
ax.fill_between(range(1500), 0, top * data.y_test, color="#E69F00", alpha=0.35, lw=0)
ax.plot(-both_ways.score_samples(data.X_test), color="#BBBBBB", lw=3, label="both ways")
ax.plot(-scores, color="#0072B2", lw=1, label="looking back only")
ax.axhline(-detector.offset_, color="#009E73", label="threshold")
ax.set(xlabel="row", ylabel="-score", ylim=(0, top))
ax.legend(frameon=False, ncols=3)
