"""Readers of the public distributions: a folder -> entities, in the literature's order.

Values are as published, cast to float32: no scaling, no row left out. Where a reader
departs from the files, its docstring says so and whose example it follows.
"""

import json
import pickle
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _data import Entity

# Listed twice, with different intervals; OmniAnomaly's data_preprocess.py drops both.
TELEMANOM_DROPPED = ("P-2",)
SKAB_TRAIN_ROWS = 400
SKAB_FEATURES = [
    "Accelerometer1RMS", "Accelerometer2RMS", "Current", "Pressure",
    "Temperature", "Thermocouple", "Voltage", "Volume Flow RateRMS",
]  # fmt: skip
SWAT_LABEL = "Normal/Attack"
SWAT_LABELS = {"normal": 0, "attack": 1, "0": 0, "1": 1, "0.0": 0, "1.0": 1}
# As iTrust names them, the version that the papers take first; then the copies that
# research code passes around.
SWAT_TRAIN = (
    "SWaT_Dataset_Normal_v1.csv",
    "SWaT_Dataset_Normal_v0.csv",
    "swat_train2.csv",
)
SWAT_TEST = ("SWaT_Dataset_Attack_v0.csv", "swat2.csv")


def read_telemanom(spacecraft: str, source: Path) -> list[Entity]:
    """SMAP or MSL: one entity per channel, sorted by name as text (E-10 before E-2).

    As OmniAnomaly does, with both ends of an interval anomalous.
    """
    path = source / "labeled_anomalies.csv"
    columns = ["chan_id", "anomaly_sequences", "spacecraft"]
    table = _read_csv(path, columns)[columns]
    entities = []
    for channel, intervals, whose in sorted(table.itertuples(index=False)):
        if whose != spacecraft or channel in TELEMANOM_DROPPED:
            continue
        train, test = (
            np.load(_existing(source / part / f"{channel}.npy"), allow_pickle=False)
            for part in ("train", "test")
        )
        labels = _interval_labels(json.loads(intervals), len(test), channel)
        entities.append(_entity(channel, train, test, labels))
    if not entities:
        raise ValueError(f"{path} lists no channel of {spacecraft}.")
    return entities


def read_smd(source: Path) -> list[Entity]:
    """One entity per machine, in the order of their numbers (1-2 before 1-10)."""
    parts = ("train", "test", "test_label")
    return [
        _entity(name, *(_read_numbers(source / p / f"{name}.txt") for p in parts))
        for name in sorted(_stems(source / "train", "machine-*-*.txt"), key=_numbers)
    ]


def read_psm(source: Path) -> list[Entity]:
    """One entity, without the column of time.

    Missing readings (NaN) become 0, as in the Anomaly Transformer's data loader.
    """
    time = "timestamp_(min)"
    paths = [source / f"{part}.csv" for part in ("train", "test", "test_label")]
    frames = [_read_csv(path, [time]).drop(columns=time) for path in paths]
    train, test, labels = map(_values, paths, frames)
    return [_entity("psm", np.nan_to_num(train), np.nan_to_num(test), labels)]


def read_swat(source: Path) -> list[Entity]:
    """One entity: the normal days are the training series, those of attacks the test.

    Columns go by name, stripped of spaces. A line of stages above the header is
    skipped; semicolons and decimal commas, from spreadsheets, are understood.
    """
    train_path, test_path = _first(source, SWAT_TRAIN), _first(source, SWAT_TEST)
    train, test = _read_swat_csv(train_path), _read_swat_csv(test_path)
    features = [name for name in train.columns if name not in ("Timestamp", SWAT_LABEL)]
    _require(test, features, test_path)
    # The published file spells some of its rows "A ttack".
    words = test[SWAT_LABEL].astype(str).str.replace(" ", "").str.lower()
    unknown = sorted(set(words) - SWAT_LABELS.keys())
    if unknown:
        raise ValueError(f"{test_path}: {SWAT_LABEL} must not be {unknown[0]!r}.")
    labels = words.map(SWAT_LABELS).to_numpy()
    X_train = _values(train_path, train[features])
    return [_entity("swat", X_train, _values(test_path, test[features]), labels)]


def read_asd(source: Path) -> list[Entity]:
    """One entity per server, in the order of their numbers.

    The files are pickles, which can run any code when they are read. These are read
    by a reader that makes NumPy arrays and refuses everything else.
    """
    names = [stem.removesuffix("_train") for stem in _stems(source, "omi-*_train.pkl")]
    parts = ("train", "test", "test_label")
    return [
        _entity(name, *(_read_pickled(source / f"{name}_{part}.pkl") for part in parts))
        for name in sorted(names, key=_numbers)
    ]


