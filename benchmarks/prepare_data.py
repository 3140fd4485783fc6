"""Turn the public distribution of a data set into the benchmarks' NAME.npz.

    pip install '.[benchmarks]'
    python benchmarks/prepare_data.py smap --source telemanom --out data
    python benchmarks/accuracy.py --data data --sets smap

Nothing is downloaded, and a licence may ask for more than is said here: read it. The
folder for --source, and what it must hold:

smap, msl  Caltech, BSD style. train/*.npy, test/*.npy, labeled_anomalies.csv; the
           authors' own link no longer works and they point to Kaggle.
               mkdir telemanom && cd telemanom
               kaggle datasets download -d \\
                   patrickfleith/nasa-anomaly-detection-dataset-smap-msl
               unzip nasa-anomaly-detection-dataset-smap-msl.zip
               mv data/data/train data/data/test .
               curl -O https://raw.githubusercontent.com/khundman/telemanom/master/labeled_anomalies.csv
smd        MIT. train, test, test_label, each with machine-*-*.txt.
               git clone https://github.com/NetManAIOps/OmniAnomaly
               --source OmniAnomaly/ServerMachineDataset
psm        CC BY 4.0. train.csv, test.csv, test_label.csv.
               git clone https://github.com/eBay/RANSynCoders
               --source RANSynCoders/data
swat       On request: https://itrust.sutd.edu.sg/itrust-labs_datasets/, the set
           "SWaT.A1 & A2_Dec 2015", folder Physical. Save the two workbooks as
           SWaT_Dataset_Normal_v1.csv (or v0) and SWaT_Dataset_Attack_v0.csv. The
           copies swat_train2.csv and swat2.csv of research code are read, too.
asd        MIT. omi-*_train.pkl, omi-*_test.pkl, omi-*_test_label.pkl. Pickles can
           run any code; they are read by a reader that makes arrays only.
               git clone https://github.com/zhhlee/InterFusion
               --source InterFusion/data/processed
skab       GPL-3.0. other, valve1, valve2, each with *.csv (v0.9).
               git clone https://github.com/waico/SKAB
               --source SKAB/data

What was read is compared with the published sizes and shares of anomalous rows, and
with checksums where there are any. If something differs, nothing is written; --no-check
is for other versions of the data.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _data import Entity
from _public import READERS

# What a whole set should show: for each figure the values that are right, None where
# no source is at hand. smap, msl, smd, psm, swat: Anomaly Transformer (ICLR 2022),
# appendix, table of the data sets (its training and validation rows added up); smap,
# msl, smd also OmniAnomaly's README, with other shares for smap and msl, though from
# labeled_anomalies.csv one counts 12.79 % and 10.53 %. smap has 53 channels there
# without P-2. 496,800 rows is swat's version v0: InterFusion's raw_data_converter.py.
# asd: InterFusion's files and its get_data_dim. skab: our own count, its README for
# the number of files.
FIGURES = ("entities", "columns", "training rows", "test rows", "% anomalous")
PUBLISHED = {
    "smap": ([53], [25], [135_183], [427_617], [12.8]),
    "msl": ([27], [55], [58_317], [73_729], [10.5]),
    "smd": ([28], [38], [708_405], [708_420], [4.2]),
    "psm": ([1], [25], [132_481], [87_841], [27.8]),
    "swat": ([1], [51], [495_000, 496_800], [449_919], [12.1]),
    "asd": ([12], [19], None, None, None),
    "skab": ([34], [8], [13_600], [23_801], [53.7]),
}


class Known(NamedTuple):
    """SHA-256 of the arrays of some entities, one after the other; None: of all."""

    names: tuple[str, ...] | None
    train: str
    test: str
    labels: str


# Of the arrays that the tables of benchmarks/README.md were measured on.
CHECKSUMS = {
    "msl": Known(
        None,
        "b685ea2c42884148362022ede7ea77795005f22c52d291a20aa00bf57cf6ca27",
        "af996b9b04f5fee2603b88891dfee4f25a4029cb3894f57bd23dcbe01a2cc438",
        "edd6db44e3e18f94dfb30b550fe8f9681291450352d3148bc79ab31433e44bb1",
    ),
    "smd": Known(
        ("machine-1-6", "machine-2-1", "machine-2-7", "machine-3-4"),
        "d384edcc566879311c4ffa86d49b24cc2f46dea1f70187851bac55c224990dbb",
        "c960d0739e817c926144ac57cd4e097694d9c64062086a24b1fb7f332ed079c9",
        "49b6ef5a2ae20aa41b7ef6f378d251fbae6a8ec30fc322754e5fb8c38bc9447b",
    ),
    "asd": Known(
        ("omi-1", "omi-2", "omi-3", "omi-4", "omi-5", "omi-6"),
        "47c6623ca7706702c64fcc220d3e8f72197294500adeebf40861431afeae91f4",
        "3a04562b42052e52b0200ce45e425c7de2c1927646cc94f006e0029ab34a82cf",
        "e9a5a66eecd705fac6ca7e87673cfbc7b71b6780220c800c71a36cdabb977d0f",
    ),
    "skab": Known(
        None,
        "4829e060182fceb3183e191d0294dd6077b3345cf80ce2394b68e358556f48e9",
        "fae34a44cf2ac6022d9d8bfb76af133f3d2533702a212488df8aa7dd00e2603b",
        "1e946dcf52faf6fcdff3072bb5d919c50e1e2e111d91f06f2458d6ff58438cf1",
    ),
}


def joined(entities: Sequence[Entity]) -> dict[str, np.ndarray]:
    """The arrays that `_data.load_entities` splits again."""
    return {
        "train": np.concatenate([entity.train for entity in entities]),
        "test": np.concatenate([entity.test for entity in entities]),
        "labels": np.concatenate([entity.labels for entity in entities]),
        "names": np.array([entity.name for entity in entities]),
        "train_lengths": np.array([len(e.train) for e in entities], dtype=np.int64),
        "test_lengths": np.array([len(e.test) for e in entities], dtype=np.int64),
    }


def sha256(array: np.ndarray) -> str:
    """Of the values row by row, little endian whatever the machine."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return hashlib.sha256(little).hexdigest()


