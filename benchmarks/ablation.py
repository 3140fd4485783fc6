"""What each part of MEMTO is worth: one change at a time, measured in two ways.

Each row of a table changes one thing of the reference. From one fitted model come
the papers' figure (point-adjusted F1 of criterion "softmax", threshold at the top
p % of the training scores) beside that of random flags at the same rate, and AUROC
and average precision of all four criteria: none of them has a part in training.

Protocol "paper": the model, windows and epochs of `paper.py`, all entities pooled
into one series. Protocol "entity": one model for each entity at the estimator's
defaults; AUROC and AP are means over the entities, each entity is flagged by its own
training scores, and point adjustment takes the flags of all entities together, no
event spanning two. Entities whose test labels are all the same are left out. By
default msl is run by the former, to save time, and other sets by the latter.

    python benchmarks/ablation.py
    python benchmarks/ablation.py --variants reference no-memory --seeds 0 1 2
    python benchmarks/ablation.py --sets asd smd --protocol paper --out ablation-paper
    python benchmarks/ablation.py --sets smd --variants d_model=512 --out ablation-512

The parts:

- no-memory: the decoder gets zeros for what it would have read. The items follow the
  queries all the same, so "lsd" and "softmax" have something to measure against.
- random-items: no k-means; the items go on from the random ones of the first phase.
- frozen-gate: as in the authors' code, no gradient reaches the gate of the update.
- fixed-items: the update leaves the items as they are, in both phases.
- temperature: that of the memory and, as it is one parameter, of "softmax"; it stays
  as it is when d_model changes.
- d_model: heads stay 16 wide, but 64 wide at 512, where 8 heads are the paper's;
  `dim_feedforward` stays 4 times as wide. 512 takes about 26 times as long and is
  run by default on msl only.
"""

import argparse
import shlex
import sys
import time
import traceback
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from _data import DEFAULT_FOLDER, Entity, load_entities
from _report import environment, markdown_table, mean_and_sd, save
from paper import PROTOCOL, SIZES, flags, pooled, random_pa_f1
from sklearn.base import clone
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from skmemto import MEMTODetector
from skmemto._nn.memory import GatedMemory
from skmemto._nn.memto import MEMTOConfig, MEMTONetwork
from skmemto._training import Trainer
from skmemto.metrics import point_adjusted_f1

CRITERIA = ("softmax", "isd", "lsd", "calibrated")
PROTOCOLS: dict[str, dict[str, Any]] = {
    # Fitted for "calibrated", which is calibrated on overlapping windows: those of
    # "softmax" do not overlap. Training is the same.
    "paper": PROTOCOL | SIZES["memto"]["default"] | {"criterion": "calibrated"},
    "entity": {},
}
PROTOCOL_OF = {"msl": "paper"}
OTHER_PROTOCOL = "entity"
FIGURES = {
    "pa_f1": "PA F1",
    "random_pa_f1": "PA F1 of random flags",
    "auroc_softmax": "AUROC softmax",
    "ap_softmax": "AP softmax",
    "ap_isd": "AP isd",
    "ap_lsd": "AP lsd",
    "auroc_calibrated": "AUROC calibrated",
    "ap_calibrated": "AP calibrated",
    "fit_seconds": "fit s",
}


class UnreadMemory(GatedMemory):
    """Gives the decoder zeros; attention of zero has no entropy either."""

    def read(self, queries: Tensor, items: Tensor) -> Tensor:
        return queries.new_zeros(*queries.shape[:-1], len(items))


class FrozenGateMemory(GatedMemory):
    """Updates its items by a gate that stays as it was drawn."""

    def update(self, queries: Tensor) -> Tensor:
        return super().update(queries).detach()


class FixedMemory(GatedMemory):
    """Keeps the items it was given."""

    def update(self, queries: Tensor) -> Tensor:
        return self.items


class VariantNetwork(MEMTONetwork):
    """The network with another memory; all weights start as in the reference."""

    memory_class: ClassVar[type[GatedMemory]]

    def __init__(self, config: MEMTOConfig):
        super().__init__(config)
        self.memory = self.memory_class(
            config.n_memory_items, config.d_model, config.temperature
        )


class UnreadMemoryNetwork(VariantNetwork):
    memory_class = UnreadMemory