def read_skab(source: Path) -> list[Entity]:
    """One entity per experiment, sorted by name as text; `train` is its first 400 rows.

    In `other/2` some of them are anomalous. They stay: data are not always clean.
    """
    names = [
        f"{group}/{stem}"
        for group in ("other", "valve1", "valve2")
        for stem in _stems(source / group, "*.csv")
    ]
    cut = SKAB_TRAIN_ROWS
    entities = []
    for name in sorted(names):
        path = source / f"{name}.csv"
        columns = [*SKAB_FEATURES, "anomaly"]
        values = _values(path, _read_csv(path, columns, sep=";")[columns])
        X, labels = values[:, :-1], values[cut:, -1]
        entities.append(_entity(name, X[:cut], X[cut:], labels))
    return entities


READERS: dict[str, Callable[[Path], list[Entity]]] = {
    "smap": partial(read_telemanom, "SMAP"),
    "msl": partial(read_telemanom, "MSL"),
    "smd": read_smd,
    "psm": read_psm,
    "swat": read_swat,
    "asd": read_asd,
    "skab": read_skab,
}


# What rebuilds an array; its module has another name since NumPy 2.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_PARTS_OF_AN_ARRAY = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Makes NumPy arrays only."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PARTS_OF_AN_ARRAY:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")
        return _PARTS_OF_AN_ARRAY[module, name]


def _read_pickled(path: Path) -> np.ndarray:
    with _existing(path).open("rb") as file:
        try:
            array = _ArrayUnpickler(file).load()
        except (pickle.UnpicklingError, EOFError) as error:
            raise ValueError(f"{path} is no pickled array: {error}.") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is no pickled array but a {type(array).__name__}.")
    return array


def _read_swat_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        lines = [file.readline() for _ in range(3)]
    header = next((i for i in (0, 1) if SWAT_LABEL in lines[i]), None)
    if header is None:
        raise ValueError(f"{path}: no {SWAT_LABEL!r} in its first two lines.")
    separator = ";" if ";" in lines[header] else ","
    decimal = "," if separator == ";" and "," in lines[header + 1] else "."
    frame = _read_csv(path, skiprows=header, sep=separator, decimal=decimal)
    frame.columns = frame.columns.str.strip()
    return frame.loc[:, ~frame.columns.str.startswith("Unnamed")]


def _read_csv(path: Path, needed: Iterable[str] = (), **options: Any) -> pd.DataFrame:
    # Spreadsheets put a mark at the start that utf-8-sig skips. Without low_memory a
    # column has one type from the first row to the last.
    frame = pd.read_csv(
        _existing(path), encoding="utf-8-sig", low_memory=False, **options
    )
    _require(frame, needed, path)
    return frame


def _read_numbers(path: Path) -> np.ndarray:
    return _values(path, _read_csv(path, header=None))


def _values(path: Path, frame: pd.DataFrame) -> np.ndarray:
    try:
        return frame.to_numpy(dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"{path} holds more than numbers: {error}.") from error


def _require(frame: pd.DataFrame, names: Iterable[str], path: Path) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(map(repr, missing))}.")


def _interval_labels(
    intervals: list[list[int]], n_rows: int, channel: str
) -> np.ndarray:
    """1 from `start` to `end`, both included."""
    labels = np.zeros(n_rows, dtype=np.uint8)
    for start, end in intervals:
        if not 0 <= start <= end < n_rows:
            raise ValueError(
                f"Channel {channel}: the anomaly [{start}, {end}] is not within the "
                f"{n_rows} rows of its test series."
            )
        labels[start : end + 1] = 1
    return labels


def _entity(
    name: str, train: np.ndarray, test: np.ndarray, labels: np.ndarray
) -> Entity:
    labels = labels.ravel()
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1]:
        raise ValueError(
            f"{name}: train and test must be tables with the same columns. Got the "
            f"shapes {train.shape} and {test.shape} instead."
        )
    if labels.shape != (len(test),) or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"{name}: the labels must be 0 or 1, one for each of the {len(test)} rows "
            f"of the test series. Got the shape {labels.shape} with the values "
            f"{np.unique(labels)[:5]} instead."
        )
    values = (array.astype(np.float32) for array in (train, test))
    return Entity(name, *values, labels.astype(np.uint8))


def _numbers(name: str) -> list[int]:
    return [int(number) for number in name.split("-")[1:]]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    return path


def _first(source: Path, names: Iterable[str]) -> Path:
    """The first of these files that is there."""
    for name in names:
        if (source / name).is_file():
            return source / name
    raise FileNotFoundError(f"In {source} there is none of {', '.join(names)}.")


def _stems(folder: Path, pattern: str) -> list[str]:
    stems = [path.stem for path in folder.glob(pattern)]
    if not stems:
        raise FileNotFoundError(f"In {folder} there is no file {pattern}.")
    return stems
