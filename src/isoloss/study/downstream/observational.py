"""Accuracy of a model of a known family at a compute, from many published models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import as_level, as_positive, as_seed
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.study.downstream.capabilities import SCALES, rescale
from isoloss.study.downstream.links import Benchmark
from isoloss.study.downstream.models import Models, read_models
from isoloss.study.downstream.observational_fit import (
    MEMBERS,
    Fitted,
    draw_forecast,
    fit_models,
    take,
)
from isoloss.study.downstream.observational_result import ModelForecast, Observational
from isoloss.study.downstream.observational_rolling import MOST_MISSING, back_test, too_few

BENCHMARKS = 3
"""So many are needed."""
_METHOD = "lines of families, models around them, link, back-test discrepancy, scatter, questions"


def observational(
    models: Mapping[str, Sequence[Any]] | str | Path,
    target: Benchmark | str,
    benchmarks: Sequence[Benchmark | str],
    at: Sequence[tuple[str, float]] = (),
    *,
    family: str = "family",
    compute: str = "C",
    units: Mapping[str, float] | None = None,
    components: int | None = None,
    scale: str = "auto",
    level: float = 0.9,
    draws: int = 2000,
    rng: int = 0,
) -> Observational:
    r"""Forecast a target from capabilities that many benchmarks share, or say why not.

    The first principal components S of the benchmark scores are capabilities. Within a family they
    are linear in log compute, :math:`S = \theta_f \log C + \nu_f`, and over all families the target
    is :math:`c + (1 - c)\,\sigma(\alpha + \beta^T S)`, c being the accuracy of guessing.

    An interval holds the errors of the family's line, one model's place around it, the link, what
    the back-test missed beyond these, the scatter around the link, and the questions.

    Parameters
    ----------
    models
        A CSV file, or a dictionary of columns: family, training compute, scores from 0 to 1. Scores
        may be missing.
    target
        The task, with chance and number of questions; its own scores are in no component.
    benchmarks
        Columns that the capabilities are made of; their chance counts on the logit scale.
    at
        (family, compute) of each forecast.
    family, compute, units
        As in `isoloss.study.downstream.read_models`.
    components
        Number of capabilities; by default as few as explain 95 % of the variance, at most three.
    scale
        Of the benchmarks: ``"raw"``, ``"logit"`` (see `rescale`), or ``"auto"`` for the one of
        smaller error in the back-test.
    level, draws, rng
        Of the intervals.

    Raises
    ------
    InputError
        The table cannot be read, too few benchmarks, or a family without a line.

    References
    ----------
    Ruan, Maddison, Hashimoto 2024, arXiv:2405.10938.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> kin = np.repeat(["a", "b", "c", "d"], 6)
    >>> C = np.tile(np.geomspace(1e20, 1e23, 6), 4)
    >>> skill = 0.5 * np.log(C / 1e22) + np.repeat([0.0, 0.6, -0.5, 0.3], 6)
    >>> table = {"family": kin, "C": C} | {
    ...     name: 1 / (1 + np.exp(-0.5 * skill + 0.05 * rng.standard_normal(24)))
    ...     for name in ("quiz", "cloze", "sums", "riddle")
    ... }
    >>> found = observational(table, "riddle", ["quiz", "cloze", "sums"], [("a", 1e24)])
    >>> found.verdict, round(found.forecasts[0].accuracy, 2)
    ('predictable', 0.76)
    """
    as_level(level)
    as_seed(rng)
    if draws < 100:
        raise InputError(f"draws = {draws}: at least 100, as the interval is made of them")
    task = target if isinstance(target, Benchmark) else Benchmark(column=target)
    if scale not in ("auto", *SCALES):
        raise InputError(f"scale = {scale!r}: auto, raw or logit")
    made = [b if isinstance(b, Benchmark) else Benchmark(column=b) for b in benchmarks]
    chance, columns = {b.column: b.chance for b in made}, [b.column for b in made]
    table = read_models(models, [*columns, task.column], family=family, compute=compute,
                        units=units)  # fmt: skip
    if len(benchmarks) < BENCHMARKS:
        raise InputError(f"benchmarks: {len(benchmarks)} are too few, {BENCHMARKS} are needed")
    table, used, gone = _usable(table, columns)
    if components is not None and not 1 <= components < len(used):
        raise InputError(
            f"components = {components}: at least 1, and fewer than the {len(used)} benchmarks"
        )
    asked = [(str(f), as_positive("at C", c)) for f, c in at]
    if unknown := [f for f, _ in asked if f not in table.family]:
        known = ", ".join(sorted(set(table.family)))[:200]
        raise InputError(f"at: no model of family {unknown[0]!r}; the table has {known}")
    same: dict[str, Any] = {
        "task": task.column, "level": level, "left_out": gone, "loadings": {}, "families": {},
        "filled": {b: int(np.isnan(table.scores[b]).sum()) for b in used},
    }  # fmt: skip
    if why := too_few(table, task):
        return Observational(verdict="refused", why=why, **same)
    tried = [
        _on_scale(table, used, chance, name) for name in (SCALES if scale == "auto" else (scale,))
    ]
    fits = [fit_models(one, used, task, components) for one in tried]
    # What is hopeless is so on the first scale: more tries would only be more luck.
    if why := _hopeless(fits[0], table, task):
        return Observational(verdict="refused", why=why, **(same | _described(fits[0], used)))
    if short := [f for f, _ in asked if f not in fits[0].families]:
        raise InputError(
            f"at: family {short[0]!r} has fewer than {MEMBERS} models of different compute with "
            "enough scores, which make no line; add models of it"
        )
    tests = [
        back_test(one, used, task, len(fit.theta) - 1, level, draws, rng)
        for one, fit in zip(tried, fits, strict=True)
    ]
    best = min(range(len(fits)), key=lambda i: tests[i].error)
    fit, test = fits[best], tests[best]
    same |= _described(fit, used) | {"scale": scale if scale != "auto" else SCALES[best]}
    forecasts = []
    for name, C in asked:
        own = fit.families[name]
        drawn = draw_forecast(
            fit, task, own, C, test.beyond, draws, np.random.default_rng([rng, 19])
        )
        largest = table.C[np.array(table.family) == name].max()
        forecasts.append(
            ModelForecast(
                family=name,
                C=C,
                accuracy=float(np.median(drawn.values)),
                interval=Interval.from_draws(drawn.values, level=level, method=_METHOD),
                capabilities=tuple(map(float, drawn.capabilities)),
                parts=drawn.parts,
                reach=float(C / largest),
            )
        )
    if not test.misses:
        words = "no larger models could be held out: nothing says how well this forecasts"
        return Observational(verdict="unpredictable", why=words, forecasts=tuple(forecasts), **same)
    found = test.rolled()
    words = (
        f"{found.points} larger models, forecast from smaller ones, are missed by "
        f"{100 * found.error:.1f} points, by {100 * found.no_change:.1f} with no change, by "
        f"{100 * test.by_compute:.1f} from compute alone, by {100 * found.noise:.1f} with noise "
        f"alone; {test.inside} within their intervals"
    )
    return Observational(
        verdict="predictable" if found.good else "unpredictable", why=words, error=found.error,
        no_change=found.no_change, by_compute=test.by_compute, noise=found.noise,
        points=found.points, inside=test.inside, forecasts=tuple(forecasts), **same,
    )  # fmt: skip


def _on_scale(
    table: Models, used: Sequence[str], chance: Mapping[str, float], scale: str
) -> Models:
    """Put the benchmarks on a scale, and leave the target."""
    moved = {b: rescale(table.scores[b], chance[b], scale) for b in used}
    return replace(table, scores={**table.scores, **moved})


def _usable(
    table: Models, benchmarks: Sequence[str]
) -> tuple[Models, list[str], tuple[tuple[str, str], ...]]:
    """Leave out benchmarks, then models, of which more than half is missing, and name them."""
    gone: list[tuple[str, str]] = []
    used = []
    for b in benchmarks:
        values = table.scores[b]
        known = values[np.isfinite(values)]
        if len(known) < MOST_MISSING * len(table):
            gone.append((b, f"{len(known)} of {len(table)} models have a score"))
        elif not np.ptp(known) > 0:
            gone.append((b, "all models score the same"))
        else:
            used.append(b)
    if len(used) < BENCHMARKS:
        raise InputError(
            f"benchmarks: {len(used)} can be used, {BENCHMARKS} are needed; left out: "
            + "; ".join(f"{n}, {w}" for n, w in gone)
        )
    known_of = np.sum([np.isfinite(table.scores[b]) for b in used], axis=0)
    kept = np.flatnonzero(known_of >= MOST_MISSING * len(used))
    for i in sorted(set(range(len(table))) - set(kept.tolist())):
        gone.append((table.names[i], f"has {known_of[i]} of {len(used)} scores"))
    # Rows in an order of their own, so that no sum depends on that of the table.
    order = sorted(kept.tolist(), key=lambda i: (table.family[i], table.C[i], table.names[i]))
    return take(table, np.array(order, dtype=np.int64)), sorted(used), tuple(gone)


def _hopeless(fit: Fitted, table: Models, task: Benchmark) -> str:
    """Say why the target cannot be learned from these models; empty where it rises."""
    y = table.scores[task.column]
    known = np.flatnonzero(np.isfinite(y))
    order = known[np.argsort(fit.capabilities.values[known] @ fit.theta[1:], kind="stable")]
    size = max(len(order) // 4, 2)
    low, high = y[order[:size]], y[order[-size:]]
    sd = [np.sqrt(np.mean(task.sampling(v) ** 2) + fit.scatter**2) / np.sqrt(size)
          for v in (low, high)]  # fmt: skip
    if high.mean() < task.chance + 2 * sd[1]:
        return (
            f"at chance: {high.mean():.3f} in the quarter of most capable models, "
            f"{task.chance:.3f} by guessing; abler models are needed before anything can be said"
        )
    # The order was chosen to make a rise: more than chance alone would make of it.
    if high.mean() - low.mean() < 4 * np.hypot(*sd):
        return (
            f"no rise to be seen: {high.mean() - low.mean():+.3f} between the quarters of least "
            f"and most capable models, with a noise of {np.hypot(*sd):.3f}"
        )
    return ""


def _described(fit: Fitted, used: Sequence[str]) -> dict[str, Any]:
    found = fit.capabilities
    return {
        "explained": tuple(map(float, found.explained)),
        "loadings": {b: tuple(map(float, v)) for b, v in zip(used, found.loadings, strict=True)},
        "families": {n: (f.count, float(f.slope[0])) for n, f in fit.families.items()},
    }