class FrozenGateNetwork(VariantNetwork):
    memory_class = FrozenGateMemory


class FixedMemoryNetwork(VariantNetwork):
    memory_class = FixedMemory


class WithoutMemory(MEMTODetector):
    _network_class = UnreadMemoryNetwork


class FrozenGate(MEMTODetector):
    _network_class = FrozenGateNetwork


class FixedItems(MEMTODetector):
    _network_class = FixedMemoryNetwork


class RandomItems(MEMTODetector):
    def _initialize_memory(self, trainer: Trainer) -> None:
        """Leave the items as the first phase left them."""


REFERENCE = "reference"
PARTS: dict[str, type[MEMTODetector]] = {
    REFERENCE: MEMTODetector,
    "no-memory": WithoutMemory,
    "random-items": RandomItems,
    "frozen-gate": FrozenGate,
    "fixed-items": FixedItems,
}
WIDEST = "d_model=512"
PARAMETERS: dict[str, dict[str, Any]] = {
    "entropy_weight=0": {"entropy_weight": 0.0},
    # One of these two is the reference's: 0.0125 that of `paper.py`, 0.1 the default.
    "temperature=0.0125": {"temperature": 0.0125},
    "temperature=0.1": {"temperature": 0.1},
    "temperature=0.5": {"temperature": 0.5},
    "temperature=1": {"temperature": 1.0},
    "n_memory_items=1": {"n_memory_items": 1},
    "n_memory_items=5": {"n_memory_items": 5},
    "n_memory_items=50": {"n_memory_items": 50},
    "n_memory_items=100": {"n_memory_items": 100},
    "d_model=32": {"d_model": 32, "n_heads": 2},
    "d_model=128": {"d_model": 128, "n_heads": 8},
    WIDEST: {"d_model": 512, "n_heads": 8},
    # Likewise: 0 the papers', 0.5 the estimator's default.
    "noise=0": {"noise": 0.0},
    "noise=0.5": {"noise": 0.5},
}
VARIANTS = [*PARTS, *PARAMETERS]
SETS_OF_THE_WIDEST = ("msl",)


def build(variant: str, protocol: str) -> MEMTODetector:
    """The detector of a variant, unfitted."""
    parameters = PROTOCOLS[protocol] | PARAMETERS.get(variant, {})
    return PARTS.get(variant, MEMTODetector)(**parameters)


def detectors(
    variants: list[str] | None, set_name: str, protocol: str
) -> dict[str, MEMTODetector]:
    """Those asked for, by default all affordable, without copies of the reference."""
    if variants is None:
        affordable = set_name in SETS_OF_THE_WIDEST
        variants = [name for name in VARIANTS if affordable or name != WIDEST]
    reference = repr(build(REFERENCE, protocol))
    built = {name: build(name, protocol) for name in variants}
    return {n: d for n, d in built.items() if n == REFERENCE or repr(d) != reference}


def load(set_name: str, folder: Path, protocol: str) -> list[Entity]:
    if protocol == "paper":
        return [Entity("pooled", *pooled(set_name, folder))]
    entities = load_entities(set_name, folder)
    return [entity for entity in entities if len(np.unique(entity.labels)) == 2]


def load_all(args: argparse.Namespace) -> dict[str, tuple[str, list[Entity]]]:
    """Protocol and data of each set, all before any fit, so that none is missing."""
    protocols = {
        name: args.protocol or PROTOCOL_OF.get(name, OTHER_PROTOCOL)
        for name in args.sets
    }
    return {
        name: (protocol, load(name, args.data, protocol))
        for name, protocol in protocols.items()
    }


