"""Verdicts on tasks and coverage of their intervals: ``python benchmarks/downstream.py FOLDER``.

FOLDER holds the release of Gadre et al. 2024; small models forecast the accuracies of large ones.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from isoloss.runs.atlas import ReleasedTable, find_tables
from isoloss.runs.atlas.gadre import SMALL
from isoloss.study.downstream import Benchmark, Downstream, downstream

PAGE = Path(__file__).parents[1] / "docs" / "downstream.md"
VERDICTS = ("predictable", "unpredictable", "refused")


def answer(table: ReleasedTable) -> tuple[Downstream, list[int]]:
    """Answers from the small models, and the rows of the large ones."""
    runs = table.runs
    small = np.array([SMALL.search(name) is not None for name in runs.names])
    large = np.flatnonzero(~small).tolist()
    tasks = [
        Benchmark(column=name, chance=t.chance, items=t.items) for name, t in table.tasks.items()
    ]
    at = [{a: float(runs[a][i]) for a in "ND"} for i in large]
    return downstream(runs.select(small), tasks, at, draws=200), large


def main(folder: str) -> str:
    """Table of verdicts: tasks, targets inside their interval, error, width."""
    found: dict[str, list[tuple[bool, float, float]]] = {v: [] for v in VERDICTS}
    tasks = dict.fromkeys(VERDICTS, 0)
    for table in find_tables(folder):
        if table.family != "gadre":
            continue
        answers, large = answer(table)
        for task in answers.tasks:
            tasks[task.verdict] += 1
            for forecast, i in zip(task.forecasts, large, strict=False):
                truth, interval = float(table.runs[task.task][i]), forecast.interval
                found[task.verdict].append(
                    (
                        truth in interval,
                        abs(forecast.accuracy - truth),
                        interval.high - interval.low,
                    )
                )
    lines = [
        "| Verdict | tasks | in the 90 % interval | mean error | mean width |",
        "| --- | --- | --- | --- | --- |",
    ]
    for verdict in VERDICTS:
        rows = found[verdict]
        cells = ["", "", ""]
        if rows:
            inside, error, width = zip(*rows, strict=True)
            cells = [
                f"{sum(inside)} of {len(rows)}",
                f"{np.mean(error):.3f}",
                f"{np.mean(width):.3f}",
            ]
        lines.append(f"| {verdict} | {tasks[verdict]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    text = main(sys.argv[1])
    print(text)
    if "--write" in sys.argv:
        page = PAGE.read_text("utf8")
        marked = re.sub(
            r"(<!-- downstream -->\n).*?(<!-- end -->)",
            lambda m: f"{m[1]}\n{text}\n\n{m[2]}",
            page,
            flags=re.DOTALL,
        )
        PAGE.write_text(marked, "utf8")