def size_differences(set_name: str, entities: Sequence[Entity]) -> list[str]:
    """Where a whole set is not as published, each a line."""
    arrays = joined(entities)
    got = (
        len(entities),
        arrays["train"].shape[1],
        len(arrays["train"]),
        len(arrays["test"]),
        round(100 * arrays["labels"].mean(), 1),
    )
    return [
        f"{figure}: expected {' or '.join(map(str, right))}, got {value}"
        for figure, right, value in zip(FIGURES, PUBLISHED[set_name], got, strict=True)
        if right is not None and value not in right
    ]


def select(entities: list[Entity], names: Sequence[str]) -> list[Entity]:
    """Those named, in the order of the set."""
    found = [entity.name for entity in entities]
    if unknown := [name for name in names if name not in found]:
        raise ValueError(f"No entity {unknown[0]!r}; there are {', '.join(found)}.")
    return [entity for entity in entities if entity.name in names]


def checksum_differences(set_name: str, entities: list[Entity]) -> list[str]:
    """Where the entities whose checksums are known have others, each a line."""
    known = CHECKSUMS[set_name]
    arrays = joined(select(entities, known.names) if known.names else entities)
    whose = f" of {', '.join(known.names)}" if known.names else ""
    return [
        f"SHA-256 of {part}{whose}: expected {expected}, got {got}"
        for part in ("train", "test", "labels")
        if (got := sha256(arrays[part])) != (expected := getattr(known, part))
    ]


def check(set_name: str, entities: list[Entity], whole: bool) -> None:
    """Raise where something differs; say what could be compared."""
    compared, lines = [], []
    if whole:
        compared.append("sizes")
        lines += size_differences(set_name, entities)
    names = {entity.name for entity in entities}
    known = CHECKSUMS.get(set_name)
    if known and (names.issuperset(known.names) if known.names else whole):
        of = f"{len(known.names)} entities" if known.names else "all entities"
        compared.append(f"checksums of {of}")
        lines += checksum_differences(set_name, entities)
    if lines:
        raise ValueError(
            f"This is not {set_name} as published. Nothing was written.\n  "
            + "\n  ".join(lines)
            + "\nIf it is another version of the data, --no-check takes it as it is."
        )
    print(f"as expected: {' and '.join(compared) or 'nothing to compare with'}")


def prepare(args: argparse.Namespace) -> None:
    path = args.out / f"{args.set}.npz"
    if path.exists():
        raise ValueError(f"{path} is there already: remove it, or change --out.")
    entities = READERS[args.set](args.source)
    if args.entities:
        entities = select(entities, args.entities)
    if args.check:
        check(args.set, entities, whole=not args.entities)
    arrays = joined(entities)
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    print(f"{path}: {len(entities)} entities, {arrays['labels'].mean():.2%} anomalous")
    for part in ("train", "test", "labels"):
        shape = " x ".join(map(str, arrays[part].shape))
        print(f"{part} {shape}, SHA-256 {sha256(arrays[part])}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", choices=READERS)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--entities", nargs="+", help="these only, by name")
    parser.add_argument("--no-check", dest="check", action="store_false")
    args = parser.parse_args(argv)
    try:
        prepare(args)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}\nWhat --source must hold, and where from: --help.")
    except ValueError as error:
        sys.exit(f"error: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
