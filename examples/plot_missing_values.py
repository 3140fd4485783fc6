"""
Missing values
==============

NaN is a reading that is not there. The network is told so; what is missing counts for
nothing, and ``reconstruct`` fills the gaps.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import average_precision_score

from skmemto import MEMTODetector
from skmemto.datasets import make_anomalous_series
from skmemto.plotting import DeviationDisplay

data = make_anomalous_series(n_train=2000, n_test=1500, random_state=0)
detector = MEMTODetector(random_state=0).fit(data.X_train)

# %%
# A tenth of the new readings is lost, and one channel is away for 200 rows.

rng = np.random.default_rng(0)
X = data.X_test.copy()
X[rng.uniform(size=X.shape) < 0.1] = np.nan
X[700:900, 2] = np.nan

for name, rows in (("complete", data.X_test), ("with gaps", X)):
    precision = average_precision_score(data.y_test, -detector.score_samples(rows))
    print(f"{name}: average precision {precision:.2f}")

# %%
# The gaps, filled: what the other channels and the rows around say.

filled = detector.reconstruct(X)
_, ax = plt.subplots(figsize=(10, 3), layout="constrained")
window = slice(650, 950)
steps = np.arange(1500)[window]
ax.plot(steps, data.X_test[window, 2], color="#BBBBBB", lw=3, label="what was lost")
ax.plot(steps, X[window, 2], color="#0072B2", label="what is there")
ax.plot(steps, filled[window, 2], "--", color="#D55E00", label="reconstruction")
ax.legend(frameon=False, ncols=3)

# %%
# Grey: missing. A channel that is not there is not to blame.

DeviationDisplay.from_estimator(detector, X)
