"""Accuracy at scale: the loss from the resources, then the accuracy from the loss."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_level, as_seed
from isoloss._core.interval import Interval
from isoloss.errors import InputError, IsolossError
from isoloss.fit import LawSet, fit_laws
from isoloss.fit.backtest import run_scale
from isoloss.fit.forecast import mixture
from isoloss.runs import Runs, read_runs
from isoloss.runs.rows import short
from isoloss.study.downstream.links import Benchmark, Link, fit_link
from isoloss.study.downstream.result import Downstream, TaskAnswer, TaskForecast
from isoloss.study.downstream.rolling import FEWEST, Rolled, make_cuts, refusal, roll

_SHARPNESS = 2
"""Links are weighted by this power of one over their error in the back-test."""
_METHOD = "bootstrap of both steps, back-test discrepancy, scatter of runs, questions"


def downstream(
    runs: Any,
    tasks: Sequence[Benchmark | str],
    at: Sequence[Mapping[str, float]] = (),
    *,
    laws: LawSet | None = None,
    level: float = 0.9,
    draws: int = 400,
    rng: int = 0,
) -> Downstream:
    r"""Forecast accuracies in two steps, or say which cannot be forecast.

    The first step is the law set of `isoloss.fit_laws`. The second is a link of the error to the
    measured loss L: a sigmoid :math:`e_0 - (e_0 - b)/(1 + e^{k(L - m)})` from the error e_0 of
    guessing, and :math:`\epsilon - k e^{-\gamma L}`, weighted by a back-test of both steps. An
    interval holds draws of the first step and of the second, what the back-test of the second
    showed beyond noise (growing with the root of the logarithm of reach), the scatter of runs
    around the link, and the sampling of questions.

    A task is refused where the runs show it at chance, without a rise, or falling. It is called
    unpredictable unless the back-test halves what 'no change' misses, or misses by noise alone and
    beats 'no change' by a fifth.

    Parameters
    ----------
    runs
        `Runs` or anything `read_runs` takes, with N, D (or other resources), loss, and a column of
        accuracies for each task.
    tasks
        Benchmarks, or names of columns, which are then taken to have a chance of zero and endless
        questions.
    at
        Targets: resource name to value.
    laws
        From `isoloss.fit_laws` on the same runs; fitted here by default.
    level, draws, rng
        Of the intervals.

    Raises
    ------
    InputError
        No such column, accuracies outside 0 to 1, too few runs, or a target without a resource.

    References
    ----------
    Gadre et al. 2024, arXiv:2403.08540; Bhagia et al. 2024, arXiv:2412.04403.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> N = np.repeat(np.geomspace(1e7, 1e9, 5), 5)
    >>> D = np.tile(np.geomspace(1e9, 1e11, 5), 5)
    >>> loss = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
    >>> score = 0.25 + 0.6 / (1 + np.exp(3 * (loss - 2.9))) + 0.005 * rng.standard_normal(25)
    >>> table = {"N": N, "D": D, "loss": loss, "quiz": score}
    >>> task = Benchmark(column="quiz", chance=0.25, items=10_000)
    >>> found = downstream(table, [task], [{"N": 1e10, "D": 2e11}], draws=50)
    >>> found.tasks[0].verdict, round(found.tasks[0].forecasts[0].accuracy, 2)
    ('predictable', 0.81)
    """
    as_level(level)
    as_seed(rng)
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    benchmarks = [t if isinstance(t, Benchmark) else Benchmark(column=t) for t in tasks]
    check_tasks(table, benchmarks, draws)
    fitted = fit_laws(table, draws=draws, rng=rng) if laws is None else laws
    scale = run_scale(table, fitted.axes)
    points = _targets(fitted, at)
    losses, reach = _losses(fitted, points, draws, rng, level)
    cuts = make_cuts(table, scale, fitted.best.law.name)
    answers = tuple(
        _answer(task, table, roll(task, table, cuts), losses, reach, points, level, draws, rng)
        for task in benchmarks
    )
    return Downstream(
        tasks=answers, laws_sentence=fitted.sentence, level=level, digest=table.digest
    )


def check_tasks(table: Runs, tasks: Sequence[Benchmark], draws: int) -> None:
    """Refuse what no forecast can be made of, before any law is fitted.

    Raises
    ------
    InputError
        No such column, accuracies outside 0 to 1, a task given twice, too few runs or draws.
    """
    if not tasks:
        raise InputError("tasks: name at least one column of accuracies")
    if draws < 20:
        raise InputError(f"draws = {draws}: at least 20, as the interval is made of them")
    if len(table) < 2 * FEWEST:
        raise InputError(f"{len(table)} runs: at least {2 * FEWEST} are needed for two steps")
    for i, task in enumerate(tasks):
        if task.column in (other.column for other in tasks[:i]):
            raise InputError(f"tasks: {short(task.column)} is given twice; leave one out")
        if task.column not in table:
            raise InputError(_absent(table, task.column))
        values = table[task.column]
        if (values < 0).any() or (values > 1).any():
            raise InputError(
                f"{short(task.column)}: accuracies from 0 to 1 are needed, found "
                f"{values.min():.4g} to {values.max():.4g}; for percents, "
                f"--units {task.column}=0.01"
            )


def _absent(table: Runs, column: str) -> str:
    """Say why the runs lack a column: left out by the reader, or not there."""
    why = [n.message for n in table.notes if n.message.startswith(f"column {short(column)} ")]
    if why:
        return why[0]
    names = ", ".join(short(name) for name in list(table.columns)[:20])
    return f"tasks: the runs have no column {short(column)}; they have {names}"


def _targets(laws: LawSet, at: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    axes = sorted({a for f in laws.fits for a in f.law.axes})
    for target in at:
        missing = [a for a in axes if a not in target]
        if missing:
            raise InputError(f"at: the laws need {', '.join(missing)} of every target")
        if bad := [a for a in axes if not (np.isfinite(target[a]) and target[a] > 0)]:
            raise InputError(f"at: {bad[0]} = {target[bad[0]]!r} must be finite and positive")
    return {a: np.array([float(t[a]) for t in at]) for a in axes}


def _losses(
    laws: LawSet, x: Mapping[str, Array], draws: int, seed: int, level: float
) -> tuple[Array, Array]:
    """Draws of a new run's loss at the targets, (draws, m), equally weighted; and reach, (m,)."""
    count = len(next(iter(x.values())))
    if not count:
        return np.zeros((draws, 0)), np.zeros(0)
    reach = run_scale(x, laws.axes) / float(laws.backtest.scale.max())
    _, new, weights = mixture(laws, x, reach=reach, seed=seed)
    rng = np.random.default_rng([seed, 11])
    chosen = rng.choice(len(new), size=max(draws, 400), p=weights / weights.sum())
    return new[chosen], reach


