"""The metrics as their papers write them: loops, one sample and one threshold a time.

Slow and obvious on purpose. The `test_metrics_*.py` hold the package against them.
"""

import math
from itertools import pairwise


def segments(y):
    """Return [start, end) of every run of ones."""
    runs, start = [], None
    for t, flag in enumerate([*y, 0]):
        if flag and start is None:
            start = t
        elif not flag and start is not None:
            runs.append((start, t))
            start = None
    return runs


def f1(y_true, y_pred):
    both = sum(1 for a, b in zip(y_true, y_pred, strict=True) if a and b)
    total = sum(y_true) + sum(y_pred)
    return 2 * both / total if total else 0.0


def point_adjust(y_true, y_pred, k=0):
    """PA (Xu et al. 2018) for k = 0, PA%K (Kim et al. 2022) for any k."""
    adjusted = list(y_pred)
    for start, end in segments(y_true):
        flagged = sum(y_pred[start:end])
        if flagged * 100 > k * (end - start):
            adjusted[start:end] = [1] * (end - start)
    return adjusted


def pa_k_auc(y_true, y_pred):
    """Sum F1(k) over the intervals of k in which it is constant."""
    steps = {0.0, 100.0}
    for start, end in segments(y_true):
        steps.add(100 * sum(y_pred[start:end]) / (end - start))
    steps = sorted(steps)
    area = 0.0
    for low, high in pairwise(steps):
        middle = (low + high) / 2
        area += (high - low) / 100 * f1(y_true, point_adjust(y_true, y_pred, middle))
    return area


def event_recall(y_true, y_pred):
    events = segments(y_true)
    return sum(1 for start, end in events if any(y_pred[start:end])) / len(events)


# Affiliation (Huet et al. 2022) ---------------------------------------------------

FINE = 16  # cells per sample; see `affiliation`


def distance(x, intervals):
    """Return the distance from a point to the nearest of some intervals."""
    return min(max(0.0, start - x, x - end) for start, end in intervals)


def overlap(low, high, zone):
    return max(0.0, min(high, zone[1]) - max(low, zone[0]))


def affiliation(y_true, y_pred):
    """Average over fine cells. Every integrand is linear within one of them.

    P(dist(X, S) >= d) for X uniform on a zone is 1 less the share of the zone
    covered by S widened by d on both sides; it is 1 for d = 0.
    """
    events = segments(y_true)
    cuts = [(a[1] + b[0]) / 2 for a, b in pairwise(events)]
    borders = [0, *cuts, len(y_true)]
    precisions, recalls = [], []
    for event, zone in zip(events, pairwise(borders), strict=True):
        width = zone[1] - zone[0]
        predicted = [
            (max(start, zone[0]), min(end, zone[1]))
            for start, end in segments(y_pred)
            if overlap(start, end, zone) > 0
        ]
        if not predicted:
            recalls.append(0.0)
            continue

        of_cells = []
        for cell in range(FINE * len(y_true)):
            x = (cell + 0.5) / FINE
            if distance(x, predicted) == 0:
                d = distance(x, [event])
                nearer = overlap(event[0] - d, event[1] + d, zone) if d else 0.0
                of_cells.append(1 - nearer / width)
        precisions.append(sum(of_cells) / len(of_cells))

        of_cells = []
        for cell in range(FINE * event[0], FINE * event[1]):
            y = (cell + 0.5) / FINE
            d = distance(y, predicted)
            of_cells.append(1 - overlap(y - d, y + d, zone) / width)
        recalls.append(sum(of_cells) / len(of_cells))
    precision = sum(precisions) / len(precisions) if precisions else math.nan
    return precision, sum(recalls) / len(recalls)


# Range-AUC and VUS (Paparrizos et al. 2022) ---------------------------------------


def sloped_labels(y_true, buffer_size):
    labels = [float(y) for y in y_true]
    half = buffer_size // 2
    for start, end in segments(y_true):
        for t in range(max(0, start - half), start):
            labels[t] += math.sqrt(1 - (start - t) / buffer_size)
        last = end - 1
        for t in range(last + 1, min(last + half, len(labels))):
            labels[t] += math.sqrt(1 - (t - last) / buffer_size)
    return [min(label, 1.0) for label in labels]


def range_rates(y_true, y_score, buffer_size, threshold):
    """Return number flagged, precision, recall and false positive rate."""
    labels = sloped_labels(y_true, buffer_size)
    flagged = [score >= threshold for score in y_score]
    n_pos = (sum(y_true) + sum(labels)) / 2
    found = sum(label for label, flag in zip(labels, flagged, strict=True) if flag)
    zones = segments([label > 0 for label in labels])
    existence = sum(1 for start, end in zones if any(flagged[start:end])) / len(zones)
    return (
        sum(flagged),
        found / sum(flagged),
        min(1.0, found / n_pos) * existence,
        (sum(flagged) - found) / (len(y_true) - n_pos),
    )


def range_auc(y_true, y_score, buffer_size):
    """Return the areas under the precision-recall and the ROC curve."""
    pr_auc = roc_auc = 0.0
    n_before, precision_before, recall_before, fpr_before = 0, 1.0, 0.0, 0.0
    for threshold in sorted(set(y_score), reverse=True):
        n, precision, recall, fpr = range_rates(y_true, y_score, buffer_size, threshold)
        tied = n - n_before > 1
        height = precision if tied else (precision + precision_before) / 2
        pr_auc += (recall - recall_before) * height
        roc_auc += (fpr - fpr_before) * (recall + recall_before) / 2
        n_before, precision_before, recall_before, fpr_before = (
            n,
            precision,
            recall,
            fpr,
        )
    return pr_auc, roc_auc + (1 - fpr_before) * (1 + recall_before) / 2


def vus(y_true, y_score, max_buffer_size):
    """Return VUS-PR and VUS-ROC."""
    areas = [range_auc(y_true, y_score, b) for b in range(max_buffer_size + 1)]
    return tuple(sum(area) / len(areas) for area in zip(*areas, strict=True))
