"""Records to markdown: mean ± standard deviation over seeds, one cell for each group.

Figures of a group are averaged over its records (entities), seconds summed, for each
seed; shown are mean and standard deviation of that over the seeds. A cell is a format
string with the names of figures, as in "{auroc:.1%} / {fit_seconds:.0f}".
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

N_DECIMALS = 9


class Spread(NamedTuple):
    """Mean and standard deviation, formatted as one."""

    mean: float
    sd: float

    def __format__(self, spec: str) -> str:
        """Format as numbers; a percentage comes without its sign.

        Where seeds make no difference, or there is but one, no deviation is shown.
        """
        unit = 100 if spec.endswith("%") else 1
        # Rounded before, so that no error of the last bit decides a tie.
        values = [round(unit * value, N_DECIMALS) for value in self]
        shown = values if values[1] > 0 else values[:1]
        return " ± ".join(format(value, spec.replace("%", "f")) for value in shown)


def spreads(group: pd.DataFrame) -> dict[str, Spread]:
    """Of every figure of a group of records."""
    seed = group.get("seed", pd.Series(0, index=group.index))
    figures = group.select_dtypes("number").drop(columns="seed", errors="ignore")
    how = {name: "sum" if name.endswith("seconds") else "mean" for name in figures}
    per_seed = figures.groupby(seed).agg(how)
    return {name: Spread(each.mean(), each.std()) for name, each in per_seed.items()}


def succeeded(records: pd.DataFrame) -> pd.DataFrame:
    return records[records["error"].isna()] if "error" in records else records


def texts(records: pd.DataFrame, by: list[str], cells: dict[str, str]) -> pd.DataFrame:
    """One row for each group, in the order of the records; one column for each cell.

    Of a group with a failure nothing is shown but that: a mean over other entities
    than its neighbours' would mislead. A failure that does not say its group, since it
    came before, is one of all groups that it may belong to.
    """
    errors = records.drop(succeeded(records).index)[by]

    def row(group: pd.DataFrame) -> pd.Series:
        keys = records.loc[group.index[0], by]
        if n_failures := (errors.isna() | (errors == keys)).all(axis=1).sum():
            return pd.Series(dict.fromkeys(cells, f"failed ({n_failures})"))
        figures = spreads(group)
        return pd.Series({name: cell.format(**figures) for name, cell in cells.items()})

    return records.groupby(by, sort=False).apply(row, include_groups=False)


def pivot(
    records: pd.DataFrame, row: str, column: str, cell: str, header: str = "{}"
) -> pd.DataFrame:
    """One row, and one column, for each value of a key, in the order of the records."""
    cells = texts(records, [row, column], {"cell": cell})["cell"].unstack()
    rows, columns = (records[key].dropna().unique() for key in (row, column))
    return cells.reindex(index=rows, columns=columns).rename(columns=header.format)


def markdown(frame: pd.DataFrame, corner: str | None = None) -> str:
    """A table of the index and the columns; `corner` is the title of the index."""
    if corner is not None:
        frame = frame.rename_axis(index=corner)
    frame = frame.reset_index().astype(object)
    rows = [frame.columns, ["---"] * frame.shape[1], *frame.to_numpy()]
    return "\n".join(f"| {' | '.join(map(_text, row))} |" for row in rows)


def _text(value: Any) -> str:
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return "" if pd.isna(value) else str(value)