def attempt(
    detector: MEMTODetector, entities: list[Entity], set_name: str, seed: int
) -> dict[str, Any]:
    try:
        return evaluate(detector, entities, set_name, seed)
    except Exception as error:  # One variant must not cost the others.
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def evaluate(
    detector: MEMTODetector, entities: list[Entity], set_name: str, seed: int
) -> dict[str, Any]:
    """Figures of a set, and under "entities" those of each of its models."""
    flagged, records = [], []
    for entity in entities:
        model = clone(detector).set_params(random_state=seed)
        start = time.perf_counter()
        model.fit(entity.train)
        seconds = time.perf_counter() - start
        figures = accuracy(model, entity)
        records.append({"entity": entity.name, "fit_seconds": seconds} | figures)
        flagged.append(papers_flags(model, entity, set_name))
    labels, flagged = in_a_row([e.labels for e in entities]), in_a_row(flagged)
    return {
        "pa_f1": point_adjusted_f1(labels, flagged),
        "random_pa_f1": random_pa_f1(labels, flagged.mean(), seed),
        "random_ap": float(np.mean([e.labels.mean() for e in entities])),
        **{name: float(np.mean([r[name] for r in records])) for name in figures},
        "fit_seconds": sum(r["fit_seconds"] for r in records),
        "entities": records,
    }


def accuracy(model: MEMTODetector, entity: Entity) -> dict[str, float]:
    """AUROC and average precision of each criterion, without point adjustment."""
    figures = {}
    for criterion in CRITERIA:
        scores = -model.set_params(criterion=criterion).score_samples(entity.test)
        figures[f"auroc_{criterion}"] = float(roc_auc_score(entity.labels, scores))
        figures[f"ap_{criterion}"] = float(
            average_precision_score(entity.labels, scores)
        )
    return figures


def papers_flags(model: MEMTODetector, entity: Entity, set_name: str) -> np.ndarray:
    model.set_params(criterion="softmax")
    return flags(
        set_name, -model.score_samples(entity.train), -model.score_samples(entity.test)
    )


def in_a_row(parts: list[np.ndarray]) -> np.ndarray:
    """Labels or flags of all entities, a 0 between them: no event spans two."""
    return np.concatenate([np.append(part, 0) for part in parts])[:-1]


def markdown(report: dict[str, Any]) -> str:
    """One table per set, one row per variant: figures in %, seconds."""
    records = report["results"]
    blocks = []
    for name in dict.fromkeys(r["set"] for r in records):
        group = [r for r in records if r["set"] == name]
        variants = dict.fromkeys(r["variant"] for r in group)
        rows = [[v, *_cells([r for r in group if r["variant"] == v])] for v in variants]
        chance = [r["random_ap"] for r in group if "random_ap" in r][:1]
        title = f"{name}, protocol {group[0]['protocol']}"
        title += "".join(f", AP of random scores {100 * ap:.1f} %" for ap in chance)
        table = markdown_table(["variant", *FIGURES.values()], rows)
        blocks.append(f"### {title}\n\n{table}\n")
    seeds = ", ".join(map(str, report["seeds"]))
    return "\n".join([*blocks, f"- Seeds: {seeds}\n- Command: `{report['command']}`\n"])


def _cells(group: list[dict[str, Any]]) -> list[str]:
    """Mean and standard deviation over the seeds, or that it failed."""
    n_failed = sum("error" in r for r in group)
    if n_failed:
        return [f"failed ({n_failed})", *[""] * (len(FIGURES) - 1)]
    return [
        mean_and_sd([(1 if name == "fit_seconds" else 100) * r[name] for r in group], 1)
        for name in FIGURES
    ]


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--sets", nargs="+", default=["asd", "smd", "msl"])
    parser.add_argument("--protocol", choices=PROTOCOLS, help="for all sets")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", default="ablation")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    arguments = sys.argv[1:] if argv is None else argv
    report: dict[str, Any] = {
        "command": shlex.join(["python", "benchmarks/ablation.py", *arguments]),
        "environment": environment(),
        "seeds": args.seeds,
        "results": [],
    }
    try:
        sets = load_all(args)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    # After each fit, so that a stopped run keeps what it has.
    for set_name, (protocol, entities) in sets.items():
        for variant, detector in detectors(args.variants, set_name, protocol).items():
            for seed in args.seeds:
                print(
                    f"{set_name}: {variant}, seed {seed}", file=sys.stderr, flush=True
                )
                where = {"set": set_name, "protocol": protocol, "variant": variant}
                where |= {"seed": seed, "detector": repr(detector)}
                figures = attempt(detector, entities, set_name, seed)
                report["results"].append(where | figures)
                save(report, markdown(report), args.out)
    print(markdown(report))
    return int(any("error" in record for record in report["results"]))


if __name__ == "__main__":
    sys.exit(main())
