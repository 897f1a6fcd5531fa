"""What carries the answer: single runs, whole scales, and the answer without those that decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit import Fit, LawSet, influence
from isoloss.fit.backtest import run_scale
from isoloss.fit.influence import Influence, parameter_quantities
from isoloss.fit.leave_out import Quantity, forecast_of, measure, members
from isoloss.fit.levels import Mask
from isoloss.fit.scales import ScaleInfluence, described, parameters_of, scale_influence
from isoloss.laws.mixture import is_share
from isoloss.plan.design_places import cost_of_runs
from isoloss.plan.optimum import solve
from isoloss.plan.problem import Problem, make_problem
from isoloss.runs import Runs
from isoloss.study.both import Group, both_answers

Target = tuple[Mapping[str, float], float | None]
MOST_RUNS = 3000
"""Up to this many runs, scales are left out."""
MOST_SINGLE = 1000
"""Up to this many runs, each is left out of every law of the set."""
MOST_ROWS = 40
_GRID = np.linspace(-4.0, 4.0, 401)


def quantities_of(
    f: Fit, runs: Runs, axes: Sequence[str], budget: float
) -> dict[str, Callable[[Array], Array]]:
    """Make what a planner asks for functions of the parameters of one law."""
    found: dict[str, Callable[[Array], Array]] = {}
    own = set(f.law.axes)
    if {"N", "D"} <= own:
        problem = _problem(f, runs)
        C = np.array([budget])

        def log_size(theta: Array) -> Array:
            return solve(problem, theta, C).log_N[:, 0]

        def log_loss(theta: Array) -> Array:
            log_N = solve(problem, theta, C).log_N
            # Runs that cannot tell N and D apart put the optimum anywhere, or nowhere.
            with np.errstate(all="ignore"):
                return np.asarray(np.log(problem.loss(theta, log_N, C)[:, 0]))

        found |= {"N_opt": log_size, "loss": log_loss}
    else:
        x = {a: runs[a].max(keepdims=True) for a in f.law.axes}
        if f.law.axes == tuple(axes) and len(own) == 1:
            x = {f.law.axes[0]: np.array([budget])}
        found["loss"] = lambda theta: np.log(f.law(theta, x)[:, 0])
    return found | parameter_quantities(f.law)


def size_of(laws: LawSet | Fit, runs: Runs, budget: float) -> Quantity | None:
    """Make a quantity of log N_opt of the weighted loss at a budget, the weights held.

    ``None`` where no law splits compute.
    """
    used = members(laws)
    problems = [_problem(f, runs) if {"N", "D"} <= set(f.law.axes) else None for f, _ in used]
    splitting = [(i, w, p) for i, ((_, w), p) in enumerate(zip(used, problems, strict=True)) if p]
    if not splitting:
        return None
    total = sum(w for _, w, _ in splitting)
    lead, _, chief = max(splitting, key=lambda s: s[1])
    C = np.array([budget])

    def alone(problem: Problem | None) -> Callable[[Array], Array]:
        def log_size(theta: Array) -> Array:
            return np.zeros(len(theta)) if problem is None else solve(problem, theta, C).log_N[:, 0]

        return log_size

    def joint(thetas: Sequence[Array]) -> Array:
        centre = solve(chief, thetas[lead], C).log_N
        if len(splitting) == 1:
            return centre[:, 0]
        at = centre + _GRID
        with np.errstate(all="ignore"):
            logs = sum(w * np.log(p.loss(thetas[i], at, C)) for i, w, p in splitting)
        return _lowest(at, np.asarray(logs))

    parts = [
        (w / total if p is not None else 0.0, alone(p))
        for (_, w), p in zip(used, problems, strict=True)
    ]
    return Quantity(f"N_opt at {budget:.3g} FLOPs", joint, parts, log=True)


def _lowest(at: Array, logs: Array) -> Array:
    """Minimum of each row by a parabola through the lowest point; NaN at an end."""
    logs = np.where(np.isfinite(logs), logs, np.inf)
    k = np.argmin(logs, axis=1)
    row = np.arange(len(logs))
    inside = (k > 0) & (k < logs.shape[1] - 1) & np.isfinite(logs[row, k])
    k = np.clip(k, 1, logs.shape[1] - 2)
    with np.errstate(all="ignore"):
        left, middle, right = logs[row, k - 1], logs[row, k], logs[row, k + 1]
        bend = left - 2 * middle + right
        step = np.where(bend > 0, 0.5 * (left - right) / bend, 0.0)
    return np.where(inside, at[row, k] + step * (_GRID[1] - _GRID[0]), np.nan)


def _problem(f: Fit, runs: Runs) -> Problem:
    extra = {a: float(runs[a].max()) for a in f.law.axes if a not in ("N", "D", "C") and a in runs}
    return make_problem(f.law, cost_of_runs(runs), extra, None)


def scales_at(laws: LawSet | Fit, runs: Runs, targets: Sequence[Target]) -> ScaleInfluence | None:
    """Leave out each scale: effect on forecasts, on N_opt at their compute, on the exponents.

    Parameters
    ----------
    targets
        Resources of each forecast with all axes that the laws need, and the loss forecast there,
        ``None`` for what the only law says.

    Returns
    -------
    ScaleInfluence or None
        ``None`` without draws, with few runs for the laws, or with more than 3,000.
    """
    lead = laws if isinstance(laws, Fit) else laws.best
    if len(runs) <= len(lead.law.names) + 2 or not len(lead.draws) or len(runs) > MOST_RUNS:
        return None
    axes = laws.law.axes if isinstance(laws, Fit) else laws.axes
    quantities: dict[str, Quantity] = {}
    for i, (at, loss) in enumerate(targets):
        scale = float(run_scale({a: np.array([v]) for a, v in at.items()}, axes)[0])
        suffix = f"_{i + 1}" if len(targets) > 1 else ""
        where = f"{scale:.3g} FLOPs" if _has_compute(axes) else f"{', '.join(axes)} = {scale:.3g}"
        title = f"the forecast at {where}"
        quantities[f"forecast{suffix}"] = forecast_of(laws, at, title, loss=loss)
        size = size_of(laws, runs, scale) if _has_compute(axes) else None
        if size is not None:
            quantities[f"N_opt{suffix}"] = size
    quantities |= parameters_of(laws, answer=not quantities)
    return scale_influence(laws, runs, quantities)


def _has_compute(axes: Sequence[str]) -> bool:
    return {"N", "D"} <= set(axes) or tuple(axes) == ("C",)


def target_of(f: Fit, runs: Runs, budget: float | None = None) -> Mapping[str, float]:
    """Find where the forecast of one law is compared: the best split of a budget, or its one axis.

    Parameters
    ----------
    budget
        Compute, or the resource of a law of one axis; ten times the largest run by default.
    """
    # Shares of a mixture sum to one, which their largest values would not.
    largest = {a: float(runs[a].mean() if is_share(a) else runs[a].max()) for a in f.law.axes}
    scale = 10 * float(run_scale(runs, f.law.axes).max()) if budget is None else budget
    if len(f.law.axes) == 1:
        return {f.law.axes[0]: scale}
    if not {"N", "D"} <= set(f.law.axes):
        return largest
    problem, C = _problem(f, runs), np.array([scale])
    log_N = solve(problem, f.theta[None], C).log_N[0]
    # Without an optimum the largest size stands in for it.
    size = np.exp(log_N) if np.isfinite(log_N).all() else np.array([largest["N"]])
    data = problem.cost.tokens(size, C)
    return (
        largest
        | {"N": float(size[0]), "D": float(np.asarray(data)[0])}
        | ({"C": scale} if "C" in f.law.axes else {})
    )


def groups_of(flagged: Mask | None, scales: ScaleInfluence | None) -> list[Group]:
    """List what decides the answer: the flagged runs together, and the suspect scale."""
    groups: list[Group] = []
    if flagged is not None and flagged.any():
        count = int(flagged.sum())
        groups.append((f"without the {count} flagged run{'s' if count > 1 else ''}", flagged))
    if scales is not None and scales.decisive is not None:
        groups.append((f"without {described(scales.decisive)}", scales.decisive.rows))
    return groups


def examine(
    laws: LawSet | Fit,
    runs: Runs,
    targets: Sequence[Target],
    flagged: Mask | None,
) -> dict[str, Any]:
    """Scales left out, and both answers where runs or a scale decide, in plain types."""
    scales = scales_at(laws, runs, targets)
    return {
        "scales": None if scales is None else scales.to_dict(),
        "side_by_side": both_answers(
            laws, runs, [at for at, _ in targets], groups_of(flagged, scales)
        ),
    }


def influence_section(
    runs: Runs, laws: LawSet, budget: float, targets: Sequence[Target]
) -> dict[str, Any] | None:
    """Effect of each run and of each scale on N_opt, the forecast and the exponents."""
    f = laws.best
    if len(runs) <= len(f.law.names) + 2 or not len(f.draws) or len(runs) > MOST_RUNS:
        return None
    quantities = quantities_of(f, runs, laws.axes, budget)
    found = influence(f.law, f.theta, f.draws, f.objective, runs, quantities, weights=f.weights)
    weighted = _each_run(runs, laws, targets)
    return {
        "sentence": found.sentence,
        "law": f.law.name,
        "rows": _rows(runs, f, found, weighted),
        "without_flagged": _without(f, found, quantities),
        "weighted_sentence": _weighted_sentence(runs, laws, weighted),
        **examine(laws, runs, targets, found.flagged),
    }


def _each_run(runs: Runs, laws: LawSet, targets: Sequence[Target]) -> tuple[Array, Array] | None:
    """Shift of the log of the weighted forecast without each run, also in standard errors."""
    if not targets or len(runs) > MOST_SINGLE:
        return None
    quantity = {"forecast": forecast_of(laws, targets[0][0], "the forecast")}
    found = measure(laws, runs, quantity, np.eye(len(runs), dtype=bool), search=False)
    shift = found.without["forecast"] - found.full["forecast"]
    return shift, found.shift("forecast")


def _weighted_sentence(
    runs: Runs, laws: LawSet, weighted: tuple[Array, Array] | None
) -> str | None:
    if weighted is None or not np.isfinite(weighted[1]).any():
        return None
    k = int(np.nanargmax(np.abs(weighted[1])))
    count = len(members(laws))
    held = f"Under all {count} laws with their weights held, the" if count > 1 else "The"
    return (
        f"{held} forecast moves most without {runs.names[k]}: by "
        f"{100 * np.expm1(weighted[0][k]):+.2g} %, {abs(weighted[1][k]):.1f} standard errors."
    )


def _rows(
    runs: Runs, f: Fit, found: Influence, weighted: tuple[Array, Array] | None
) -> list[dict[str, Any]]:
    exponents = [n for n in found.quantities if n not in ("N_opt", "loss", "E")]
    worst = np.max([np.abs(v) / found.scales[n] for n, v in found.quantities.items()], axis=0)
    size = found.quantities.get("N_opt")
    rows = []
    for i in np.argsort(-(worst + 1e3 * found.flagged), kind="stable"):
        main = max(exponents, key=lambda n: abs(found.quantities[n][i])) if exponents else None
        rows.append(
            {
                "name": runs.names[i],
                "row": runs.rows[i],
                **{a: float(runs[a][i]) for a in ("N", "D", "C") if a in runs},
                "loss": float(runs["loss"][i]),
                "residual": float(-f.residuals[i]),
                "N_opt_ratio": None if size is None else float(np.exp(size[i])),
                "loss_shift_percent": 100 * float(np.expm1(found.quantities["loss"][i])),
                "exponent_shift": None if main is None else float(found.quantities[main][i]),
                "forecast_shift_percent": (
                    None if weighted is None else 100 * float(np.expm1(weighted[0][i]))
                ),
                "standard_errors": float(worst[i]),
                "flagged": bool(found.flagged[i]),
            }
        )
    return rows[: max(MOST_ROWS, int(found.flagged.sum()))]


def _without(
    f: Fit, found: Influence, quantities: Mapping[str, Callable[[Array], Array]]
) -> dict[str, Any] | None:
    if found.without is None:
        return None
    theta = found.without[None]
    size = quantities.get("N_opt")
    return {
        "n_dropped": int(found.flagged.sum()),
        "N_opt": None if size is None else float(np.exp(size(theta)[0])),
        "L_opt": float(np.exp(quantities["loss"](theta)[0])),
        "parameters": dict(zip(f.law.names, found.without.tolist(), strict=True)),
    }
