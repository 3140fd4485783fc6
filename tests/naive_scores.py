"""From deviations to scores and events, as it is meant: loops, one number at a time.

Slow and obvious on purpose, as `naive.py` is, whose networks come before. What was
chosen by measurement (shares, spans, decades) is an argument. NaN is a missing value.
"""

import math
import sys

import numpy as np
from naive import mean, softmax
from scipy.stats import genpareto, norm
from scipy.stats import t as student


def known(values):
    return [value for value in values if not math.isnan(value)]


def deviation(values):
    """Standard deviation of what is not missing."""
    values = known(values)
    centre = mean(values)
    return math.sqrt(sum((value - centre) ** 2 for value in values) / len(values))


# ---------------------------------------------------------------- what is learned from


def gap_above(values, far, gap, largest_share, few):
    """Where absurdly high values begin, and the largest that is not one of them."""
    values = sorted(values)
    low, high = np.quantile(values, [0.02, 0.98])
    width = high - low
    n_most = max(1, int(largest_share * len(values)))
    if width > 0:
        for i in range(len(values) - 1 - n_most, len(values) - 1):
            last, beyond = values[i], values[i + 1 :]
            if beyond[0] - last > gap * width and beyond[0] > high + far * width:
                if len(beyond) <= few or len(set(beyond)) == 1:
                    return (last + beyond[0]) / 2, last
                break  # so many different ones are no mistake
    return math.inf, values[-1]


def value_bounds(column, far, gap, largest_share, few):
    """Bounds of one channel beyond which its values are absurd."""
    values = known(column)
    if len(set(values)) < 2:
        return -math.inf, math.inf
    upper, largest = gap_above(values, far, gap, largest_share, few)
    lower, smallest = gap_above([-v for v in values], far, gap, largest_share, few)
    lower, smallest = -lower, -smallest
    width = largest - smallest
    return max(lower, smallest - width), min(upper, largest + width)


