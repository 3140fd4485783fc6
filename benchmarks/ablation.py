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
  `dim_feedforward` goes with it. 512 takes far longer and is run by
  default on msl only.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from _data import Entity, pooled
from _detectors import evaluate, key_values, ranking
from _markdown import markdown, texts
from _report import CommandLine, Record, judged, load_sets, run
from paper import PROTOCOL, SIZES, flags, random_pa_f1
from sklearn.base import clone
from torch import Tensor

from skmemto import MEMTODetector
from skmemto._nn.memory import GatedMemory
from skmemto._nn.memto import MEMTOConfig, MEMTONetwork
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
CELLS = {
    "PA F1": "{pa_f1:.1%}",
    "PA F1 of random flags": "{random_pa_f1:.1%}",
    "AUROC softmax": "{auroc_softmax:.1%}",
    "AP softmax": "{ap_softmax:.1%}",
    "AP isd": "{ap_isd:.1%}",
    "AP lsd": "{ap_lsd:.1%}",
    "AUROC calibrated": "{auroc_calibrated:.1%}",
    "AP calibrated": "{ap_calibrated:.1%}",
    "fit s": "{fit_seconds:.1f}",
}


class UnreadMemory(GatedMemory):
    """Gives the decoder zeros; attention of zero has no entropy either."""

    def attend(self, queries: Tensor, items: Tensor) -> Tensor:
        return queries.new_zeros(*queries.shape[:-1], len(items))


class FrozenGateMemory(GatedMemory):
    """Updates its items by a gate that stays as it was drawn."""

    def update(self, queries: Tensor) -> Tensor:
        return super().update(queries).detach()


class FixedMemory(GatedMemory):
    """Keeps the items it was given."""

    def update(self, queries: Tensor) -> Tensor:
        return self.items


def with_memory(memory_class: type[GatedMemory]) -> type[MEMTODetector]:
    """The detector with another memory; all weights start as in the reference."""

    class Network(MEMTONetwork):
        def __init__(self, config: MEMTOConfig):
            super().__init__(config)
            self.memory = memory_class(
                config.n_memory_items, config.d_model, config.temperature
            )

    class Variant(MEMTODetector):
        _network_class = Network

    return Variant


class RandomItems(MEMTODetector):
    def _place_items(self, trainer: Any) -> None:
        """Leave the items as the first phase left them."""


REFERENCE = "reference"
PARTS: dict[str, type[MEMTODetector]] = {
    REFERENCE: MEMTODetector,
    "no-memory": with_memory(UnreadMemory),
    "random-items": RandomItems,
    "frozen-gate": with_memory(FrozenGateMemory),
    "fixed-items": with_memory(FixedMemory),
}
# Of the temperatures 0.0125 is that of `paper.py`, 0.1 the default; of the noises 0 is
# the papers', 0.5 the default. One of each is the reference's.
VARIANTS = [
    *PARTS,
    "entropy_weight=0",
    *(f"temperature={value}" for value in (0.0125, 0.1, 0.5, 1)),
    *(f"n_memory_items={value}" for value in (1, 5, 50, 100)),
    *(f"d_model={value}" for value in (32, 128, 512)),
    *(f"noise={value}" for value in (0, 0.5)),
]
HEADS = {"d_model=32": 2, "d_model=128": 8, "d_model=512": 8}
WIDEST, SETS_OF_THE_WIDEST = "d_model=512", ("msl",)


def build(variant: str, protocol: str) -> MEMTODetector:
    """The detector of a variant, unfitted."""
    if variant in PARTS:
        return PARTS[variant](**PROTOCOLS[protocol])
    detector = MEMTODetector(**PROTOCOLS[protocol])
    d_model, feedforward = detector.d_model, detector.dim_feedforward
    heads = HEADS.get(variant, detector.n_heads)
    detector.set_params(n_heads=heads, **key_values([variant]))
    if feedforward is None:
        return detector
    return detector.set_params(
        dim_feedforward=feedforward * detector.d_model // d_model
    )


def detectors(
    variants: Sequence[str] | None, set_name: str, protocol: str
) -> dict[str, MEMTODetector]:
    """Those asked for, by default all affordable, without copies of the reference."""
    if variants is None:
        affordable = set_name in SETS_OF_THE_WIDEST
        variants = [name for name in VARIANTS if affordable or name != WIDEST]
    reference = build(REFERENCE, protocol).get_params()
    built = {name: build(name, protocol) for name in variants}
    return {n: d for n, d in built.items() if n in PARTS or d.get_params() != reference}


def figures(
    detector: MEMTODetector, entities: Iterable[Entity], set_name: str, seed: int
) -> Iterator[Record]:
    """Yield the figures of each entity's model, then those of the set."""
    flagged = []
    for entity in entities:
        model = clone(detector).set_params(random_state=seed)
        seconds = evaluate(entity, model)["fit_seconds"]
        yield {"entity": entity.name, "fit_seconds": seconds} | accuracy(model, entity)
        model.set_params(criterion="softmax").calibrate(entity.train)
        flagged.append(flags(set_name, model, entity))
    labels, flagged = in_a_row([e.labels for e in entities]), in_a_row(flagged)
    yield {
        "parameters": repr(detector),
        "pa_f1": point_adjusted_f1(labels, flagged),
        "random_pa_f1": random_pa_f1(labels, flagged.mean(), seed),
        "random_ap": np.mean([entity.labels.mean() for entity in entities]),
    }


def accuracy(model: MEMTODetector, entity: Entity) -> dict[str, float]:
    """AUROC and average precision of each criterion, without point adjustment."""
    found = {}
    for criterion in CRITERIA:
        model.set_params(criterion=criterion).calibrate(entity.train)
        scores = -model.score_samples(entity.test)
        of_criterion = ranking(entity.labels, scores)
        found[f"auroc_{criterion}"] = of_criterion["auroc"]
        found[f"ap_{criterion}"] = of_criterion["average_precision"]
    return found


def in_a_row(parts: list[np.ndarray]) -> np.ndarray:
    """Labels or flags of all entities, a 0 between them: no event spans two."""
    return np.concatenate([np.append(part, 0) for part in parts])[:-1]


def table(records: pd.DataFrame) -> str:
    """One table per set, one row per variant: figures in %, seconds."""
    blocks = []
    for (name, protocol), group in records.groupby(["set", "protocol"], sort=False):
        title = f"### {name}, protocol {protocol}"
        if "random_ap" in group:
            title += f", AP of random scores {100 * group['random_ap'].max():.1f} %"
        blocks += [title, markdown(texts(group, ["variant"], CELLS))]
    return "\n\n".join(blocks)


def fits(args: argparse.Namespace) -> Iterator[tuple[Record, partial]]:
    for name, entities in load_sets(args).items():
        protocol = args.protocol or PROTOCOL_OF.get(name, OTHER_PROTOCOL)
        paper = protocol == "paper"
        learned = [pooled(entities)] if paper else judged(name, entities)
        for variant, detector in detectors(args.variants, name, protocol).items():
            for seed in args.seeds:
                where = {"set": name, "protocol": protocol, "variant": variant}
                task = partial(figures, detector, learned, name, seed)
                yield where | {"seed": seed}, task


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, sets=("asd", "smd", "msl"))
    parser.add_argument("--protocol", choices=PROTOCOLS, help="for all sets")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS)
    args = parser.parse_args(argv)
    return run(args, fits(args), table)


if __name__ == "__main__":
    sys.exit(main())
