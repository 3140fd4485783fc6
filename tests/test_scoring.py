"""From deviations to scores: functions of plain arguments, no estimator."""

import naive_scores as naive
import numpy as np
import pytest
from conftest import RARITY_LIMITS, make_calibrated, make_waves, punch_holes
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _blockwise, _context, _criteria, _levels, _scoring
from skmemto._context import piece_bounds
from skmemto._criteria import (
    Calibration,
    InputDeviation,
    LatentDeviation,
    SoftmaxCriterion,
    to_ratios,
)
from skmemto._deviations import RowDeviations
from skmemto._levels import LevelFollower
from skmemto._lookahead import Lookahead
from skmemto._rarity import ALARMING_RARITY, wider_span
from skmemto._scoring import calibrate, score_rows, share_out

SERIES = np.array([[0, 50], [50, 53], [53, 90]])
CALIBRATION = Calibration(np.array([0.2, 0.5, 0.1, 1.0]), np.array([1.0, 2, 1, 3]))
SILENT = [25, 52, *range(60, 85)]  # rows without any value


@pytest.fixture(name="deviations")
def deviations_of_ninety_rows():
    """As they come: in two parts, one for each length of window."""
    rng = np.random.RandomState(0)
    squares, latent = punch_holes(rng.exponential(size=(90, 4))), rng.uniform(size=90)
    squares[19:21] = [[1, np.nan, 2, 0.5], [30, np.nan, 31, 32]]
    squares[SILENT] = latent[SILENT] = np.nan
    return RowDeviations(np.arange(90), squares, latent)


def in_parts(deviations, *cuts):
    cuts = cuts or ([*range(50), *range(53, 90)], [50, 51, 52])
    return [RowDeviations(*(array[rows] for array in deviations)) for rows in cuts]


def make(name, span):
    return {
        "isd": InputDeviation(span),
        "lsd": LatentDeviation(span),
        "softmax": SoftmaxCriterion(span, 8, 0.3),
        "calibrated": make_calibrated(CALIBRATION, span, edge=3.0),
    }[name]


def naive_rarities(squares, latent, series, criterion):
    """Score rows from their deviations (n, F), each series for itself."""
    scale, limit = criterion.calibration
    squares = np.array(
        [
            values / naive.context_factor(row, series, criterion.context)
            for row, values in enumerate(squares)
        ]
    )
    alone, share = _criteria._SHARE_BEYOND_ALONE, _criteria._SHARE_BEYOND
    worst = np.array([naive.worst(row, scale, limit, alone) for row in squares])
    mean = np.array([naive.power_mean(row, scale, limit, share) for row in squares])
    rarities = [
        naive.rarity_of_rows(
            worst[start:stop],
            latent[start:stop],
            mean[start:stop],
            criterion.rarity,
            wider_span=wider_span(criterion.rarity.span),
            **RARITY_LIMITS,
        )
        for start, stop in series
    ]
    rarities = np.concatenate(rarities)
    if criterion.rarity.span == 1:  # nothing is known of a row by its neighbours
        rarities[np.isnan(mean)] = np.nan
    return rarities


def naive_scores(name, deviations, span):
    _, squares, latent = deviations
    if name == "calibrated":
        return naive_rarities(squares, latent, SERIES, make(name, span))
    scores = []
    for start, stop in SERIES:
        of_series = squares[start:stop], latent[start:stop]
        values = {
            "isd": lambda d, _: np.array([naive.mean(row) for row in d]),
            "lsd": lambda _, latent: latent,
            "softmax": lambda d, latent: naive.softmax_criterion(latent, d, 8, 0.3),
        }[name](*of_series)
        scores.append(naive.known_average(values, span) if span > 1 else values)
    return np.concatenate(scores)


# ---------------------------------------------------------------- scoring


@pytest.mark.parametrize("span", [1, 4])
@pytest.mark.parametrize("name", ["isd", "lsd", "softmax", "calibrated"])
def test_scores_equal_naive(deviations, name, span):
    scores, unknown = score_rows(in_parts(deviations), SERIES, make(name, span))
    assert_allclose(scores, naive_scores(name, deviations, span), rtol=1e-8)
    assert_array_equal(np.flatnonzero(unknown), SILENT)
    # Without smoothing, and far from any value, nothing is known.
    assert np.isnan(scores[25]) == (span == 1)
    assert np.isnan(scores[72]) == (span == 1 or name != "calibrated")


