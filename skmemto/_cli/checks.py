"""What can be found out of files before the work, so that nothing fails after it."""

from collections.abc import Sequence
from pathlib import Path


def check_outputs(inputs: Sequence[str | None], outputs: Sequence[str | None]) -> None:
    """Find out before the work what would fail after it.

    Raises
    ------
    ValueError
        If a folder is not there, a file would overwrite another, or no picture has
        such a suffix.
    """
    taken = {Path(path).resolve() for path in inputs if path}
    for path in filter(None, outputs):
        resolved = Path(path).resolve()
        if not resolved.parent.is_dir():
            raise ValueError(f"{path}: there is no directory {Path(path).parent}")
        if resolved.is_dir():
            raise ValueError(f"{path}: is a directory")
        if resolved in taken:
            raise ValueError(f"{path}: would overwrite another of the files")
        taken.add(resolved)


def check_picture(path: str | None) -> None:
    """Raise unless matplotlib writes pictures of this suffix."""
    if path is None:
        return
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return  # no picture, which is said later
    known = Figure().canvas.get_supported_filetypes()
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in known:
        raise ValueError(
            f"{path}: no picture is written as {suffix!r}; take one of "
            f"{', '.join(sorted(known))}"
        )
