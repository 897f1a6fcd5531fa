"""The sections of study.json: results of the rooms below, turned into plain tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import IsolossError
from isoloss.fit import LawSet, forecast
from isoloss.fit.backtest import run_scale
from isoloss.plan import compare_approaches
from isoloss.plan.design_places import cost_of_runs
from isoloss.plan.over_laws import LawSetPlan
from isoloss.runs import Runs
from isoloss.study.answers import fixed_axes

Mask = npt.NDArray[np.bool_]
CONTOUR_POINTS = 41


def axes_of(runs: Runs, laws: LawSet) -> dict[str, Array]:
    """Columns that the laws need."""
    return {a: runs[a] for a in laws.axes}


def input_section(runs: Runs, held: Mask) -> dict[str, Any]:
    """Say what was read, and what was refused."""
    c = runs.conventions
    return {
        "source": runs.source,
        "digest": runs.digest,
        "n_rows": len(runs),
        "n_held_out": int(held.sum()),
        "axes": [a for a in ("N", "D", "C", "U") if a in runs],
        "conventions": {
            "N": c.N,
            "D": c.D,
            "C": c.C,
            "loss": c.loss,
            "evaluation": c.evaluation,
        },
        "refused": [
            {"row": r.row, "name": r.name, "code": r.code, "reason": r.reason} for r in runs.refused
        ],
        "notes": [
            {"code": n.code, "severity": n.severity, "message": n.message} for n in runs.notes
        ],
    }


def left_out_section(runs: Runs, laws: LawSet) -> dict[str, Any]:
    """List the runs that no law explains and that the answer does without."""
    return {
        "sentence": laws.left_out_sentence,
        "rows": [
            {"row": runs.rows[i], "name": runs.names[i], "loss": float(runs["loss"][i])}
            for i in np.flatnonzero(laws.left_out)
        ],
    }


def runs_section(runs: Runs, held: Mask, laws: LawSet) -> dict[str, Any]:
    """List the runs, with the combined prediction."""
    nothing = [None] * len(runs)
    columns: dict[str, Any] = {
        a: (runs[a].tolist() if a in runs else nothing) for a in ("N", "D", "C")
    }
    if "C" not in runs:
        columns["C"] = run_scale(runs).tolist()
    return {
        "name": list(runs.names),
        **columns,
        "loss": runs["loss"].tolist(),
        "role": ["held_out" if h else "fit" for h in held],
        "predicted": laws.predict(axes_of(runs, laws)).tolist(),
    }


def laws_section(runs: Runs, laws: LawSet, held: Mask) -> list[dict[str, Any]]:
    """Each law with its parameters, certificate, weight and residuals."""
    rows = []
    for i, f in enumerate(laws.fits):
        row = f.to_dict() | {
            **laws.shares(i),
            # Measured over fitted, for the runs that were not held out.
            "residuals": (-f.residuals[~held]).tolist(),
            "note": f.law.description,
            "source": f.law.source,
        }
        row.pop("influence")
        rows.append(row)
    for name, reason in laws.dropped:
        rows.append({"law": name, "status": "failed", "weight": 0.0, "note": reason})
    return rows


def objectives_section(laws: LawSet) -> list[dict[str, Any]]:
    """Back-test error of every law and objective that was tried."""
    test = laws.backtest
    return [
        {
            "objective": objective,
            "law": law,
            "backtest_error": test.score(law, objective),
            "chosen": objective == laws.objective.name and law == laws.best.law.name,
        }
        for law, objective in test.predictions
    ]


def backtest_section(laws: LawSet) -> dict[str, Any]:
    """Cuts, scores, and what the whole procedure forecast from below each cut."""
    test, goal = laws.backtest, laws.objective.name
    points = [
        {
            "cut": step.cut,
            "C": float(test.scale[j]),
            "loss": float(test.loss[j]),
            "predicted": float(step.predicted[j]),
        }
        for step in laws.steps
        for j in np.flatnonzero(test.scale >= test.cuts[step.cut].scale)
    ]
    table = test.to_dict()
    chosen = [e for e in table["entries"] if e["objective"] == goal]
    return {
        "sentence": laws.sentence,
        "cuts": table["cuts"],
        "entries": chosen,
        "points": points,
        "discrepancy": laws.discrepancy,
        "split_discrepancy": laws.split_discrepancy,
        "error": laws.procedure_error,
        "reach": laws.procedure_reach,
        "steps": [s.to_dict([f.law.name for f in laws.fits]) for s in laws.steps],
    }


def held_out(runs: Runs, held: Mask, laws: LawSet) -> dict[str, Any]:
    """Forecasts of the runs that the laws were not shown."""
    rows: list[dict[str, Any]] = []
    for i in np.flatnonzero(held):
        at = {a: float(runs[a][i]) for a in (*laws.axes, "C") if a in runs}
        f = forecast(laws, at)
        loss = float(runs["loss"][i])
        rows.append(
            {
                "name": runs.names[i],
                **{a: float(runs[a][i]) for a in ("N", "D", "C") if a in runs},
                "loss": loss,
                "predicted": f.loss,
                "interval": f.interval.to_dict(),
                "inside": loss in f.interval,
                "error_percent": 100 * (f.loss / loss - 1),
                "reach": f.reach,
            }
        )
    inside = sum(r["inside"] for r in rows)
    errors = [abs(r["error_percent"]) for r in rows]
    far = max(r["reach"] for r in rows)
    sentence = (
        f"Shown only the smaller runs, the procedure put {inside} of {len(rows)} of the largest "
        f"inside its {100 * laws.level:g} % interval; it missed by {np.mean(errors):.2g} % on "
        f"average, {max(errors):.2g} % at worst, up to {far:.3g} times beyond what it had seen."
    )
    return {"sentence": sentence, "rows": rows}


def plan_section(
    runs: Runs, laws: LawSet, plan: LawSetPlan | None, budget: float
) -> dict[str, Any] | None:
    """Put the three classical approaches beside the plan."""
    if plan is None:
        return None
    section = plan.to_dict(0) | {"approaches": []}
    best = laws.best
    joint = best if {"N", "D"} == set(best.law.axes) else None
    if joint is not None and all(a in runs for a in ("N", "D", "C")):
        try:
            compared = compare_approaches(
                runs["N"],
                runs["D"],
                runs["C"],
                runs["loss"],
                joint,
                None,
                budget,
                cost=cost_of_runs(runs),
            )
            section["approaches"] = [a.to_dict() for a in compared.entries]
            section["warnings"] += [r.message for r in compared.reasons]
        except IsolossError as error:
            section["warnings"].append(str(error))
    return section


def contour(runs: Runs, laws: LawSet, plan: LawSetPlan | None) -> dict[str, Any] | None:
    """Loss over a grid of N and D, from the weighted laws."""
    if not {"N", "D"} <= set(laws.axes):
        return None
    N, D = runs["N"], runs["D"]
    most_N, most_D = float(N.max()), float(D.max())
    if plan is not None:
        most_N, most_D = max(most_N, float(plan.N_opt[0])), max(most_D, float(plan.D_opt[0]))
    sizes = np.exp(np.linspace(np.log(N.min() / 2), np.log(most_N * 3), CONTOUR_POINTS))
    data = np.exp(np.linspace(np.log(D.min() / 2), np.log(most_D * 3), CONTOUR_POINTS))
    mesh = np.meshgrid(sizes, data, indexing="ij")
    x = {"N": mesh[0].ravel(), "D": mesh[1].ravel()}
    if "C" in laws.axes:
        x["C"] = cost_of_runs(runs)(x["N"], x["D"])
    for axis, value in fixed_axes(runs, laws).items():
        x[axis] = np.full(x["N"].shape, value)
    loss = laws.predict(x).reshape(mesh[0].shape)
    return {"law": "weighted laws", "N": sizes, "D": data, "loss": loss.tolist()}


def headline(answers: Mapping[str, Any]) -> list[str]:
    """Put the answer in a few sentences."""
    lines = [
        f"Caution: several experiments may be taken as one here. {n['message'][0].upper()}"
        f"{n['message'][1:]}."
        for n in answers["input"]["notes"]
        if n["code"] == "MIXED_TEXT"
    ]
    if answers["forecasts"]:
        f = answers["forecasts"][0]
        i = f["interval"]
        where = ", ".join(f"{n} = {v:.3g}" for n, v in f["at"].items())
        lines.append(
            f"Expected loss {f['loss']:.4g}, {100 * i['level']:g} % interval {i['low']:.4g} to "
            f"{i['high']:.4g}, at {where}: {f['reach']:.3g} times the largest run."
        )
    if answers["plan"]:
        lines.append(answers["plan"]["sentence"])
    if answers["left_out"]["sentence"]:
        lines.append(answers["left_out"]["sentence"])
    lines.append(answers["held_out"]["sentence"])
    lines.append(answers["backtest"]["sentence"])
    weights = [law["weight"] for law in answers["laws"]]
    if sum(w > 0.1 * max(weights) for w in weights) > 1:
        lines.append(answers["telling_runs"]["sentence"])
    if answers["influence"]:
        lines.append(answers["influence"]["sentence"])
        if scales := answers["influence"]["scales"]:
            lines.append(scales["sentence"])
    return lines