@pytest.mark.parametrize("name", ["softmax", "calibrated"])
def test_order_of_the_parts_means_nothing(deviations, name):
    parts = in_parts(deviations, range(20), range(20, 50), range(50, 90))
    forth, back, whole = (
        score_rows(p, SERIES, make(name, 4)) for p in (parts, parts[::-1], [deviations])
    )
    for one, *others in zip(whole, forth, back, strict=True):
        for other in others:
            assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["softmax", "calibrated"])
def test_a_series_is_scored_as_if_alone(deviations, name):
    together, _ = score_rows(in_parts(deviations), SERIES, make(name, 4))
    for start, stop in SERIES:
        values = (array[start:stop] for array in deviations)
        part = RowDeviations(*values)._replace(rows=np.arange(stop - start))
        alone, _ = score_rows([part], np.array([[0, stop - start]]), make(name, 4))
        assert_allclose(alone, together[start:stop], rtol=1e-12)


# ---------------------------------------------------------------- sharing out


@pytest.mark.parametrize("span", [1, 4])
def test_shares_equal_naive(deviations, span):
    criterion = make("calibrated", span)
    shares = share_out(in_parts(deviations), SERIES, criterion, (90, 4))
    parts = np.zeros((90, 4))
    for row, values in enumerate(deviations.input):
        values = values / naive.context_factor(row, SERIES, criterion.context)
        ratios = [
            naive.ratio(*channel, share=_criteria._SHARE_BEYOND)
            for channel in zip(values, *CALIBRATION, strict=True)
        ]
        powers = [0.0 if np.isnan(r) else r**4 for r in ratios]
        if sum(powers) > 0:
            parts[row] = np.array(powers) / sum(powers) * sum(powers) ** 0.25
    for start, stop in SERIES:
        for channel in range(4):
            values = parts[start:stop, channel]
            parts[start:stop, channel] = naive.smooth(values, span, 0.0)
    total = parts.sum(axis=1, keepdims=True)
    assert_allclose(shares, parts / np.where(total > 0, total, 1.0), atol=1e-12)
    assert_allclose(shares.sum(axis=1)[total[:, 0] > 0], 1.0)


def test_where_nothing_deviates_nothing_is_shared_out():
    nothing = RowDeviations(np.arange(5), np.zeros((5, 4)), np.zeros(5))
    criterion, one = make("calibrated", 4), np.array([[0, 5]])
    assert_array_equal(share_out([nothing], one, criterion, (5, 4)), 0)


# ---------------------------------------------------------------- calibrating


WINDOW, SPAN, LEVEL_SPAN = 8, 3, 20
RANGE_FACTOR = np.array([1.0, 1.5, 1.0, 1.2])
TRAIN = np.array([[0, 150], [150, 156], [156, 400]])


def normal_squares():
    squares = punch_holes(np.random.RandomState(1).exponential(size=(400, 4)), 0.1)
    squares[200] = np.nan
    squares[:, 2] *= 50
    return squares


def less_context_more_deviation(squares):
    """Deviations of rows, which are larger in a short series and at its ends."""

    def deviations_of(series):
        for start, stop in series:
            rows = np.arange(start, stop)
            factor = 1 + 2 / (stop - start) + 3 * ((rows == start) | (rows == stop - 1))
            values = squares[rows] * factor[:, np.newaxis]
            yield RowDeviations(rows, values, values.sum(axis=1))

    return deviations_of


def calibrated(squares, X=None, lookahead=Lookahead()):  # noqa: B008 - a tuple
    return calibrate(
        np.zeros((len(squares), 4)) if X is None else X,
        less_context_more_deviation(squares),
        TRAIN,
        window_size=WINDOW,
        span=SPAN,
        level_span=LEVEL_SPAN,
        range_factor=RANGE_FACTOR,
        lookahead=lookahead,
        threshold_of=lambda rarities: ALARMING_RARITY,
    )


def in_full(squares, series=TRAIN):
    deviations_of = less_context_more_deviation(squares)
    return np.concatenate([part.input for part in deviations_of(series)])


def test_spread_and_limit_equal_naive():
    squares = normal_squares()
    normal = calibrated(squares)
    spread, limit = naive.calibrate(in_full(squares), _scoring._LEAST_SHARE)
    assert_allclose(normal.spread, spread, rtol=1e-12)
    calibration = normal.criterion.calibration
    assert_allclose(calibration.limit, limit, rtol=1e-12)
    # A channel that may yet go further counts less.
    assert_allclose(calibration.scale, spread * RANGE_FACTOR, rtol=1e-12)


