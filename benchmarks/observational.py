"""Forecasts from invented tables of published models: ``python benchmarks/observational.py``.

Tables are those of ``docs/examples/make_models.py`` with other seeds; each forecasts a model of
3e24 FLOPs in the families of five or more, ten times the largest or so.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from isoloss.study.downstream import Benchmark, observational

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS / "examples"))
import make_models  # noqa: E402

TABLES = 40
WORLDS: dict[str, dict[str, float]] = {
    "as on this page": {},
    "no score missing": {"missing": 0.0},
    "a fifth missing": {"missing": 0.2},
    "models three times as far from their lines": {"deviation": 0.21},
}
CHANCE = {name: row[0] for name, row in make_models.BENCHMARKS.items()}
TASK = Benchmark(column="reason", chance=CHANCE["reason"], items=make_models.ITEMS)
SHARED = [
    Benchmark(column=name, chance=c)
    for name, c in CHANCE.items()
    if name not in ("reason", "olympiad")
]
LARGER = 3e24


def row(name: str, scale: str, world: dict[str, Any]) -> str:
    """Line of the table."""
    inside, widths, misses, errors, blind, good = [], [], [], [], [], 0
    for seed in range(1000, 1000 + TABLES):
        rows, truth = make_models.simulate(seed, larger=LARGER, **world)
        header = ["model", "family", "C", *make_models.BENCHMARKS]
        table = {n: [r[i] for r in rows] for i, n in enumerate(header)}
        at = [(f, LARGER) for f, count in make_models.MEMBERS.items() if count > 4]
        found = observational(table, TASK, SHARED, at, scale=scale, draws=500)
        good += found.verdict == "predictable"
        errors.append(found.error)
        blind.append(found.by_compute)
        for one in found.forecasts:
            inside.append(truth[one.family] in one.interval)
            widths.append(one.interval.high - one.interval.low)
            misses.append(one.accuracy - truth[one.family])
    rms = [np.sqrt(np.mean(np.square(v))) for v in (misses, errors, blind)]
    return (
        f"| {name} | {scale} | {good} of {TABLES} | {sum(inside)} of {len(inside)} | "
        f"{rms[0]:.3f} | {np.mean(widths):.3f} | {rms[1]:.3f} | {rms[2]:.3f} |"
    )


def main() -> str:
    """Write the table."""
    lines = [
        "| tables | scale | predictable | in the 90 % interval | error | width | back-test | "
        "compute alone |",
        "| --- " * 8 + "|",
    ]
    first = next(iter(WORLDS))
    lines += [row(first, scale, WORLDS[first]) for scale in ("raw", "logit")]
    lines += [row(name, "auto", world) for name, world in WORLDS.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    page = DOCS / "downstream.md"
    text = re.sub(
        r"(<!-- observational -->\n\n).*?(\n\n<!-- end -->)",
        lambda m: m[1] + main() + m[2], page.read_text("utf8"), flags=re.S,
    )  # fmt: skip
    page.write_text(text, "utf8")
