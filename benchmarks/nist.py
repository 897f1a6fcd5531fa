"""Count correct digits on NIST's nonlinear sets beside scipy's curve_fit with its defaults.

    python benchmarks/nist.py nist_strd_nonlinear.json [RANDOM]

With a number, that many random starts of each set follow: certified values times 0.1 to 10, every
fifth sign turned.

The file is a list of objects with name, model, x, y, start1, start2, certified, certified_sd and
rss, transcribed from https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. A digit count is
the log relative error of the worst parameter (LRE), at most 11: as many as are certified.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import curve_fit
from threadpoolctl import threadpool_limits

import isoloss


def digits(found: Any, certified: Any) -> float:
    """Log relative error of the worst, from 0 to 11; not a number counts as no digit."""
    found, certified = np.asarray(found, float), np.asarray(certified, float)
    gap = np.abs(found - certified) / np.abs(certified)
    worst = -np.log10(np.maximum(np.max(gap), 1e-11)) if np.isfinite(gap).all() else 0.0
    return float(np.clip(worst, 0.0, 11.0))


def table(one: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Columns and formula; Nelson's model is one of log(y) in two columns."""
    x, y = np.array(one["x"]), np.array(one["y"])
    formula = one["model"].split("=")[-1]
    if x.ndim == 1:
        return {"x": x, "y": y}, formula
    return {"x1": x[:, 0], "x2": x[:, 1], "y": np.log(y)}, formula


def ours(one: dict[str, Any], start: str | None) -> tuple[float, float, str, float]:
    columns, formula = table(one)
    names = [f"b{i + 1}" for i in range(len(one["certified"]))]
    values = dict(zip(names, one[start], strict=True)) if start else None
    begin = time.process_time()
    found = isoloss.regress(columns, formula, start=values)
    spent = time.process_time() - begin
    if start is None:
        # Nothing says which term is which: what can be compared is the sum of squares.
        return digits(found.rss, one["rss"]), np.nan, found.status, spent
    return (
        digits([found.parameters[n] for n in names], one["certified"]),
        digits([found.standard_errors[n] for n in names], one["certified_sd"]),
        found.status,
        spent,
    )


def theirs(one: dict[str, Any], start: str, **options: float) -> tuple[float, float, str, float]:
    columns, formula = table(one)
    y = columns.pop("y")
    law = isoloss.law_from_expression(formula, axes=tuple(columns))
    order = [law.names.index(f"b{i + 1}") for i in range(len(law.names))]

    def model(_: Any, *values: float) -> Any:
        theta = np.empty(len(values))
        theta[order] = values
        return law(theta, columns)

    begin = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values, covariance = curve_fit(model, np.arange(len(y)), y, one[start], **options)
    except RuntimeError:
        return 0.0, 0.0, "raised", time.process_time() - begin
    spent = time.process_time() - begin
    errors = np.sqrt(np.diag(covariance))
    said = "returned" if np.isfinite(covariance).all() else "warned"
    return digits(values, one["certified"]), digits(errors, one["certified_sd"]), said, spent


def count(rows: list[tuple[str, float, float, str, float]], said: str) -> str:
    """Summarise: fits with the digits, and verdicts that are good without them."""
    good = [p >= 6 and (s >= 4 or name == "Lanczos1") for name, p, s, _, _ in rows]
    false = sum(v == said and not g for (_, _, _, v, _), g in zip(rows, good, strict=True))
    least = min(p for _, p, _, _, _ in rows)
    return (
        f"{sum(good)} of {len(rows)} fits with 6 digits in all parameters and 4 in all standard "
        f"deviations; worst parameter {least:.1f} digits; {false} '{said}' without them; "
        f"{sum(t for *_, t in rows):.1f} CPU s"
    )


def main() -> None:
    sets = json.loads(Path(sys.argv[1]).read_text("utf8"))
    head = f"{'set':<9} {'start':>5} | {'isoloss':>7} {'sd':>5} {'status':<8}"
    print(f"{head}| {'curve_fit':>9} {'sd':>5} {'':<8}")
    mine, scipys, tight, alone = [], [], [], []
    for one in sets:
        for start in ("start1", "start2"):
            a, b = ours(one, start), theirs(one, start)
            mine.append((one["name"], *a))
            scipys.append((one["name"], *b))
            tight.append((one["name"], *theirs(one, start, ftol=1e-15, xtol=1e-15, gtol=1e-15)))
            print(
                f"{one['name']:<9} {start[-1]:>5} | {a[0]:>7.1f} {a[1]:>5.1f} {a[2]:<8}"
                f"| {b[0]:>9.1f} {b[1]:>5.1f} {b[2]:<8}",
                flush=True,
            )
        alone.append((one["name"], *ours(one, None)))
    print(f"isoloss:   {count(mine, 'ok')}")
    print(f"curve_fit: {count(scipys, 'returned')}")
    print(f"curve_fit, tolerances 1e-15: {count(tight, 'returned')}")
    reached = [name for name, d, _, _, _ in alone if d >= 6 or name == "Lanczos1"]
    false = [name for name, d, _, v, _ in alone if v == "ok" and d < 6]
    print(
        f"isoloss without any start: {len(reached)} of {len(alone)} reach NIST's sum of squares; "
        f"'ok' without it: {', '.join(false) or 'none'}; not reached: "
        f"{', '.join(sorted({n for n, *_ in alone} - set(reached))) or 'none'}"
    )
    if len(sys.argv) > 2:
        wild(sets, int(sys.argv[2]))


def wild(sets: list[dict[str, Any]], times: int) -> None:
    """Fit from random starts, and count how often ``ok`` was said of another optimum."""
    rng = np.random.default_rng(0)
    said: dict[tuple[str, bool], int] = {}
    for one in sets:
        columns, formula = table(one)
        for _ in range(times):
            signs = np.where(rng.random(len(one["certified"])) < 0.2, -1, 1)
            values = one["certified"] * signs * 10 ** rng.uniform(-1, 1, len(signs))
            start = {f"b{i + 1}": v for i, v in enumerate(values)}
            found = isoloss.regress(columns, formula, start=start)
            # Lanczos1's residuals are rounding: any sum of squares that small is the best.
            right = found.rss < one["rss"] * (1 + 1e-8) or found.rss < 1e-20
            said[found.status, right] = said.get((found.status, right), 0) + 1
    for (status, right), count_ in sorted(said.items()):
        print(f"random starts: {count_} {status}, {'best' if right else 'another'} optimum")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
