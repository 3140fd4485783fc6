"""
A fleet: one model for all machines, or one for each
====================================================

``groups`` names the machine of each row. One detector fitted with groups learns what
all of them have in common; ``PerGroupDetector`` fits a model for each.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import average_precision_score

from skmemto import MEMTODetector, PerGroupDetector
from skmemto.datasets import make_anomalous_series

machines = {
    f"pump {i}": make_anomalous_series(
        n_train=800, n_test=1000, n_features=4, n_events=5, random_state=i
    )
    for i in range(3)
}


def stacked(part):
    """All machines below each other, and the name of each row's."""
    rows = [machine[part] for machine in machines.values()]
    return np.concatenate(rows), np.repeat(list(machines), [len(r) for r in rows])


X, groups = stacked("X_train")
X_new, groups_new = stacked("X_test")
y_new, _ = stacked("y_test")

# %%
# One model for all, and one for each. Windows never cross from one machine to the next.

pooled = MEMTODetector(random_state=0).fit(X, groups=groups)
fleet = PerGroupDetector(MEMTODetector(random_state=0)).fit(X, groups=groups)

# %%
# These three machines are made by different random couplings: what is normal for one
# says little of another, and a model for each sees more.

_, ax = plt.subplots(layout="constrained")
for shift, (name, detector) in enumerate(
    [("one for all", pooled), ("one each", fleet)]
):
    scores = -detector.score_samples(X_new, groups=groups_new)
    precisions = [
        average_precision_score(y_new[groups_new == name], scores[groups_new == name])
        for name in machines
    ]
    bars = np.arange(len(machines)) + 0.4 * shift
    ax.bar(bars, precisions, 0.38, label=name, color=["#0072B2", "#E69F00"][shift])
ax.set_xticks(np.arange(len(machines)) + 0.2, list(machines))
ax.set(ylabel="average precision", ylim=(0, 1))
ax.legend(frameon=False, ncols=2, loc="lower right")

# %%
# Events say which machine they belong to.

for event in fleet.events(X_new, groups=groups_new)[:3]:
    print(event.group, "rows", event.start, "to", event.stop - 1, event.channels)
