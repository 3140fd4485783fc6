"""What a detector has learned -> plain data, and back, checked whole.

Plain data are dicts, lists, arrays, numbers and texts: what classes hold them, and in
what order, may change while saved models stay as they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray

from skmemto._reservoir import Reservoir
from skmemto._scaling import ChannelScaler
from skmemto._scoring import Normal
from skmemto._settings import Settings

# Fitted attributes that are more than arrays and numbers.
_COMPOUND: dict[str, type] = {
    "reservoir_": Reservoir,
    "scaler_": ChannelScaler,
    "normal_": Normal,
    "settings_": Settings,
}
# Kinds of dtypes, and what they are called.
_DTYPES = {"f": "float", "i": "int", "b": "bool"}


class _Array(NamedTuple):
    """What an array must be like; sizes of the same name are equal."""

    dtype: str
    shape: str
    holds: Callable[[NDArray], bool]
    what: str


class _Value(NamedTuple):
    """What anything else must be like."""

    holds: Callable[[Any], bool]
    what: str


_Expected = _Array | _Value


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_real(value: Any, least: float = -np.inf) -> bool:
    return isinstance(value, float) and np.isfinite(value) and value >= least


def _ascends(values: NDArray) -> bool:
    return bool(np.isfinite(values).all() and (np.diff(values) >= 0).all())


def _are_losses(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_real, value))


_FLAG = _Value(lambda v: isinstance(v, bool), "a bool")
_COUNT = _Value(lambda v: _is_whole(v, 0), "an int, 0 or more")
_SPAN = _Value(lambda v: _is_whole(v, 1), "an int, 1 or more")
_ROWS_OR_ALL = _Value(lambda v: v is None or _is_whole(v, 0), "None or an int >= 0")
_REAL = _Value(_is_real, "a finite float")
_NOT_NEGATIVE = _Value(lambda v: _is_real(v, 0.0), "a finite float, 0 or more")
_POSITIVE = _Value(lambda v: _is_real(v) and v > 0, "a finite float above 0")
_FLAGS = _Array("b", "F", lambda a: True, "")


def _channels(holds: Callable[[NDArray], bool], what: str, shape: str = "F") -> _Array:
    return _Array("f", shape, holds, what)


_FINITE = _channels(lambda a: bool(np.isfinite(a).all()), "finite")
_BOUND = _channels(lambda a: not np.isnan(a).any(), "no NaN")
_SCALE = _channels(lambda a: bool((np.isfinite(a) & (a > 0)).all()), "finite, above 0")
_ASCENDING = _Array("f", "K", _ascends, "finite and ascending")
_FACTORS = _SCALE._replace(shape="* F")


def _within(whole: str, parts: dict[str, _Expected]) -> dict[str, _Expected]:
    return {f"{whole}.{name}": expected for name, expected in parts.items()}


_TAIL: dict[str, _Expected] = {
    "rarities": _ASCENDING,
    "scores": _ASCENDING,
    "scale": _POSITIVE,
    "shape": _NOT_NEGATIVE,
    "n_peaks": _COUNT,
}
_RARITY: dict[str, _Expected] = {
    "span": _SPAN,
    "typical": _NOT_NEGATIVE,
    "typical_latent": _REAL,
    "alarming": _REAL,
    "lookahead": _ROWS_OR_ALL,
    **_within("alone", _TAIL),
    **_within("near", _TAIL),
    **_within("wide", _TAIL),
    **_within("wide_latent", _TAIL),
}
_CRITERION: dict[str, _Expected] = {
    "calibration.scale": _SCALE,
    "calibration.limit": _SCALE,
    "context.lengths": _Array("i", "L", _ascends, "ascending"),
    "context.short": _FACTORS._replace(shape="L F"),
    "context.first": _FACTORS,
    "context.last": _FACTORS,
    "follower": _Value(lambda v: v is None, "None"),
    **_within("rarity", _RARITY),
}
_CRITERIA = ("calibrated", "softmax", "isd", "lsd")
_PRECISIONS = ("float32", "bfloat16")
_EXPECTED: dict[str, _Expected] = {
    "n_features_in_": _SPAN,
    "window_size_": _SPAN,
    "n_iter_": _COUNT,
    "offset_": _REAL,
    "device_": _Value(lambda v: isinstance(v, str), "a str"),
    "loss_curve_": _Value(_are_losses, "a list of finite floats"),
    "validation_loss_curve_": _Value(
        lambda v: v is None or _are_losses(v), "None or a list of finite floats"
    ),
    "range_factor_": _SCALE,
    "reservoir_.X": _Array("f", "N F", lambda a: not np.isinf(a).any(), "no infinity"),
    "reservoir_.series": _Array("i", "S 2", lambda a: _ascends(a.ravel()), "ascending"),
    "scaler_.standardize": _FLAG,
    "scaler_.lower_": _BOUND,
    "scaler_.upper_": _BOUND,
    "scaler_.unknown_": _FLAGS,
    "scaler_.mean_": _FINITE,
    "scaler_.scale_": _SCALE,
    "scaler_.constant_": _FLAGS,
    "settings_.criterion": _Value(lambda v: v in _CRITERIA, f"one of {_CRITERIA}"),
    "settings_.temperature": _POSITIVE,
    "settings_.span": _SPAN,
    "settings_.stride": _SPAN,
    "settings_.lookahead.window": _ROWS_OR_ALL,
    "settings_.lookahead.smoothing": _ROWS_OR_ALL,
    "settings_.level_span": _SPAN,
    "settings_.follows_levels": _FLAG,
    "settings_.precision": _Value(lambda v: v in _PRECISIONS, f"one of {_PRECISIONS}"),
    "normal_.spread": _SCALE,
    "normal_.levels.span": _SPAN,
    "normal_.levels.usual": _FINITE,
    "normal_.levels.highest": _BOUND,
    "normal_.levels.most": _SCALE,
    "normal_.motion.always": _FLAGS,
    "normal_.motion.n_rows": _SPAN,
    "normal_.motion.reach": _COUNT,
    "normal_.motion.lookahead": _ROWS_OR_ALL,
    **_within("normal_.criterion", _CRITERION),
}
# Of channels that nothing is known of these are NaN.
_NAN_IF_UNKNOWN = {
    "normal_.spread",
    "normal_.criterion.calibration.scale",
    "normal_.criterion.calibration.limit",
    "normal_.levels.most",
}


# All that `from_plain` makes.
LEARNED = frozenset(path.partition(".")[0] for path in _EXPECTED)


def to_plain(value: Any) -> Any:
    """Turn what was learned into plain data."""
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: to_plain(part) for name, part in value._asdict().items()}
    if isinstance(value, ChannelScaler):
        return dict(vars(value))
    return value


def from_plain(plain: dict[str, Any]) -> dict[str, Any]:
    """Make the fitted attributes anew, but for the network, from those of a state.

    Raises
    ------
    ValueError
        If one is missing, unknown, or not what it must be.
    """
    names = plain.get("feature_names_in_")
    plain = {name: plain[name] for name in LEARNED & plain.keys()}
    leaves = dict(_leaves(plain))
    if missing := _EXPECTED.keys() - leaves.keys():
        raise ValueError(f"{min(missing)} is missing")
    if unknown := leaves.keys() - _EXPECTED.keys():
        raise ValueError(f"{min(unknown)} is not known")
    sizes = {"F": leaves["n_features_in_"]}
    for path, expected in _EXPECTED.items():
        _check(path, leaves[path], expected, sizes, leaves["scaler_.unknown_"])
    _check_together(leaves)
    if names is not None and np.shape(names) != (sizes["F"],):
        raise ValueError(f"feature_names_in_ must be {sizes['F']} names")
    return {name: _built(_COMPOUND.get(name), v) for name, v in plain.items()}


def _leaves(plain: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(plain, dict):
        yield path, plain
        return
    for name, value in plain.items():
        yield from _leaves(value, f"{path}.{name}" if path else str(name))


def _check(
    path: str,
    value: Any,
    expected: _Expected,
    sizes: dict[str, int],
    unknown: Any,
) -> None:
    if isinstance(expected, _Value):
        if not expected.holds(value):
            raise ValueError(f"{path} must be {expected.what}, and is {value!r:.60}")
        return
    if not isinstance(value, np.ndarray) or value.dtype.kind != expected.dtype:
        got = getattr(value, "dtype", type(value).__name__)
        what = _DTYPES[expected.dtype]
        raise ValueError(f"{path} must be an array of {what}, and is {got}")
    _check_shape(path, value, expected.shape.split(), sizes)
    if path in _NAN_IF_UNKNOWN:
        value = value[..., ~unknown]
    if not expected.holds(value):
        raise ValueError(f"{path} must be {expected.what}, and is not")


def _check_shape(
    path: str, value: NDArray, names: list[str], sizes: dict[str, int]
) -> None:
    """Compare a shape; a size that stands by itself is of one part only."""
    part = path.rpartition(".")[0]
    wanted = [
        int(name)
        if name.isdigit()
        else sizes.setdefault(name if name == "F" else f"{part}.{name}", size)
        for name, size in zip(names, value.shape, strict=False)
        if name != "*"
    ]
    found = [s for n, s in zip(names, value.shape, strict=False) if n != "*"]
    if value.ndim != len(names) or wanted != found:
        raise ValueError(
            f"{path} must have {len(names)} dimensions, {' x '.join(names)} "
            f"(F = n_features_in_ = {sizes['F']}), and has shape {value.shape}"
        )


def _check_together(leaves: dict[str, Any]) -> None:
    """Raise where one thing does not go with another."""
    window, rows = leaves["window_size_"], leaves["reservoir_.series"]
    of = "normal_.criterion.context."
    first, last = len(leaves[f"{of}first"]), len(leaves[f"{of}last"])
    measured = leaves[f"{of}lengths"][-1:]
    looks_back = leaves["settings_.lookahead.window"] is not None
    if looks_back:
        measured = np.array([first + last])
    together = {
        "window_size_ and the windows that context was measured by": (
            measured.tolist() == [window]
        ),
        f"{of}first and {of}last": looks_back or first == last,
        "window_size_ and settings_.stride": leaves["settings_.stride"] <= window,
        "reservoir_.X and reservoir_.series": (
            not rows.size
            or 0 <= rows.min() <= rows.max() <= len(leaves["reservoir_.X"])
        ),
        "settings_.level_span and normal_.levels.span": (
            leaves["settings_.level_span"] == leaves["normal_.levels.span"]
        ),
    }
    for what, holds in together.items():
        if not holds:
            raise ValueError(f"{what} do not go together")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _built(kind: Any, plain: Any) -> Any:
    """Make what `to_plain` took apart."""
    if kind is ChannelScaler:
        scaler = ChannelScaler(plain["standardize"])
        scaler.__dict__.update(plain)
        return scaler
    if isinstance(plain, dict) and isinstance(kind, type):
        return kind(**{k: _built(_hints(kind)[k], v) for k, v in plain.items()})
    return plain
