"""What every ``theory`` command does with its answer."""

from __future__ import annotations

import math
from typing import Any

from isoloss.cli.common import OK, print_json, progress, say
from isoloss.cli.theory_grid import Grid


def answer_grid(grid: Grid, one: Any, drawn: Any, as_json: bool, wide: bool = False) -> int:
    """Solve, simulate, draw and print what was asked for."""
    answer = grid.collect(one, wide=wide)
    if grid.simulate:
        with progress(quiet=as_json) as step:
            answer |= grid.simulated(drawn, step)
    if grid.plot:
        grid.picture(answer)
    return finish(grid, answer, as_json)


def finish(grid: Grid, answer: dict[str, Any], as_json: bool) -> int:
    """Print the answer as JSON or as a table, and what to know of it."""
    if as_json:
        print_json(with_infinity(answer))
    else:
        say(grid.table(answer))
    for doubt in sorted(grid.doubts):
        say(f"note: {doubt}")
    return OK


def with_infinity(value: Any) -> Any:
    """Write infinite numbers, which JSON does not have, as "inf": here they are the truth."""
    if isinstance(value, dict):
        return {k: with_infinity(v) for k, v in value.items()}
    if isinstance(value, list):
        return [with_infinity(v) for v in value]
    return "inf" if isinstance(value, float) and math.isinf(value) and value > 0 else value
