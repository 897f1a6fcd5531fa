"""Replay `isoloss watch` on curves that are over: how far off it was, and how often it held.

``python benchmarks/watch.py [FOLDER]``: FOLDER holds the 27 files of `benchmarks/schedules.py`.
Without it, the five curves of ``docs/data/curves``, which no constant was chosen on. Each curve is
cut at a share and forecast in the ways that there are; printed are the root mean square of the
errors of the last loss, and how many 90 % intervals held it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from schedules import TRAIN, read

from isoloss.fit.curves import watch_run
from isoloss.laws.schedule import Schedule, rates_between
from isoloss.runs.curve import Curve
from isoloss.runs.logs import read_curves

HERE = Path(__file__).parents[1] / "docs" / "data" / "curves"
SIZES = (25, 100, 400)
SHARES = (0.3, 0.5)
Runs = dict[tuple[str, str], tuple[Curve, Schedule]]


def published(folder: Path) -> Runs:
    found = {}
    for size in SIZES:
        for name, (curve, plan) in read(folder, size).items():
            named = Curve(curve.step, curve.loss, curve.lr, name=f"{size}M-{name}")
            found[str(size), name] = named, plan
    return found


def shipped() -> Runs:
    found = {}
    for one in read_curves(HERE):
        curve = one.curve
        assert curve.lr is not None
        steps, rates = np.append(0.0, curve.step), np.append(0.0, curve.lr)
        # No log lies in the warm-up, of 100 steps: rates before the first log rise to its own.
        plan = Schedule(rates_between(steps, rates, round(float(curve.step[-1]))), curve.name)
        found["w16", curve.name] = curve, plan
    return found


def ways(runs: Runs, key: tuple[str, str]) -> dict[str, dict[str, list[Curve]]]:
    """Arguments of each way that there are complete runs for."""
    size, name = key
    others = [n for s, n in runs if s == size and n != name]
    like = [n for n in others if n in TRAIN] or others
    family = [s for s, n in runs if n == name and s != size]
    found: dict[str, dict[str, list[Curve]]] = {"own": {}}
    found["like"] = {"like": [runs[size, n][0] for n in like]}
    if len(family) > 1:
        found["family"] = {"family": [runs[s, name][0] for s in family]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--way", action="append", choices=["own", "like", "family"])
    asked = parser.parse_args()
    runs = shipped() if asked.folder is None else published(asked.folder)
    plans = {curve.name: plan for curve, plan in runs.values()}
    errors: dict[tuple[str, float], list[float]] = defaultdict(list)
    held: dict[tuple[str, float], list[bool]] = defaultdict(list)
    for key, (curve, plan) in runs.items():
        truth = float(curve.loss[-max(1, len(curve) // 50) :].mean())
        for way, options in ways(runs, key).items():
            if asked.way and way not in asked.way:
                continue
            for share in SHARES:
                begun = curve.until(share * len(plan))
                known = {c.name: plans[c.name] for part in options.values() for c in part}
                found = watch_run(
                    begun, plan, like=options.get("like", ()), family=options.get("family", ()),
                    schedules=known or None,
                )  # fmt: skip
                errors[way, share].append(found.final_loss / truth - 1)
                held[way, share].append(truth in found.final)
    print("way     share   error   held")
    for (way, share), off in sorted(errors.items()):
        size, inside = 100 * np.sqrt(np.mean(np.square(off))), held[way, share]
        print(f"{way:6}  {share:.1f}  {size:6.2f} %  {sum(inside)} of {len(inside)}")


if __name__ == "__main__":
    main()