def test_context_equals_naive():
    squares = normal_squares()
    context = calibrated(squares).criterion.context
    full = in_full(squares)
    for length, factors, bounds in zip(
        context.lengths, context.short, piece_bounds(TRAIN, WINDOW), strict=True
    ):
        alone = in_full(squares, bounds).reshape(len(bounds), length, 4)
        whole = np.array([full[start:stop] for start, stop in bounds])
        for channel in range(4):
            expected, of_place = naive.context_factors(
                alone[..., channel], whole[..., channel], _context._MOST
            )
            assert factors[channel] == pytest.approx(expected)
    n_edge = len(context.first)
    assert_allclose(context.first[:, channel], of_place[:n_edge])
    assert_allclose(context.last[:, channel], of_place[::-1][:n_edge])
    assert (context.short[0] > 2).all() and (context.first[0] > 2).all()


def test_levels_equal_naive():
    squares = normal_squares()
    normal = calibrated(squares)
    criterion, levels = normal.criterion, normal.levels
    assert levels.span == LEVEL_SPAN
    full, calibration = in_full(squares), zip(*criterion.calibration, strict=True)
    in_context = [
        full[row] / naive.context_factor(row, TRAIN, criterion.context)
        for row in range(400)
    ]
    sampled = {
        row
        for bounds in piece_bounds(TRAIN, WINDOW)
        for start, stop in bounds
        for row in range(start, stop)
    }
    for channel, (scale, limit) in enumerate(calibration):
        of_sample, logs = (
            [
                np.log(min(values[row][channel], _levels._MOST * limit) / scale + 0.05)
                for row in rows
            ]
            for values, rows in ((full, sampled), (in_context, range(400)))
        )
        usual = naive.mean(of_sample)
        assert levels.usual[channel] == pytest.approx(usual)
        assert levels.most[channel] == pytest.approx(_levels._MOST * limit / scale)
        before = [naive.levels(logs[a:b], usual, LEVEL_SPAN) for a, b in TRAIN]
        assert levels.highest[channel] == pytest.approx(np.concatenate(before).max())


def test_training_rows_themselves_have_not_moved_on():
    squares = normal_squares()
    normal = calibrated(squares)
    follower = LevelFollower(normal.levels, TRAIN)
    for part in less_context_more_deviation(squares)(TRAIN):
        criterion = normal.criterion
        ratios = to_ratios(part, TRAIN, criterion.context, criterion.calibration)
        before = ratios.copy()
        follower.rebase(ratios, part.rows)
        assert_allclose(ratios, before, rtol=1e-12)
    assert follower.moved == []


def test_rarities_of_new_rows_equal_naive():
    criterion = calibrated(normal_squares()).criterion
    squares = np.random.RandomState(2).exponential(size=(90, 4)) * [1, 1, 50, 1]
    squares[30:33, 1] = 100.0
    squares[60] = np.nan
    parts = list(less_context_more_deviation(squares)(SERIES))
    scores, unknown = score_rows(parts, SERIES, criterion)
    full = in_full(squares, SERIES)
    latent = np.concatenate([part.latent for part in parts])
    expected = naive_rarities(full, latent, SERIES, criterion)
    assert_allclose(scores, expected, rtol=1e-8)
    assert_array_equal(np.flatnonzero(unknown), [60])
    assert scores[31] > 2.5


def test_a_score_says_how_rare_it_is_on_normal_rows():
    criterion = calibrated(normal_squares()).criterion
    squares = np.random.RandomState(2).exponential(size=(20_000, 4)) * [1, 1, 50, 1]
    series = np.array([[0, 20_000]])
    parts = less_context_more_deviation(squares)(series)
    scores, _ = score_rows(parts, series, criterion)
    for s in (0.5, 1.0, 1.5):
        assert 0.1 * 10**-s < (scores > s).mean() < 2.5 * 10**-s


def test_motion_is_that_of_the_rows_themselves():
    X = np.column_stack([make_waves(400, 3), np.zeros(400)])
    motion = calibrated(normal_squares(), X).motion
    assert_array_equal(motion.always, [True, True, True, False])
    assert motion.n_rows == 400


def test_blocks_of_a_calibration_change_nothing(monkeypatch):
    expected = calibrated(normal_squares())
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", 64)
    found = calibrated(normal_squares())
    for one, other in zip(
        (found.spread, *found.levels, *found.criterion.rarity.near[:2]),
        (expected.spread, *expected.levels, *expected.criterion.rarity.near[:2]),
        strict=True,
    ):
        assert_allclose(one, other, rtol=1e-10)


