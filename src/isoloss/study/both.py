"""The same question answered with all runs and without those that decide, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isoloss._core.interval import Interval
from isoloss.errors import IsolossError
from isoloss.fit import Fit, LawSet, forecast
from isoloss.fit.backtest import run_scale
from isoloss.fit.disagree import refit, with_all_runs
from isoloss.fit.levels import Mask
from isoloss.plan.design_places import cost_of_runs
from isoloss.plan.optimum import solve
from isoloss.plan.over_laws import allocate_over_laws
from isoloss.plan.problem import make_problem
from isoloss.runs import Runs
from isoloss.study.answers import fixed_axes, with_compute

Group = tuple[str, Mask]


def both_answers(
    laws: LawSet | Fit,
    runs: Runs,
    targets: Sequence[Mapping[str, float]],
    groups: Sequence[Group],
) -> list[dict[str, Any]]:
    """Parameters, forecasts and N_opt as they are, then without each group of runs.

    Every law is fitted and resampled again without the group; the weights of a law set are held.
    Where a set leaves out runs that no law explains, the answer with them comes second.

    Parameters
    ----------
    targets
        Resources of each forecast.
    groups
        A title, and which runs it leaves out, (n,) of bool.

    Returns
    -------
    list of dict
        Empty without groups and runs left out. ``answer`` is the title; an answer that is not
        possible has a ``reason`` and no numbers.
    """
    beyond = laws.left_out if isinstance(laws, LawSet) else np.zeros(len(runs), dtype=bool)
    if not groups and not beyond.any():
        return []
    count = int(beyond.sum())
    named = f"the {count} run{'s' if count > 1 else ''} that no law explains"
    rows = [_row(f"without {named}" if count else "all runs", laws, runs, count, targets)]
    if isinstance(laws, LawSet) and count:
        try:
            rows.append(_row(f"with {named}", with_all_runs(laws, runs), runs, 0, targets))
        except IsolossError as error:
            rows.append({"answer": f"with {named}", "n_left_out": 0, "reason": str(error)})
    for title, left_out in groups:
        try:
            other = refit(laws, runs, left_out)
            row = _row(title, other, runs, int((left_out | beyond).sum()), targets)
        except IsolossError as error:
            gone = int((left_out | beyond).sum())
            row = {"answer": title, "n_left_out": gone, "reason": str(error)}
        rows.append(row)
    return rows


def side_by_side_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write the answers of `both_answers` for people."""
    lines = []
    for row in rows:
        if row["reason"]:
            lines.append(f"  {row['answer']}: not possible, {row['reason']}")
            continue
        values = ", ".join(f"{n} {v:.4g}" for n, v in row["parameters"].items())
        lines.append(f"  {row['answer']}: {row['law']} {values}")
        for f in row["forecasts"]:
            where = ", ".join(f"{a} = {v:.3g}" for a, v in f["at"].items())
            line = f"    at {where}: loss {_with_interval(f['loss'], f['interval'])}"
            if f["N_opt"] is not None:
                line += f", N_opt {_with_interval(f['N_opt'], f['N_opt_interval'])}"
            lines.append(line)
    return lines


def _with_interval(value: float, interval: Mapping[str, Any] | None) -> str:
    if interval is None:
        return f"{value:.4g}"
    ends = f"{interval['low']:.4g}, {interval['high']:.4g}"
    return f"{value:.4g} [{ends}] ({100 * interval['level']:g} %)"


def _row(
    title: str,
    laws: LawSet | Fit,
    runs: Runs,
    count: int,
    targets: Sequence[Mapping[str, float]],
) -> dict[str, Any]:
    lead = laws if isinstance(laws, Fit) else laws.best
    return {
        "answer": title,
        "n_left_out": count,
        "reason": None,
        "law": lead.law.name,
        "parameters": lead.parameters,
        "parameter_intervals": {n: i.to_dict() for n, i in lead.intervals.items()},
        "forecasts": [_forecast(laws, runs, at) | _size(laws, runs, at) for at in targets],
    }


def _forecast(laws: LawSet | Fit, runs: Runs, at: Mapping[str, float]) -> dict[str, Any]:
    if isinstance(laws, Fit):
        x = {a: np.array([at[a]]) for a in laws.law.axes}
        loss = float(laws.predict(x)[0])
        interval = laws.interval(x)[0] if len(laws.draws) else None
    else:
        found = forecast(laws, with_compute(runs, at))
        loss, interval = found.loss, found.interval
    return {
        "at": dict(at),
        "loss": loss,
        "interval": None if interval is None else interval.to_dict(),
    }


def _size(laws: LawSet | Fit, runs: Runs, at: Mapping[str, float]) -> dict[str, Any]:
    """N_opt at the compute of a target; null where compute is not split."""
    nothing = {"N_opt": None, "N_opt_interval": None}
    axes = laws.law.axes if isinstance(laws, Fit) else laws.axes
    if not {"N", "D"} <= set(axes):
        return nothing
    C = run_scale({a: np.array([v]) for a, v in with_compute(runs, at).items()}, axes)
    try:
        return _split_of_fit(laws, runs, C) if isinstance(laws, Fit) else _split(laws, runs, C)
    except IsolossError:
        return nothing


def _split(laws: LawSet, runs: Runs, C: Any) -> dict[str, Any]:
    fixed = fixed_axes(runs, laws)
    plan = allocate_over_laws(laws, C, cost=cost_of_runs(runs), fixed=fixed, price_of_missing=False)
    return {"N_opt": float(plan.N_opt[0]), "N_opt_interval": plan.intervals["N_opt"][0].to_dict()}


def _split_of_fit(f: Fit, runs: Runs, C: Any) -> dict[str, Any]:
    extra = {a: float(runs[a].max()) for a in f.law.axes if a not in ("N", "D", "C") and a in runs}
    problem = make_problem(f.law, cost_of_runs(runs), extra, None)
    size = float(np.exp(solve(problem, f.theta[None], C).log_N[0, 0]))
    sizes = np.exp(solve(problem, f.draws, C).log_N[:, 0]) if len(f.draws) else np.zeros(0)
    sizes = sizes[np.isfinite(sizes)]
    interval = None
    if sizes.size:
        method = f"{f.method}, law taken as right"
        interval = Interval.from_draws(sizes, level=f.level, method=method).to_dict()
    return {"N_opt": size if np.isfinite(size) else None, "N_opt_interval": interval}
