"""What every benchmark stores beside its figures, and how it writes a table."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import skmemto

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")


def environment() -> dict[str, str | int | None]:
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "skmemto": skmemto.__version__,  # Also of a checkout that is not installed.
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
    }


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def save(report: dict[str, Any], text: str, name: str) -> None:
    """Write the report as NAME.json and its readable form as NAME.md."""
    path = RESULTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    dump = json.dumps(report, indent=1, allow_nan=False) + "\n"
    path.with_name(f"{path.name}.json").write_text(dump, encoding="utf-8")
    path.with_name(f"{path.name}.md").write_text(text, encoding="utf-8")
