"""The tables of the documents, from what is stored: no figure is typed by hand.

A table stands in README.md, docs/accuracy.md or benchmarks/README.md between
`<!-- table: NAME -->` and `<!-- end -->`. NAME is one of TABLES below, or a
stored result, shown as its own script shows it. Without arguments all of them are
written anew; with names of stored results these are printed.

    python benchmarks/tables.py
    python benchmarks/tables.py accuracy accuracy-msl
"""

import argparse
import importlib
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import ablation
import alarms
import delay
import numpy as np
import pandas as pd
import scale
import speed
import steady
from _markdown import markdown, pivot, texts
from _report import read, read_report, show

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "docs" / "accuracy.md",
    ROOT / "docs" / "user_guide" / "promises.md",
    ROOT / "benchmarks" / "README.md",
)
MARKED = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
AUROC_AP = "{auroc:.1%} / {average_precision:.1%}"
SECOND_OPINIONS = {
    "AnomalyTransformer": "AnomalyTransformerDetector",
    "AnomalyTransformer-softmax": 'AnomalyTransformerDetector, criterion "softmax"',
    "MEMTODetector-softmax": 'MEMTODetector, criterion "softmax"',
}
DEFAULT_NETWORK = "2 x 128, the default"
NETWORKS = {
    "3 x 256, before": ("network-3x256",),
    "3 x 64": ("network-3x64",),
    DEFAULT_NETWORK: ("network-2x128",),
    "2 x 64": ("network-2x64",),
}
PAPERS = {
    "paper-memto-default": "width 64, 10 + 10 epochs, 10 seeds",
    "paper-memto-paper": "width 512, 40 + 40 epochs, 1 seed",
    "paper-memto-paper-20": "width 512, 20 + 20 epochs, 1 seed",
}


def accuracy() -> str:
    cells = pivot(read("accuracy", "accuracy-msl"), "detector", "set", AUROC_AP)
    cells = cells[list(alarms.SETS)]
    cells = cells.rename(index={"MEMTODetector": "**MEMTODetector**"})
    return markdown(cells, corner="AUROC / AP, %")


def alarms_on_real_data() -> str:
    """Alarms of the runs that the table of accuracy shows, and of `rebase=None`."""
    records = read("accuracy", "accuracy-msl")
    lasting = read("alarms")
    lasting = lasting[lasting["detector"].str.contains("rebase")]
    lasting = lasting[lasting["decades"] == 0]
    compared = records[records["detector"].isin(alarms.COMPARED)]
    records = pd.concat([compared, lasting]).sort_values(
        "set",
        key=lambda sets: sets.map(alarms.SETS.index),
        ignore_index=True,
        kind="stable",
    )
    return alarms.table(records.assign(decades=0.0))


def second() -> str:
    cells = pivot(read("second"), "detector", "set", AUROC_AP)
    return markdown(cells.loc[list(SECOND_OPINIONS)].rename(SECOND_OPINIONS), corner="")


def paper() -> str:
    # The key of the rows is named as their column is to be.
    runs = [read(name).assign(msl=row) for name, row in PAPERS.items()]
    records = pd.concat(runs, ignore_index=True)
    cells = {
        "PA F1": "{pa_f1:.2%}",
        "PA F1 of random flags": "{random_pa_f1:.2%}",
        "AUROC": "{auroc:.1%}",
        "average precision": "{average_precision:.1%}",
        "that of random scores": "{random_average_precision:.1%}",
    }
    return markdown(texts(records, ["msl"], cells))


def parts_of_memto() -> str:
    records = read("ablation-asd", "ablation-smd", "ablation-msl", "ablation-msl-512")
    cell = (
        "{pa_f1:.0%} ({random_pa_f1:.0%}) / {ap_softmax:.0%} / {ap_isd:.0%} / "
        "{ap_lsd:.0%} / {ap_calibrated:.1%}"
    )
    cells = pivot(records, "variant", "set", cell).loc[ablation.VARIANTS]
    return markdown(cells.rename(columns={"msl": "msl, pooled"}), corner="")


def networks() -> str:
    """By size of the network: average precision, and what all sets say together."""
    runs = [read(*names).assign(network=of) for of, names in NETWORKS.items()]
    records = pd.concat(runs, ignore_index=True)
    records = records[records["detector"] == "MEMTODetector"]
    cells = pivot(records, "network", "set", "{average_precision:.1%}")
    cells = cells[list(alarms.SETS)]
    figures = ["average_precision", "vus_pr", "events_found", "flagged_normal"]
    of_sets = records.groupby(["network", "set"])[figures].mean()
    ratios = np.log(of_sets / of_sets.loc[DEFAULT_NETWORK]).groupby("network").mean()
    for name, title in {"average_precision": "AP", "vus_pr": "VUS-PR"}.items():
        cells[f"{title}, geometric mean"] = np.exp(ratios[name]).map("{:.3f}".format)
    shares = 100 * of_sets.groupby("network").mean()
    cells["events found, %"] = shares["events_found"].map("{:.1f}".format)
    cells["normal rows flagged, %"] = shares["flagged_normal"].map("{:.2f}".format)
    return markdown(cells, corner="layers x width of the feed-forward")


def rows_of_scale() -> str:
    records = read("scale")
    records = records[records["sweep"].isin(["rows", "target"])]
    records = records.assign(peak_mb=scale.peaks(records))
    cells = scale.CELLS | {"MB beyond the start": "{peak_mb:.0f}"}
    return markdown(texts(records, ["rows", "channels"], cells))


TABLES: dict[str, Callable[[], str]] = {
    "accuracy": accuracy,
    "alarms": alarms_on_real_data,
    "second": second,
    "paper": paper,
    "networks": networks,
    "ablation": parts_of_memto,
    "speed-network": lambda: speed.part_of(read("speed"), "network"),
    "speed-layer": lambda: speed.part_of(read("speed"), "layer"),
    "scale": rows_of_scale,
    "delay": lambda: delay.table(delay.read_all()),
    "steady-labels": lambda: steady.same_labels(read("steady")),
    "steady-scores": lambda: steady.meaning(read("steady")),
}


def table_of(result: str) -> Callable[[pd.DataFrame], str]:
    """The function `table` of the script that stored a result."""
    script = Path(shlex.split(read_report(result)["command"])[1]).stem
    return importlib.import_module(script).table


def filled(document: str) -> str:
    """The text of a document with all its tables as the stored results give them."""

    def fill(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        make = TABLES.get(name, lambda: table_of(name)(read(name)))
        return f"{start}{make()}\n{end}"

    return MARKED.sub(fill, document)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", nargs="*", help="to print; default: fill documents")
    args = parser.parse_args(argv)
    for name in args.results:
        print(show(name, table_of(name)))
    for path in () if args.results else DOCUMENTS:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
