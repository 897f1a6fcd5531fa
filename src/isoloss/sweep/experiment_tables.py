"""Folders of tables, one of each experiment of a study: which are there, which are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from isoloss.errors import InputError


def check_names(names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names of experiments that a study does not have.

    Raises
    ------
    InputError
        For an unknown name.
    """
    known = tuple(known)
    for name in names:
        if name not in known:
            raise InputError(f"experiment {name!r}: must be one of {', '.join(known)}")


def find_tables(
    folder: Path, prefix: str, known: Iterable[str], only: Sequence[str] = ()
) -> tuple[dict[str, Path], list[str]]:
    """Find the tables ``PREFIX-NAME.csv`` of a folder, and which of them are asked for.

    Returns
    -------
    tuple
        Files by experiment, of all that are there; and names, in the order of ``only`` or else of
        ``known``, of those that are asked for and there.

    Raises
    ------
    InputError
        For an unknown name, or a folder without any of the tables asked for.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     for name in ("a", "c"):
    ...         _ = (Path(place) / f"made-{name}.csv").write_text("")
    ...     here, wanted = find_tables(Path(place), "made", ("a", "b", "c"), ["c", "b"])
    >>> sorted(here), wanted
    (['a', 'c'], ['c'])
    """
    known = tuple(known)
    check_names(only, known)
    here = {name: folder / f"{prefix}-{name}.csv" for name in known}
    here = {name: path for name, path in here.items() if path.is_file()}
    wanted = [name for name in only or known if name in here]
    if not wanted:
        raise InputError(f"{folder}: holds no table of {', '.join(only or known)}")
    return here, wanted
