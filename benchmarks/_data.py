"""Development data: one `NAME.npz` per set, split into its entities."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


class Entity(NamedTuple):
    """One machine, channel or recording."""

    name: str
    train: np.ndarray  # (n_train, n_features) float32
    test: np.ndarray  # (n_test, n_features) float32
    labels: np.ndarray  # (n_test,) uint8, 1 = anomalous


def load_entities(name: str, folder: str | Path = DEFAULT_FOLDER) -> list[Entity]:
    """Entities of the set `name`, in the order of the file."""
    path = Path(folder) / f"{name}.npz"
    if not path.is_file():
        found = ", ".join(sorted(p.stem for p in path.parent.glob("*.npz")))
        raise FileNotFoundError(
            f"No data for the set {name!r}: looked for {path}. "
            f"Sets in that folder: {found or 'none'}."
        )
    with np.load(path, allow_pickle=False) as data:
        try:
            names = [str(entity) for entity in data["names"]]
            train = _split(data["train"], data["train_lengths"])
            test = _split(data["test"], data["test_lengths"])
            labels = _split(data["labels"], data["test_lengths"])
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path} has not the expected layout: {error}") from error
    return [Entity(*parts) for parts in zip(names, train, test, labels, strict=True)]


def pooled(entities: Iterable[Entity]) -> Entity:
    """All entities of a set as one series, as the papers have it."""
    return Entity("pooled", *map(np.concatenate, list(zip(*entities, strict=True))[1:]))


def _split(values: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Consecutive blocks of the given lengths."""
    if lengths.sum() != len(values):
        raise ValueError(f"lengths sum to {lengths.sum()}, not to {len(values)} rows.")
    return np.split(values, np.cumsum(lengths)[:-1])