def range_factor(column, n_parts, fewest, outside):
    """How many times the range seen one channel may come to span."""
    length = max(1, len(column) // n_parts)
    means = []
    for start in range(0, len(column), length):
        values = known(column[start : start + length])
        if len(values) > length / 2:
            means.append(mean(values))
    variance = deviation(column) ** 2
    rows_worth_one = 1.0
    if len(means) > 1 and variance > 0:
        between = deviation(means) ** 2 * len(means) / (len(means) - 1)
        rows_worth_one = max(1.0, length * between / variance)
    n = max(len(column) / rows_worth_one, fewest)
    reached = norm.ppf(1 - max(1 / (n + 1), outside))
    possible = student.ppf(1 - outside, n - 1) * math.sqrt(1 + 1 / n)
    return max(1.0, possible / reached)


# ---------------------------------------------------------------- criteria


def softmax_weights(latent, window_size, temperature):
    """Softmax of one series within each window; the last ends with the series."""
    n_steps = len(latent)
    length = min(window_size, n_steps)
    weights = np.full(n_steps, np.nan)
    for start in range(0, n_steps, length):
        first = min(start, n_steps - length)
        window = latent[first : first + length]
        logits = [-math.inf if math.isnan(v) else v / temperature for v in window]
        inside = softmax(logits)
        for t in range(start, first + length):
            weights[t] = inside[t - first]
    return weights


def softmax_criterion(latent, input_deviations, window_size, temperature):
    """Eq. 11: share of the window's latent deviation times the input deviation."""
    weights = softmax_weights(latent, window_size, temperature)
    return weights * np.array([mean(row) for row in input_deviations])


def calibrate(input_deviations, least_share):
    """Scale and limit of each channel's deviations (ours)."""
    scales, largest = [], []
    for channel in input_deviations.T:
        values = known(channel)
        scales.append(mean(values) + deviation(values) if values else math.nan)
        largest.append(max(values, default=math.nan))
    least = max(least_share * max(known(scales)), sys.float_info.epsilon)
    raised = [math.nan if math.isnan(s) else max(s, least) for s in scales]
    limits = [max(m, s) for m, s in zip(largest, raised, strict=True)]
    # A channel that never erred is limited as the one that erred most, in its units.
    most = max(known([m / s for m, s in zip(limits, raised, strict=True)]))
    limits = [
        least * most if s < least else m for s, m in zip(scales, limits, strict=True)
    ]
    return np.array(raised), np.array(limits)


def ratio(value, scale, limit, share):
    """A deviation in units of its channel's own; beyond the limit its logarithm."""
    if value <= limit or math.isnan(value):
        return value / scale
    return limit / scale * (1 + share * math.log(value / limit))


def worst(row, scale, limit, share):
    """The largest ratio of a row; NaN if nothing is known."""
    channels = zip(row, scale, limit, strict=True)
    return max(known([ratio(*channel, share) for channel in channels]), default=np.nan)


def power_mean(row, scale, limit, share):
    """The power mean of order 4 over the channels of a row."""
    channels = zip(row, scale, limit, strict=True)
    return mean([ratio(*channel, share) ** 4 for channel in channels]) ** (1 / 4)


def context_factor(row, series, context):
    """How many times as large the deviations of a row are for want of context, (F,)."""
    ((start, stop),) = [bounds for bounds in series if bounds[0] <= row < bounds[1]]
    length = stop - start
    factor = np.ones(context.short.shape[1])
    lengths = context.lengths.tolist()
    if length < lengths[-1]:
        above = next(i for i, n in enumerate(lengths) if n >= length)
        if lengths[above] == length:
            return context.short[above]
        low, high = lengths[above - 1], lengths[above]
        share = math.log(length / low) / math.log(high / low)
        return context.short[above - 1] ** (1 - share) * context.short[above] ** share
    if row - start < len(context.first):
        factor = factor * context.first[row - start]
    if stop - 1 - row < len(context.last):
        factor = factor * context.last[stop - 1 - row]
    return factor


def times_as_large(alone, full, most):
    """How many times as large the deviations of most pieces are, at least 1."""
    pairs = [
        pair for pair in zip(alone, full, strict=True) if not math.isnan(sum(pair))
    ]
    if not pairs:
        return 1.0
    high, low = (np.quantile(values, most) for values in zip(*pairs, strict=True))
    return max(1.0, high / low) if low > 0 else 1.0


def context_factors(alone, full, most):
    """Factors of one channel: of pieces (n_pieces, L) as a whole, and of each place."""
    means = [[mean(piece) for piece in values] for values in (alone, full)]
    of_place = [
        times_as_large(alone[:, place], full[:, place], most)
        for place in range(alone.shape[1])
    ]
    return times_as_large(*means, most), of_place


# ---------------------------------------------------------------- over time


def smooth(values, span, typical, lookahead=None):
    """Average over time, with typical values before, after and in the gaps.

    The weight of a row k steps away is ``d ** k``; that of one further ahead than the
    lookahead is 0.
    """
    decay = (span - 1) / (span + 1)
    reach = math.ceil(math.log(1e-18) / math.log(decay)) if decay else 0
    padded = [typical] * reach
    padded += [typical if math.isnan(value) else value for value in values]
    padded = np.array([*padded, *[typical] * reach])
    weights = np.array(
        [
            decay ** abs(k) if lookahead is None or k <= lookahead else 0
            for k in range(-reach, reach + 1)
        ]
    )
    weights /= weights.sum()
    return np.array(
        [sum(weights * padded[t : t + 2 * reach + 1]) for t in range(len(values))]
    )


def known_average(values, span, lookahead=None):
    """Average over what is known; NaN where that weighs too little.

    That is less than half of what a value weighs in its own place.
    """
    decay = (span - 1) / (span + 1)
    averages = []
    for t in range(len(values)):
        last = len(values) if lookahead is None else t + lookahead
        at = [s for s, x in enumerate(values) if s <= last and not math.isnan(x)]
        weights = [decay ** abs(t - s) for s in at]
        total = sum(w * values[s] for w, s in zip(weights, at, strict=True))
        enough = sum(weights) >= 0.5
        averages.append(total / sum(weights) if enough else math.nan)
    return np.array(averages)


def levels(logs, usual, span):
    """Running average of one channel's rows before each row; a gap is as usual."""
    share = 2 / (span + 1)
    level, before = usual, []
    for log in logs:
        before.append(level)
        level += share * ((usual if math.isnan(log) else log) - level)
    return np.array(before)


def moved(factors, series, span, reported):
    """Channels still elsewhere at the end of a series, for longer than the span.

    Yields channel, row since when, and factor.
    """
    for start, stop in series:
        for channel in range(factors.shape[1]):
            since = stop
            while since > start and factors[since - 1, channel] >= reported:
                since -= 1
            if stop - since > span:
                yield channel, since, factors[stop - 1, channel]


# ---------------------------------------------------------------- rarity


def peaks(scores, start, gap):
    """Excess of the highest score of each run, rows at most `gap` apart being one."""
    runs, last = [], None
    for row, score in enumerate(scores):
        if score <= start:
            continue
        if last is None or row - last > gap:
            runs.append([])
        runs[-1].append(score - start)
        last = row
    return [max(run) for run in runs]


def pareto(excesses, least_shape, largest_shape):
    """Scale and shape by probability-weighted moments (Hosking and Wallis, 1987)."""
    n = len(excesses)
    first = sum(excesses) / n if n else 0.0
    if n < 3 or first == 0:
        return first, least_shape
    second = 0.0  # of x (1 - F(x)), with plotting positions (i - 0.35) / n
    for i, excess in enumerate(sorted(excesses), start=1):
        second += excess * (1 - (i - 0.35) / n) / n
    if first > 2 * second:
        shape = 2 - first / (first - 2 * second)
        shape = min(max(shape, least_shape), largest_shape)
    else:
        shape = largest_shape
    return first * (1 - shape), shape


def survival(excess, scale, shape):
    if scale == 0:
        return 0.0 if excess > 0 else 1.0
    return genpareto.sf(excess, shape, scale=scale)


def fit_pareto(excesses, n_wrong, least_likely, shapes):
    """Scale, shape and number of the peaks that fit one another."""
    kept = sorted(excesses)
    while len(excesses) - len(kept) < n_wrong and len(kept) > 2:
        *others, largest = kept
        if len(kept) * survival(largest, *pareto(others, *shapes)) > least_likely:
            break
        kept = others
    return *pareto(kept, *shapes), len(kept)


def rarity(score, tail):
    """How rare a score is: counted up to where the tail begins, then by Pareto."""
    if score >= tail.scores[-1]:
        excess = score - tail.scores[-1]
        beyond = genpareto.logsf(excess, tail.shape, scale=tail.scale)
        return tail.rarities[-1] - beyond / math.log(10)
    for i in range(len(tail.scores) - 1, 0, -1):
        low, high = tail.scores[i - 1 : i + 1]
        if low <= score and low < high:
            share = (score - low) / (high - low)
            return tail.rarities[i - 1] + share * (
                tail.rarities[i] - tail.rarities[i - 1]
            )
    return tail.rarities[0]


def rarity_of_rows(worst, latent, mean, rarity_of, *, wider_span, decades, **limits):
    """The largest rarity of the three scopes; NaN takes what the wider ones say."""
    near, wide, wide_latent = (
        smooth(values, span, typical, rarity_of.lookahead)
        for values, span, typical in (
            (mean, rarity_of.span, rarity_of.typical),
            (mean, wider_span, rarity_of.typical),
            (latent, wider_span, rarity_of.typical_latent),
        )
    )
    rarities, most = [], rarity_of.alarming - decades["wide"]
    for row in range(len(worst)):
        scopes = [rarity(near[row], rarity_of.near)]
        if not math.isnan(worst[row]):
            by_itself = rarity(worst[row], rarity_of.alone) - decades["alone"]
            scopes.append(with_limit(by_itself, rarity_of.alarming, **limits))
        of_latent = rarity(wide_latent[row], rarity_of.wide_latent)
        of_latent = with_limit(of_latent, most, **limits)
        of_mean = rarity(wide[row], rarity_of.wide)
        scopes += [of_latent, with_limit((of_mean + of_latent) / 2, most, **limits)]
        rarities.append(max(scopes))
    return np.array(rarities)


def with_limit(value, most, *, room, halfway):
    """In full up to the limit, and beyond never more than the room there is."""
    if value <= most:
        return value
    return most + room * (value - most) / (value - most + halfway)


# ---------------------------------------------------------------- stuck, and events


def repeats(x):
    """Runs (start, stop) of values that repeat the one before."""
    runs, start = [], None
    for row in range(1, len(x) + 1):
        same = row < len(x) and x[row] == x[row - 1]
        if same and start is None:
            start = row
        elif not same and start is not None:
            runs.append((start, row))
            start = None
    return runs


def stuck_rows(x, reach, least_repeats, repeating_share, lookahead=None):
    """Rows of long runs of repeats, before which the channel has moved.

    With a lookahead those for which enough repeats have come so soon.
    """
    runs, rows = repeats(x), []
    for start, stop in runs:
        near = [run for run in runs if start - reach <= run[0] < start]
        n_repeats = sum(last - first for first, last in near)
        long = stop - start >= least_repeats
        if long and start > reach and n_repeats <= repeating_share * reach:
            rows += [
                row
                for row in range(start, stop)
                if lookahead is None or row + lookahead >= start + least_repeats - 1
            ]
    return rows


def runs_of_flags(decision, series, min_length, merge_gap, hysteresis):
    """Events (start, stop, which series) of rows with a negative decision."""
    events = []
    for i, (first, last) in enumerate(series):
        flagged = [row for row in range(first, last) if decision[row] < 0]
        joined = []
        for row in flagged:
            if joined:
                between = decision[joined[-1][-1] + 1 : row]
                near = len(between) <= merge_gap
                if near or max(between) <= hysteresis:
                    joined[-1].append(row)
                    continue
            joined.append([row])
        events += [(rows[0], rows[-1] + 1, i) for rows in joined]
    return [event for event in events if event[1] - event[0] >= min_length]
