"""A complete study from a synthetic Chinchilla law, and hostile variants of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np

E0, A, B, ALPHA, BETA = 1.82, 482.0, 2085.4, 0.3478, 0.3658
LEVEL = 0.9
HOSTILE = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(2)">',
    "</script><script>alert(3)</script>",
    "a\u2028b\u2029c & d",
    "'\"><svg/onload=alert(4)>",
    "]]>--><!--",
    "=HYPERLINK(1)|`x`*y*_z_$w$\\input{q}%#~^",
    "\u202egnp.exe\x00\x1b[31m\ud800",
)


def loss(n: Any, d: Any) -> Any:
    """Chinchilla's law with the constants above."""
    return E0 + A * np.asarray(n) ** -ALPHA + B * np.asarray(d) ** -BETA


def n_opt(c: Any) -> Any:
    """Compute-optimal N under C = 6 N D."""
    g = (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA))
    return g * (np.asarray(c) / 6) ** (BETA / (ALPHA + BETA))


def interval(low: float, high: float, method: str = "case bootstrap, 400 draws") -> dict[str, Any]:
    return {"low": float(low), "high": float(high), "level": LEVEL, "method": method}


def example_study(n_runs: int = 60, n_held_out: int = 3, *, seed: int = 5) -> dict[str, Any]:
    """Build a study with every key of the schema filled in."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log(4.4e7), np.log(2.8e9), n_runs))
    data = size * np.exp(rng.uniform(np.log(4), np.log(90), n_runs))
    held_n = np.array([2.1e9, 4.0e9, 6.7e9, 9e9, 1.2e10])[:n_held_out]
    held_d = held_n * np.array([60.0, 35.0, 28.0, 25.0, 22.0])[:n_held_out]
    n, d = np.concatenate([size, held_n]), np.concatenate([data, held_d])
    c, clean = 6 * n * d, loss(n, d)
    measured = clean * np.exp(0.004 * rng.standard_normal(n.size))
    if n_runs > 7:
        measured[7] *= 1.021
    names = [f"sweep-{v / 1e6:.0f}M-{t / 1e9:.1f}B" for v, t in zip(n, d, strict=True)]
    role = ["fit"] * n_runs + ["held_out"] * n_held_out
    residual = np.log(measured / clean)
    study = {
        "schema": 1,
        "isoloss": "0.1.0",
        "title": "runs.csv",
        "command": "isoloss study runs.csv --budget 1e22",
        "headline": [
            "At 1e22 FLOPs the best loss is 2.144 nats per token (90 %: 2.128 to 2.160).",
            "Train about 9.0B parameters on 184B tokens: 20 tokens per parameter.",
            "Any size from 3.8B to 21B costs less than 1 % of excess loss.",
            "All 3 runs that the procedure never saw fell inside their 90 % interval.",
        ],
        "input": {
            "source": "runs.csv",
            "digest": "9f2c1ab34d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8",
            "n_rows": n_runs + n_held_out + 1,
            "n_held_out": n_held_out,
            "axes": ["N", "D"],
            "conventions": {"N": "total parameters", "D": "tokens seen", "C": "6 N D",
                            "loss": "nats per token"},
            "refused": [{"row": 17, "name": "run-x", "code": "NEGATIVE_LOSS",
                         "reason": "loss = -1: must be positive"}],
            "notes": [{"code": "REPLICATES", "severity": "info",
                       "message": "2 runs share N and D; kept as separate seeds."},
                      {"code": "NARROW_RATIO", "severity": "warning",
                       "message": "Tokens per parameter span only 4 to 90."}],
        },
        "runs": {"name": names, "N": n, "D": d, "C": c, "loss": measured, "role": role,
                 "predicted": clean},
        "default_law": "chinchilla",
        "laws": _laws(residual[:n_runs], n_runs),
        "objectives": [
            {"objective": "huber:0.001", "law": "chinchilla", "backtest_error": 0.0041,
             "chosen": True},
            {"objective": "squares", "law": "chinchilla", "backtest_error": 0.0068,
             "chosen": False},
        ],
        "backtest": _backtest(rng, c[:n_runs], measured[:n_runs]),
        "held_out": _held_out(names, n, d, c, measured, clean, n_runs),
        "influence": _influence(names, n, d, measured, residual, n_runs) | _scales(),
        "telling_runs": _telling(),
        "regimes": _regimes(names, n, d),
        **_answers(1e22, float(np.max(c[:n_runs])) if n_runs else 1e20),
        **_judgement(),
    }  # fmt: skip
    plain: dict[str, Any] = json.loads(json.dumps(study, default=_plain))
    return plain


def variants() -> dict[str, Callable[[], dict[str, Any]]]:
    """Named builders of studies that a renderer must survive."""
    return {
        "complete": example_study,
        "hostile": hostile_study,
        "minimal": lambda: {"schema": 1, "isoloss": "0.1.0", "title": "t", "input": {}, "runs": {}},
        "null_leaves": lambda: _mapped(example_study(), lambda _: None),
        "null_keys": lambda: dict.fromkeys(example_study()) | {"schema": 1},
        "empty_lists": lambda: _emptied(example_study()),
        "wrong_types": lambda: dict.fromkeys(example_study(), "text") | {"schema": 1},
        "wrong_leaves": lambda: (
            _mapped(example_study(), lambda v: [1] if isinstance(v, str) else "x") | {"schema": 1}
        ),
        "not_finite": lambda: _mapped(
            example_study(), lambda v: float("inf") if isinstance(v, float) else v
        ),
        "zeros": lambda: _mapped(example_study(), lambda v: 0.0 if isinstance(v, float) else v),
        "negative": lambda: _mapped(example_study(), lambda v: -v if isinstance(v, float) else v),
        "extreme": lambda: _mapped(example_study(), lambda v: 1e300 if isinstance(v, float) else v),
        "tiny": lambda: _mapped(example_study(), lambda v: 1e-300 if isinstance(v, float) else v),
        "one_run": lambda: example_study(1, 0),
        "two_thousand_runs": lambda: example_study(2000, 5),
    }


def hostile_study() -> dict[str, Any]:
    """Put markup, separators, controls and a lone surrogate into every text of the study."""
    count = 0

    def poison(value: Any) -> Any:
        nonlocal count
        if not isinstance(value, str) or value in {"fit", "held_out", "ok", "yes", "high"}:
            return value
        count += 1
        return HOSTILE[count % len(HOSTILE)] + value

    study: dict[str, Any] = _mapped(example_study(), poison)
    study["laws"][0]["parameters"] = {HOSTILE[0]: 1.0, HOSTILE[1]: 2.0}
    study["input"]["conventions"][HOSTILE[2]] = HOSTILE[1]
    return study


def _laws(residual: Any, n_runs: int) -> list[dict[str, Any]]:
    certificate = {"scaled_gradient": 3.1e-12, "edm": 1.2e-15, "condition": 2.4e3,
                   "min_eigenvalue": 1.3e-2, "n_starts": 8, "n_agree": 7,
                   "second_engine_gap": 2.1e-10, "derivative_error": 4.0e-12,
                   "at_bound": []}  # fmt: skip
    sets = [
        ("chinchilla", "E + A*N**-alpha + B*D**-beta",
         {"E": E0, "A": A, "B": B, "alpha": ALPHA, "beta": BETA}, 0.71, "ok", [], 1.0),
        ("chinchilla_tied", "E + (A/N**alpha + B/D**alpha)**gamma",
         {"E": 1.86, "A": 611.2, "B": 1720.0, "alpha": 0.351, "gamma": 1.02}, 0.26, "suspect",
         [{"code": "FLAT", "message": "gamma is barely identified by these runs."}], 1.1),
        ("kaplan", "((Nc/N)**(aN/aD) + Dc/D)**aD",
         {"Nc": 8.8e13, "Dc": 5.4e13, "aN": 0.076, "aD": 0.095}, 0.03, "ok", [], 2.2),
    ]  # fmt: skip
    return [
        {
            "law": law, "formula": formula, "parameters": theta,
            "intervals": {k: interval(v * 0.93, v * 1.08) for k, v in theta.items()},
            "objective": {"name": "huber:0.001", "value": 1.0e-3 * k},
            "status": status, "reasons": reasons,
            "certificate": certificate | {"n_agree": 7 - i},
            "weight": weight, "weight_by_extrapolation": weight, "weight_by_fit": weight,
            "emphasis": 0.5 * i, "backtest_error": 0.0041 * k, "rms_residual": 0.004 * k,
            "residuals": (k * residual + 0.004 * i * np.linspace(-1, 1, n_runs)).tolist(),
            "n_rows": n_runs, "note": "weight from back-test error",
        }
        for i, (law, formula, theta, weight, status, reasons, k) in enumerate(sets)
    ]  # fmt: skip


def _backtest(rng: Any, c: Any, measured: Any) -> dict[str, Any]:
    cuts, entries, points = [], [], []
    for i, q in enumerate((0.45, 0.6, 0.75)):
        limit = float(np.quantile(c, q)) if c.size else 1e20
        larger = np.flatnonzero(c > limit)
        cuts.append(
            {
                "C_cut": limit,
                "n_train": int(c.size - larger.size),
                "n_test": int(larger.size),
                "reach": float(np.max(c, initial=1) / limit),
            }
        )
        for k, law in enumerate(("chinchilla", "chinchilla_tied", "kaplan")):
            for m, objective in enumerate(("huber:0.001", "squares")):
                entries.append(
                    {
                        "law": law,
                        "objective": objective,
                        "cut": i,
                        "error": (0.009 - 0.0022 * i) * (1 + 0.5 * k + 0.3 * m),
                        "bias": 0.002 * (1 - k),
                    }
                )
        points += [{"cut": i, "C": c[j], "loss": measured[j],
                    "predicted": measured[j] * np.exp(0.008 * rng.standard_normal())}
                   for j in larger]  # fmt: skip
    return {"sentence": "Fitted below each cut, the chosen law forecast the larger runs within "
                        "0.9 %, 0.7 % and 0.5 % (root mean square).",
            "cuts": cuts, "entries": entries, "points": points}  # fmt: skip


def _held_out(
    names: Any, n: Any, d: Any, c: Any, measured: Any, clean: Any, first: int
) -> dict[str, Any]:
    rows = [
        {"name": names[i], "N": n[i], "D": d[i], "C": c[i], "loss": measured[i],
         "predicted": clean[i],
         "interval": interval(clean[i] * 0.988, clean[i] * 1.012, "new run: draws plus noise"),
         "inside": bool(abs(np.log(measured[i] / clean[i])) < 0.012),
         "error_percent": 100 * float(measured[i] / clean[i] - 1), "reach": 2.0 + i - first}
        for i in range(first, len(names))
    ]  # fmt: skip
    inside = sum(row["inside"] for row in rows)
    return {"sentence": f"{inside} of {len(rows)} inside their 90 % interval.", "rows": rows}


def _influence(
    names: Any, n: Any, d: Any, measured: Any, residual: Any, n_runs: int
) -> dict[str, Any]:
    rows = [
        {"name": names[i], "N": n[i], "D": d[i], "loss": measured[i], "residual": residual[i],
         "N_opt_ratio": float(np.exp(9 * residual[i])), "loss_shift_percent": -40 * residual[i],
         "exponent_shift": 0.5 * residual[i], "flagged": i == 7}
        for i in range(n_runs)
    ]  # fmt: skip
    rows.sort(key=lambda r: -abs(np.log(r["N_opt_ratio"])))
    return {"sentence": "One run moves N* by more than 15 %.", "rows": rows[:20],
            "without_flagged": {"n_dropped": 1, "N_opt": 6.1e9, "L_opt": 2.157,
                                "parameters": {"E": 1.83, "alpha": 0.35}}}  # fmt: skip


def _scales() -> dict[str, Any]:
    """Leave out four budgets, of which the last decides, and one size that cannot be spared."""
    full = {"forecast": 2.144, "N_opt": 9.0e9, "E": E0, "alpha": ALPHA}
    levels = [
        {"name": f"C = {c:.3g}", "axis": "C", "low": c, "high": c, "n_runs": 12, "band": False,
         "extreme": "largest" if k == 3 else "", "reason": None, "decides": k >= 2,
         "disagrees": k == 3, "disagreement": 4.0 if k >= 2 else None,
         "without": {n: v * (1 - 0.02 * (k == 3)) for n, v in full.items()},
         "standard_errors": dict.fromkeys(full, -4.2 if k == 3 else 0.3 * k)}
        for k, c in enumerate((1e18, 1e19, 1e20, 1e21))
    ] + [
        {"name": "N = 4e+07", "axis": "N", "low": 4e7, "high": 4e7, "n_runs": 50, "band": False,
         "extreme": "smallest", "reason": "N is the same in all runs", "decides": False,
         "disagrees": False, "disagreement": None,
         "without": dict.fromkeys(full), "standard_errors": dict.fromkeys(full)}
    ]  # fmt: skip
    answers = [
        {"answer": name, "n_left_out": out, "reason": None, "law": "chinchilla",
         "parameters": {"E": e, "alpha": 0.35},
         "parameter_intervals": {"E": interval(e - 0.05, e + 0.05),
                                 "alpha": interval(0.33, 0.37)},
         "forecasts": [{"at": {"N": 9e9, "D": 1.84e11, "C": 1e22}, "loss": e + 0.3,
                        "interval": interval(e + 0.27, e + 0.34), "N_opt": 9e9,
                        "N_opt_interval": interval(7e9, 1.2e10)}]}
        for name, out, e in (("all runs", 0, 1.82), ("without the flagged run", 1, 1.83),
                             ("without the largest budget (C = 1e+21, 12 runs)", 12, 1.76))
    ] + [{"answer": "without the smallest N", "n_left_out": 50,
          "reason": "N is the same in all runs"}]  # fmt: skip
    return {
        "weighted_sentence": "Under all 3 laws with their weights held, the forecast moves most "
                             "without sweep-7: by -0.2 %, 0.9 standard errors.",
        "scales": {"sentence": "Without the largest budget the forecast moves from 2.144 to 2.101.",
                   "weights_held": {"chinchilla": 0.71, "chinchilla_tied": 0.26, "kaplan": 0.03},
                   "full": full, "levels": levels},
        "side_by_side": answers,
    }  # fmt: skip


def _telling() -> dict[str, Any]:
    def run(n: float, d: float, power: float, seeds: int | None) -> dict[str, Any]:
        rivals = (("chinchilla", 0.71), ("chinchilla_tied", 0.26))
        return {
            "at": {"N": n, "D": d}, "cost": 6 * n * d, "score": 7.0, "score_per_cost": 1e-20,
            "laws": [{"law": law, "weight": w, "loss": 2.4 - 0.1 * w,
                      "interval": interval(2.2, 2.6)} for law, w in rivals],
            "contrasts": [{"laws": ["chinchilla", "chinchilla_tied"], "difference_percent": -2.0,
                           "discrimination": 7.0, "power": power, "seeds": seeds}],
        }  # fmt: skip

    near, far = run(2.5e7, 4e10, 0.41, None), run(3e7, 4e11, 0.9991, 1)
    shared = {
        "unit": "FLOPs",
        "n_candidates": 900,
        "limits": "N from 1e7 to 1e10, D/N from 1 to 80",
    }
    return {
        "sentence": "One run at N = 3e+07, D = 4e+11 would tell chinchilla from chinchilla_tied.",
        "pairs": [["chinchilla", "chinchilla_tied"]],
        "noise": 0.004, "level": 0.05, "goal": 0.8,
        "searches": [
            {"most_cost": 1e21, "best": near, "thrifty": None, "by_pair": [near], **shared},
            {"most_cost": 1e22, "best": far, "thrifty": far, "by_pair": [far], **shared},
        ],
    }  # fmt: skip


def _regimes(names: list[str], n: Any, d: Any) -> dict[str, Any]:
    """Regimes as the constants above give them."""
    of_size, of_data = A * n**-ALPHA, B * d**-BETA
    words = [
        ("variance", "resolution") if y < 0.1 * x else
        ("resolution", "variance") if x < 0.1 * y else ("mixed", "mixed")
        for x, y in zip(of_size, of_data, strict=True)
    ]  # fmt: skip
    both = of_size + of_data
    rows = [
        {"name": name, "data": word[0], "size": word[1], "data_share": 0.93, "size_share": 0.93,
         "exponent_N": ALPHA * x / z, "exponent_D": BETA * y / z}
        for name, word, x, y, z in zip(names, words, of_size, of_data, both, strict=True)
    ]  # fmt: skip
    return {
        "law": "chinchilla", "weight": 0.71, "floor": E0, "tolerance": 0.1, "rows": rows,
        "sentence": "Limited by size: 3 of 63 runs; by data: 0; by both: 60.",
    }  # fmt: skip


def _answers(budget: float, largest: float) -> dict[str, Any]:
    best_n = float(n_opt(budget))
    best_d = budget / 6 / best_n
    best = float(loss(best_n, best_d))
    c = np.geomspace(1e17, 1e24, 60)
    path_n = n_opt(c)
    path_d = c / 6 / path_n
    path_l = loss(path_n, path_d)
    spread = 0.02 + 0.035 * np.abs(np.log10(c / 3e19))
    wide = 0.02 + 0.035 * abs(np.log10(budget / 3e19))
    ends = {
        "N_opt": interval(best_n * np.exp(-2 * wide), best_n * np.exp(2 * wide)),
        "D_opt": interval(best_d * np.exp(-2 * wide), best_d * np.exp(2 * wide)),
        "L_opt": interval(best * np.exp(-0.07 * wide), best * np.exp(0.07 * wide)),
    }
    gn, gd = np.geomspace(2e7, 5e10, 32), np.geomspace(1e8, 3e12, 32)
    laws = [{"law": law, "weight": w, "loss": best * (1 + s), "low": best * (1 + s - 0.006),
             "high": best * (1 + s + 0.006)}
            for law, w, s in (("chinchilla", 0.71, 0.0), ("chinchilla_tied", 0.26, 0.004),
                              ("kaplan", 0.03, -0.021))]  # fmt: skip
    ratios = np.array([0.125, 0.25, 0.5, 0.707, 1, 1.414, 2, 4, 8])
    costs = loss(best_n * ratios, best_d / ratios)
    return {
        "forecasts": [{"at": {"N": best_n, "D": best_d}, "C": budget, "loss": best,
                       "interval": ends["L_opt"],
                       "new_run": interval(best * 0.987, best * 1.012, "law set plus seed noise"),
                       "reach": budget / largest, "laws": laws,
                       "sentence": f"Loss {best:.3f} at 1e22 FLOPs."}],
        "plan": {
            "budget": budget, "N_opt": best_n, "D_opt": best_d, "L_opt": best,
            "intervals": ends,
            "near_optimal": {"tolerance_percent": 1.0, "N_low": best_n * 0.42,
                             "N_high": best_n * 2.3, "compute_price_percent": 5.0},
            "price": [{"N_ratio": r, "N": best_n * r, "loss": v,
                       "excess_percent": 100 * (v / best - 1),
                       "deadweight_percent": 500 * (v / best - 1)}
                      for r, v in zip(ratios, costs, strict=True)],
            "laws": [{"law": law["law"], "weight": law["weight"], "N_opt": best_n * k,
                      "D_opt": best_d / k, "L_opt": law["loss"]}
                     for law, k in zip(laws, (1.0, 1.12, 1.9), strict=True)],
            "approaches": [
                {"approach": "1 envelope", "exponent_N": 0.53, "N_opt": best_n * 1.2,
                 "note": "no training curves in the input; last points only"},
                {"approach": "2 isoFLOP", "exponent_N": 0.51, "N_opt": best_n * 0.9, "note": ""},
                {"approach": "3 surface", "exponent_N": 0.513, "N_opt": best_n,
                 "note": "used for the answer"}],
            "warnings": ["N* lies 3.2 times above the largest fitted model."],
            "sentence": "Train 9.0B parameters on 184B tokens.",
        },
        "path": {"C": c, "N_opt": path_n, "N_low": path_n * np.exp(-2 * spread),
                 "N_high": path_n * np.exp(2 * spread), "D_opt": path_d,
                 "D_low": path_d * np.exp(-2 * spread), "D_high": path_d * np.exp(2 * spread),
                 "L_opt": path_l, "L_low": path_l * np.exp(-0.07 * spread),
                 "L_high": path_l * np.exp(0.07 * spread), "level": LEVEL,
                 "method": "law set, 400 draws"},
        "contour": {"law": "chinchilla", "N": gn, "D": gd, "loss": loss(gn[:, None], gd)},
    }  # fmt: skip


def _judgement() -> dict[str, Any]:
    return {
        "distrust": [
            {"severity": "high", "code": "FAR", "remedy": "Add one run near 1e21 FLOPs.",
             "message": "The budget is 5 times the compute of the largest fitted run."},
            {"severity": "medium", "code": "LAW_SPREAD", "remedy": "See the forecast by law.",
             "message": "The laws differ by 2.5 % at the budget."},
            {"severity": "low", "code": "INFLUENCE", "remedy": "Check the log of that run.",
             "message": "Dropping one run moves N* by more than 15 %."}],
        "checklist": [
            {"item": "Form of the law stated", "answer": "three rival laws", "state": "yes"},
            {"item": "Learning rate tuned at each size", "answer": "not recorded in the input",
             "state": "unknown"},
            {"item": "Seeds repeated", "answer": "2 of 60 runs", "state": "partly"},
            {"item": "Final, annealed losses only", "answer": "no schedule column", "state": "no"}],
    }  # fmt: skip


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {k: v if k == "schema" else _mapped(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [_mapped(v, change) for v in value]
    return change(value)


def _emptied(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _emptied(v) for k, v in copy.deepcopy(value).items()}
    return [] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
