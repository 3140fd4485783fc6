"""
A Pipeline, and a search over the size of the memory
====================================================

The detector is an estimator like any other: it stands at the end of a ``Pipeline``, and
``GridSearchCV`` chooses its parameters. Labels are not needed for that: ``score`` says
how well held-out rows are reconstructed.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

from skmemto import MEMTODetector
from skmemto.datasets import make_anomalous_series

data = make_anomalous_series(n_train=1000, n_test=1500, random_state=0)
pipeline = make_pipeline(RobustScaler(), MEMTODetector(max_iter=1, random_state=0))

# %%
# Splits go forward in time: a model never learns from rows that come after those it is
# judged by.

search = GridSearchCV(
    pipeline,
    {"memtodetector__n_memory_items": [2, 5, 10, 20]},
    cv=TimeSeriesSplit(n_splits=2),
).fit(data.X_train)
print(search.best_params_)

# %%
# The differences are small, as in the paper: take the default unless a search says
# otherwise by more than its splits vary.

found = search.cv_results_
_, ax = plt.subplots(layout="constrained")
ax.errorbar(
    found["param_memtodetector__n_memory_items"].astype(int),
    -found["mean_test_score"],
    yerr=found["std_test_score"],
    marker="o",
    capsize=4,
)
ax.set(xlabel="memory items", ylabel="error of reconstruction, held-out rows")
ax.set_ylim(bottom=0)

# %%
# The best pipeline is fitted on all rows, and judges new ones.

print(f"{(search.predict(data.X_test) == -1).mean():.1%} of the new rows are flagged")
