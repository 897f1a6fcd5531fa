"""A schedule of learning rates in a file of comma-separated values."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError
from isoloss.runs.logs.names import RATES, means
from isoloss.runs.rows import short

MAX_BYTES = 200 * 2**20
_STEPS = frozenset({"step", "steps", "iteration", "iter", "update", "updates", "globalstep"})


def read_rates(path: Path) -> tuple[Array, Array]:
    r"""Read steps and learning rates; without a column of steps, rows are steps 0, 1, 2, ...

    Raises
    ------
    InputError
        No such file, no column of rates, a cell that is no number, or steps that do not rise.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "r.csv").write_text("step,lr\n0,0.1\n10,0.1\n20,0.01\n")
    ...     steps, rates = read_rates(Path(folder, "r.csv"))
    >>> steps.tolist(), rates.tolist()
    ([0.0, 10.0, 20.0], [0.1, 0.1, 0.01])
    """
    if not path.is_file():
        raise InputError(f"no such file: {short(str(path), 200)}")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path.name}: larger than {MAX_BYTES:,} bytes; thin it to fewer steps")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file)
        try:
            header = next(rows, [])
            clock = next((i for i, h in enumerate(header) if means(h, _STEPS)), None)
            place = next((i for i, h in enumerate(header) if means(h, RATES)), None)
            if place is None:
                raise InputError(
                    f"{path.name}: no column of learning rates; head it with step,lr, or lr alone"
                )
            steps, rates = [], []
            for number, row in enumerate(rows):
                if not row:
                    continue
                rates.append(_number(row, place, path, number))
                steps.append(float(number) if clock is None else _number(row, clock, path, number))
        except csv.Error as error:
            raise InputError(f"{path.name}: {error}") from None
    if len(rates) < 2:
        raise InputError(f"{path.name}: {len(rates)} rows of rates; two or more are needed")
    found, values = as_vector("step", steps), as_vector("lr", rates)
    if found[0] < 0 or (found[1:] <= found[:-1]).any() or values.min() < 0:
        raise InputError(f"{path.name}: steps must rise from zero or more, rates be zero or more")
    return found, values


def _number(row: list[str], place: int, path: Path, number: int) -> float:
    try:
        value = float(row[place])
    except (IndexError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{path.name}: row {number + 1} holds no finite number there; fix it")
    return value
