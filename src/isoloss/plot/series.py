"""The numbers behind each picture, as arrays: what the draw functions and the report show.

Every function takes the plain study (``json.load`` of ``study.json``) and returns fresh numpy
arrays. Points that cannot be placed (null, or not positive on a log axis) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.plot.access import mapping, number, records, sequence, text, vector
from isoloss.plot.contours import level_lines

Study = Mapping[str, Any]

_PATH_COLUMNS = (
    "C", "N_opt", "N_low", "N_high", "D_opt", "D_low", "D_high", "L_opt", "L_low", "L_high",
)  # fmt: skip


def runs_series(study: Study) -> dict[str, dict[str, Any]]:
    """Split the runs by role.

    Returns
    -------
    dict
        ``{"fit": columns, "held_out": columns}``; columns are ``name`` (list of str) and
        ``N``, ``D``, ``C``, ``loss``, ``predicted`` (arrays, NaN where absent).
    """
    runs = mapping(study.get("runs"))
    columns = {key: sequence(runs.get(key)) for key in ("name", "N", "D", "C", "loss")}
    size = max((len(column) for column in columns.values()), default=0)
    names = [text(v) for v in columns["name"]] + [""] * (size - len(columns["name"]))
    held = np.array([text(v) == "held_out" for v in sequence(runs.get("role"))][:size])
    held = np.concatenate([held, np.zeros(size - held.size)]).astype(bool)
    table = {key: vector(runs.get(key), size) for key in ("N", "D", "C", "loss", "predicted")}
    return {
        role: {"name": [n for n, keep in zip(names, mask, strict=True) if keep]}
        | {key: column[mask] for key, column in table.items()}
        for role, mask in (("fit", ~held), ("held_out", held))
    }


def path_series(study: Study) -> dict[str, Any]:
    """Return the compute-optimal path: its columns, sorted by C, plus ``level`` and ``method``."""
    path = mapping(study.get("path"))
    size = len(sequence(path.get("C")))
    columns = {key: vector(path.get(key), size) for key in _PATH_COLUMNS}
    keep = columns["C"] > 0
    order = np.argsort(columns["C"][keep], kind="stable")
    ordered: dict[str, Any] = {key: column[keep][order] for key, column in columns.items()}
    return ordered | {"level": number(path.get("level")), "method": text(path.get("method"))}


def isoloss_series(study: Study) -> dict[str, Any]:
    """Return contours of equal loss in the plane of N and D, the runs, the path and the optimum.

    Returns
    -------
    dict
        ``law``; ``contours``: list of ``{"level", "lines": [array (k, 2) of N, D]}``; ``fit``,
        ``held_out``: runs with N, D > 0; ``path``: see `path_series`; ``optimum``: N, D, loss, C;
        ``budget_line``: N, D of constant compute, empty unless C is proportional to N D.
    """
    contour = mapping(study.get("contour"))
    n, d = vector(contour.get("N")), vector(contour.get("D"))
    rows = sequence(contour.get("loss"))
    loss = np.array([vector(row, d.size) for row in rows]).reshape(len(rows), d.size)
    plan = mapping(study.get("plan"))
    optimum = {
        "N": number(plan.get("N_opt")),
        "D": number(plan.get("D_opt")),
        "loss": number(plan.get("L_opt")),
        "C": number(plan.get("budget")),
    }
    runs = {role: _placeable(part, "N", "D") for role, part in runs_series(study).items()}
    path = path_series(study)
    return {
        "law": text(contour.get("law")),
        "contours": _contours(n, d, loss),
        "path": path,
        "optimum": optimum,
        "budget_line": _budget_line(runs, path, optimum, n),
        **runs,
    }


def fan_series(study: Study) -> dict[str, Any]:
    """Return loss against compute: runs by role, the optimal frontier with its band, the target.

    Returns
    -------
    dict
        ``fit``, ``held_out``: runs with C, loss > 0; ``path``: see `path_series`; ``target``:
        ``C``, ``loss``, ``low``, ``high`` at the budget; ``largest``: compute of the largest run
        behind the forecast, the point from which its reach is counted.
    """
    plan = mapping(study.get("plan"))
    interval = mapping(mapping(plan.get("intervals")).get("L_opt"))
    return {
        **{role: _placeable(part, "C", "loss") for role, part in runs_series(study).items()},
        "path": path_series(study),
        "largest": _largest(study),
        "target": {
            "C": number(plan.get("budget")),
            "loss": number(plan.get("L_opt")),
            "low": number(interval.get("low")),
            "high": number(interval.get("high")),
        },
    }


def residuals_series(study: Study) -> dict[str, dict[str, Any]]:
    """Return measured over fitted loss, in percent, for each law; the default law comes first.

    A log residual r = log(measured / fitted) is shown as 100 (exp(r) - 1) percent.

    Returns
    -------
    dict
        law -> ``{"name", "C", "percent"}``.
    """
    fit = runs_series(study)["fit"]
    default = text(study.get("default_law"))
    laws = sorted(records(study.get("laws")), key=lambda law: text(law.get("law")) != default)
    result = {}
    for law in laws:
        residual = vector(law.get("residuals"), fit["C"].size)
        with np.errstate(over="ignore"):
            percent = 100 * np.expm1(residual)
        keep = np.isfinite(percent) & (fit["C"] > 0)
        if keep.any():
            result[text(law.get("law"))] = {
                "name": [n for n, ok in zip(fit["name"], keep, strict=True) if ok],
                "C": fit["C"][keep],
                "percent": percent[keep],
            }
    return result


def backtest_series(study: Study) -> dict[str, Any]:
    """Return forecasts of runs larger than those fitted, and the error by cut and law.

    Returns
    -------
    dict
        ``cut``, ``C``, ``loss``, ``predicted``: one entry per held-out point of the chosen
        combination; ``cuts``: list of ``{"C_cut", "n_train", "n_test", "reach"}``; ``errors``:
        list of ``{"law", "objective", "cut", "C_cut", "percent"}``, the chosen objective only.
    """
    back = mapping(study.get("backtest"))
    points = records(back.get("points"))
    names = ("cut", "C", "loss", "predicted")
    columns = {key: vector([p.get(key) for p in points]) for key in names}
    keep = (columns["loss"] > 0) & (columns["predicted"] > 0)
    cuts = [{key: number(cut.get(key)) for key in ("C_cut", "n_train", "n_test", "reach")}
            for cut in records(back.get("cuts"))]  # fmt: skip
    return {
        **{key: column[keep] for key, column in columns.items()},
        "cuts": cuts,
        "errors": _backtest_errors(study, records(back.get("entries")), cuts),
    }


def influence_series(study: Study, *, top: int = 12) -> dict[str, Any]:
    """Return the runs whose removal moves N* most: names, N* ratios, loss shifts, flags."""
    rows = [
        row
        for row in records(mapping(study.get("influence")).get("rows"))
        if number(row.get("N_opt_ratio")) > 0
    ]
    rows.sort(key=lambda row: -abs(np.log(number(row.get("N_opt_ratio")))))
    rows = rows[:top]
    return {
        "name": [text(row.get("name")) for row in rows],
        "N_opt_ratio": vector([row.get("N_opt_ratio") for row in rows]),
        "loss_shift_percent": vector([row.get("loss_shift_percent") for row in rows]),
        "flagged": np.array([row.get("flagged") is True for row in rows], dtype=bool),
    }


def weights_series(study: Study) -> dict[str, Any]:
    """Return laws and their weights, the heaviest first; laws without a weight are left out."""
    pairs = [(text(w.get("law")), number(w.get("weight"))) for w in records(study.get("laws"))]
    pairs = sorted((p for p in pairs if p[1] >= 0), key=lambda p: -p[1])
    return {"law": [law for law, _ in pairs], "weight": np.array([w for _, w in pairs])}


def forecast_series(study: Study, index: int = 0) -> dict[str, Any]:
    """Return one forecast, law by law, with the combined answer.

    Returns
    -------
    dict
        ``law``, ``weight``, ``loss``, ``low``, ``high``: per law; ``combined``: ``loss``,
        ``low``, ``high``, ``new_low``, ``new_high``, ``level``; ``C`` and ``reach``.
    """
    forecasts = records(study.get("forecasts"))
    forecast = forecasts[index] if index < len(forecasts) else {}
    laws = [law for law in records(forecast.get("laws")) if np.isfinite(number(law.get("loss")))]
    mean, new = mapping(forecast.get("interval")), mapping(forecast.get("new_run"))
    return {
        "law": [text(law.get("law")) for law in laws],
        **{k: vector([law.get(k) for law in laws]) for k in ("weight", "loss", "low", "high")},
        "combined": {
            "loss": number(forecast.get("loss")),
            "low": number(mean.get("low")),
            "high": number(mean.get("high")),
            "new_low": number(new.get("low")),
            "new_high": number(new.get("high")),
            "level": number(mean.get("level")),
        },
        "C": number(forecast.get("C")),
        "reach": number(forecast.get("reach")),
    }


def price_series(study: Study) -> dict[str, Any]:
    """Return what a model of the wrong size costs: excess loss (%) against N / N*."""
    rows = records(mapping(study.get("plan")).get("price"))
    columns = {
        key: vector([row.get(key) for row in rows])
        for key in ("N_ratio", "N", "loss", "excess_percent", "deadweight_percent")
    }
    keep = (columns["N_ratio"] > 0) & np.isfinite(columns["excess_percent"])
    order = np.argsort(columns["N_ratio"][keep], kind="stable")
    return {key: column[keep][order] for key, column in columns.items()}


def _largest(study: Study) -> float:
    """Return C / reach of the forecast, so that every reach in a report has one meaning."""
    forecast = forecast_series(study)
    if forecast["reach"] > 0 and forecast["C"] > 0:
        return number(float(forecast["C"]) / float(forecast["reach"]))
    fitted = runs_series(study)["fit"]["C"]
    return float(np.max(fitted[fitted > 0], initial=0.0)) or float("nan")


def _placeable(part: dict[str, Any], x: str, y: str) -> dict[str, Any]:
    keep = (part[x] > 0) & (part[y] > 0)
    return {
        key: [v for v, ok in zip(column, keep, strict=True) if ok]
        if isinstance(column, list)
        else column[keep]
        for key, column in part.items()
    }


def _contours(n: Array, d: Array, loss: Array) -> list[dict[str, Any]]:
    usable = loss.shape == (n.size, d.size) and min(loss.shape) >= 2
    if not usable or not (np.all(n > 0) and np.all(d > 0)):
        return []
    x, y = np.log10(n), np.log10(d)
    if not (np.all(np.diff(x) > 0) and np.all(np.diff(y) > 0)):
        return []
    traced = []
    for level in _levels(loss):
        lines = [10**line for line in level_lines(x, y, loss, level)]
        if lines:
            traced.append({"level": level, "lines": lines})
    return traced


def _levels(loss: Array, count: int = 9) -> list[float]:
    """Round levels, evenly spread along the diagonal of the grid, hence even on the page."""
    share = np.linspace(0, 1, count + 2)[1:-1]
    i = np.rint(share * (loss.shape[0] - 1)).astype(int)
    j = np.rint(share * (loss.shape[1] - 1)).astype(int)
    values = loss[i, j]
    return sorted({float(f"{v:.3g}") for v in values[np.isfinite(values)].tolist()})


def _budget_line(
    runs: dict[str, dict[str, Any]], path: dict[str, Any], optimum: dict[str, float], n: Array
) -> dict[str, Array]:
    empty = {"N": np.zeros(0), "D": np.zeros(0)}
    area = optimum["N"] * optimum["D"]
    unit = optimum["C"] / area if area > 0 else np.nan
    if not unit > 0 or n.size < 2:
        return empty
    with np.errstate(all="ignore"):
        units = np.concatenate(
            [part["C"] / (part["N"] * part["D"]) for part in runs.values()]
            + [path["C"] / (path["N_opt"] * path["D_opt"])]
        )
    units = units[np.isfinite(units)]
    if np.any(np.abs(units / unit - 1) > 0.02):
        return empty
    span = np.array([n[0], n[-1]])
    return {"N": span, "D": optimum["C"] / unit / span}


def _backtest_errors(
    study: Study, entries: list[Mapping[str, Any]], cuts: list[dict[str, float]]
) -> list[dict[str, Any]]:
    chosen = {text(o.get("objective")) for o in records(study.get("objectives")) if o.get("chosen")}
    rows = []
    for entry in entries:
        cut, error = number(entry.get("cut")), number(entry.get("error"))
        objective = text(entry.get("objective"))
        inside = np.isfinite(cut) and 0 <= cut < len(cuts)
        if not inside or not np.isfinite(error) or (chosen and objective not in chosen):
            continue
        rows.append(
            {
                "law": text(entry.get("law")),
                "objective": objective,
                "cut": int(cut),
                "C_cut": cuts[int(cut)]["C_cut"],
                "percent": 100 * error,
            }
        )
    return rows