def test_deviations_are_kept_where_memory_allows(monkeypatch):
    expected = calibrated(normal_squares())
    monkeypatch.setattr(_scoring, "_MOST_BYTES", 0)
    found = calibrated(normal_squares())
    assert_array_equal(found.spread, expected.spread)
    assert_array_equal(
        found.criterion.rarity.near.scores, expected.criterion.rarity.near.scores
    )


# ---------------------------------------------------------------- odd channels


def calibration_of(*columns):
    """What is measured of one long series without any lack of context."""
    squares, one = np.column_stack(columns).astype(float), np.array([[0, 400]])

    def deviations_of(series):
        for start, stop in series:
            part = squares[start:stop]
            yield RowDeviations(np.arange(start, stop), part, part[:, 0])

    normal = calibrate(
        np.zeros(squares.shape), deviations_of, one, window_size=WINDOW, span=SPAN,
        level_span=LEVEL_SPAN, range_factor=np.ones(len(columns)),
        lookahead=Lookahead(),
        threshold_of=lambda rarities: ALARMING_RARITY,
    )  # fmt: skip
    return normal, normal.criterion.calibration


def test_channels_that_are_reconstructed_exactly_have_the_least_scale():
    _, (scale, limit) = calibration_of(np.zeros(400), np.full(400, 3.0))
    assert_allclose(scale, [3e-4, 3], rtol=1e-12)
    assert_allclose(limit, [3e-4, 3], rtol=1e-12)
    _, (scale, limit) = calibration_of(np.zeros(400), np.zeros(400))
    assert_array_equal([scale, limit], np.finfo(float).eps)


def test_channel_that_never_deviated_is_limited_as_the_one_that_deviated_most():
    rare = np.where(np.arange(400) % 100 == 50, 8.0, 0.0)
    _, (scale, limit) = calibration_of(np.zeros(400), np.full(400, 3.0), rare)
    assert limit[0] / scale[0] == pytest.approx(limit[2] / scale[2])
    assert limit[0] / scale[0] > limit[1] / scale[1] == 1


def test_channel_never_seen_has_no_scale():
    random = np.random.RandomState(0).exponential(size=400)
    normal, (scale, limit) = calibration_of(random, np.full(400, np.nan))
    assert_array_equal(np.isnan([scale, limit]), [[False, True]] * 2)
    new = RowDeviations(np.arange(50), np.full((50, 2), np.nan), np.zeros(50))
    new.input[:, 0] = random[:50]
    scores, unknown = score_rows([new], np.array([[0, 50]]), normal.criterion)
    assert np.isfinite(scores).all() and not unknown.any()


def test_where_nothing_ever_deviates_a_change_of_one_row_is_one_row():
    normal, _ = calibration_of(np.zeros(400), np.zeros(400))
    new = RowDeviations(np.arange(50), np.zeros((50, 2)), np.zeros(50))
    new.input[20, 1] = 1e-3
    scores, _ = score_rows([new], np.array([[0, 50]]), normal.criterion)
    assert scores[20] > 100
    assert np.delete(scores, 20).max() < 2


# ---------------------------------------------------------------- looking ahead


def test_each_station_learns_how_far_it_looks_ahead():
    squares = normal_squares()
    normal = calibrated(squares, lookahead=Lookahead(window=2, smoothing=3))
    context, rarity = normal.criterion.context, normal.criterion.rarity
    assert (len(context.first), len(context.last)) == (WINDOW - 2, 2)
    assert (rarity.lookahead, normal.motion.lookahead) == (3, 5)
    usual = calibrated(squares)
    assert usual.criterion.rarity.lookahead is usual.motion.lookahead is None
    # Averages over fewer rows vary more.
    assert rarity.near.score(2.0) > usual.criterion.rarity.near.score(2.0)


@pytest.mark.parametrize("lookahead", [0, 3])
def test_scores_of_a_beginning_are_those_of_the_whole(lookahead):
    criterion = calibrated(
        normal_squares(), lookahead=Lookahead(0, lookahead)
    ).criterion
    squares = np.random.RandomState(2).exponential(size=(90, 4)) * [1, 1, 50, 1]

    def scores(n):
        one = np.array([[0, n]])
        values = squares[:n]
        parts = [RowDeviations(np.arange(n), values, values.sum(axis=1))]
        return score_rows(parts, one, criterion)[0]

    for n in (1, 20, 89):
        n_final = max(0, n - lookahead)
        assert_array_equal(scores(n)[:n_final], scores(90)[:n_final])