def _answer(
    task: Benchmark,
    table: Runs,
    rolled: Sequence[Rolled],
    losses: Array,
    reach: Array,
    x: Mapping[str, Array],
    level: float,
    draws: int,
    seed: int,
) -> TaskAnswer:
    loss, accuracy = table["loss"], table[task.column]
    if not rolled:
        return TaskAnswer(
            task=task.column, verdict="refused", why="no link could be fitted to these runs"
        )
    links: list[tuple[float, Rolled, Link]] = []
    for one in rolled:
        with contextlib.suppress(IsolossError):
            link = fit_link(one.kind, task, loss, accuracy, draws=draws, seed=seed)
            links.append((max(one.error, 1e-6) ** -_SHARPNESS, one, link))
    if not links:
        return TaskAnswer(
            task=task.column, verdict="refused", why="no link could be fitted to these runs"
        )
    _, best, link = max(links, key=lambda part: part[0])
    numbers: dict[str, Any] = {
        "task": task.column, "link": best.kind, "error": best.error,
        "no_change": best.no_change, "noise": best.noise,
    }  # fmt: skip
    if why := refusal(task, loss, accuracy, link):
        return TaskAnswer(verdict="refused", why=why, **numbers)
    forecasts = tuple(
        _forecast(task, links, losses[:, i], float(reach[i]),
                  {a: float(v[i]) for a, v in x.items()}, level, seed)
        for i in range(losses.shape[1])
    )  # fmt: skip
    words = (
        f"the back-test misses by {100 * best.error:.1f} points, no change by "
        f"{100 * best.no_change:.1f}, noise alone is {100 * best.noise:.1f}"
    )
    verdict = "predictable" if best.good else "unpredictable"
    return TaskAnswer(verdict=verdict, why=words, forecasts=forecasts, **numbers)


def _forecast(
    task: Benchmark,
    links: Sequence[tuple[float, Rolled, Link]],
    losses: Array,
    reach: float,
    at: Mapping[str, float],
    level: float,
    seed: int,
) -> TaskForecast:
    rng = np.random.default_rng([seed, 13])
    n, middle = len(losses), np.array([np.median(losses)])
    weights = np.array([w for w, _, _ in links])
    weights = weights / weights.sum()
    # Each draw has a loss of the first step, a link, and parameters of that link.
    which = rng.choice(len(links), size=n, p=weights)
    values, held, alone = np.zeros(n), np.zeros(n), np.zeros(n)
    for i, (_, _, link) in enumerate(links):
        rows = which == i
        theta = link.draws[rng.integers(len(link.draws), size=int(rows.sum()))]
        values[rows] = link.accuracy(losses[rows][:, None], theta)[:, 0]
        held[rows] = link.accuracy(middle, theta)[:, 0]
        alone += weights[i] * link.accuracy(losses)
    centre = float(np.median(values))
    step = float(np.sqrt(max(np.log(max(reach, 1.0)), 0.0)))
    beyond = step * float(weights @ [r.discrepancy for _, r, _ in links])
    scatter = float(weights @ [link.scatter for _, _, link in links])
    items = float(task.sampling(np.array([centre]))[0])
    noise = np.sqrt(beyond**2 + scatter**2 + items**2)
    drawn = np.clip(values + noise * rng.standard_normal(n), 0.0, 1.0)
    return TaskForecast(
        at=at,
        loss=float(middle[0]),
        accuracy=centre,
        interval=Interval.from_draws(drawn, level=level, method=_METHOD),
        parts={
            "loss": float(np.std(alone)),
            "link": float(np.std(held)),
            "discrepancy": beyond,
            "scatter": scatter,
            "items": items,
        },
    )
