"""Truths and designs shared by the tests: every law of the catalogue with runs that identify it."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoloss.laws import Law, get_law
from isoloss.runs import Runs

CHINCHILLA = {"E": 1.8172, "A": 477.8, "B": 2143.0, "alpha": 0.3473, "beta": 0.3672}

JOINT: dict[str, dict[str, float]] = {
    "chinchilla": CHINCHILLA,
    "coupled": CHINCHILLA | {"k": 1.5},
    "additive": {"A": 60.0, "B": 300.0, "alpha": 0.20, "beta": 0.26},
    "kaplan": {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
    "farseer": {
        "s": -1.3,
        "q": 0.05,
        "S": 3.6,
        "b": 0.9,
        "r": 0.06,
        "Q": 2.5,
        "a": -0.1,
        "p": 0.1,
        "P": -0.6,
    },
    "over_training": {"E": 1.84, "a": 212.0, "b": 367.0, "eta": 0.136},
    "random_features": {"E": 1.6, "A": 420.0, "alpha": 0.33, "rho": 15.0},
    "random_features_finite": {
        "E": 1.6,
        "A": 420.0,
        "alpha": 0.33,
        "rho": 15.0,
        "M": 2e10,
        "noise": 0.4,
    },
    "gradient_flow": {"E": 1.6, "A": 900.0, "B": 2000.0, "b": 1.3, "beta": 0.33},
    "gradient_flow_width": {"E": 1.6, "A": 900.0, "B": 2000.0, "b": 2.4, "beta": 0.33},
    "gradient_flow_any": {"E": 1.6, "A": 900.0, "B": 2000.0, "b": 1.9, "beta": 0.33, "g": 0.6},
    "gradient_flow_unique": {
        "E": 1.6,
        "A": 900.0,
        "B": 2000.0,
        "b": 1.3,
        "beta": 0.33,
        "rho": 0.5,
    },
    "gradient_flow_unique_width": {
        "E": 1.6,
        "A": 900.0,
        "B": 2000.0,
        "b": 2.4,
        "beta": 0.33,
        "rho": 3e4,
    },
    "scale_time": {"E": 0.1, "S2": 1.5, "noise": 0.4, "M": 3e9, "rate": 1e-11},
    "perceptron": {"E": 0.05, "A": 0.9, "M": 2e9},
    "pruned_perceptron": {"E": 0.05, "A": 0.9, "M": 2e9, "theta": 0.35},
    "pruned_perceptron_easy": {"E": 0.05, "A": 0.9, "M": 1e10, "theta": 0.35},
    "information": {"E": 1.5, "A": 1.2e7, "B": 2e8, "M": 1e8, "w": 60.0},
    "repetition": CHINCHILLA | {"R_D": 15.39},
    "repetition_joint": CHINCHILLA | {"R_D": 15.39, "R_N": 5.31},
    "kaplan_steps": {"Nc": 6.5e13, "Sc": 2.1e3, "alpha_N": 0.077, "alpha_S": 0.76},
    "routing": {"a": 0.08, "b": 0.11, "c": 0.009, "d": 1.1, "E_start": 1.9, "E_max": 320.0},
    "granularity": CHINCHILLA | {"g": 60.0, "gamma": 0.58},
    "sparsity": {
        "E": 1.4,
        "A": 480.0,
        "B": 2100.0,
        "alpha": 0.35,
        "beta": 0.37,
        "c": 0.3,
        "lam": 0.5,
        "d": 20.0,
        "delta": 0.9,
        "gamma": 0.2,
    },
    "precision": CHINCHILLA | {"gamma": 2.7},
    "precision_post": CHINCHILLA | {"C_T": 2.0, "p": 0.4, "q": 0.35, "gamma": 1.6},
    "vocabulary": CHINCHILLA | {"V": 30.0, "nu": 0.25},
    "parallel": {"E": 1.3, "A": 2e8, "alpha": 0.2, "k": 0.33},
    "mixture_2": {"E": 1.9, "t1": 0.3, "t2": -1.2},
    "mixture_3": {"E": 1.9, "t1": 0.3, "t2": -1.2, "t3": 0.7},
    "mixture_additive_2": CHINCHILLA | {"C1": 2.0, "g1": 0.6, "C2": 1.1, "g2": 0.9},
    "pruned_family": {"e_up": 0.9, "gamma": 1.2, "p": 0.05, "phi": 1.3, "psi": 0.8},
}
CURVES: dict[str, dict[str, float]] = {
    "power": {"A": 40.0, "alpha": 0.12},
    "power_floor": {"E": 1.7, "A": 400.0, "alpha": 0.3},
    "shifted_power": {"A": 300.0, "gamma": 3e-10, "c": 0.25},
    "sigmoid_power": {"E": 0.5, "H": 6.0, "K": 3000.0, "c": 0.42, "a": 0.7},
    "pruned_network": {"e_np": 0.08, "e_up": 0.9, "gamma": 1.2, "p": 3e8},
    "bounded_score": {"d": 0.9, "b": 2e-3, "c": 2e-10, "a": 0.25},
    "growth": {"A": 0.02, "alpha": 0.2},
    "rectified": {"E": 1.0, "B": 3e5, "D_l": 6e4, "beta": 0.6},
    "reward_sigmoid": {"R0": 0.2, "A": 0.7, "C_mid": 1e9, "B": 0.6},
    "broken_power": {"E": 0.9, "A": 50.0, "c0": 0.15, "c1": 0.3, "d1": 1e9, "f1": 0.4},
    "broken_power_2": {
        "E": 0.4,
        "A": 50.0,
        "c0": 0.1,
        "c1": 0.35,
        "d1": 2e8,
        "f1": 0.25,
        "c2": -0.25,
        "d2": 8e9,
        "f2": 0.3,
    },
    "broken_power_3": {
        "E": 0.2,
        "A": 30.0,
        "c0": 0.05,
        "c1": 0.3,
        "d1": 5e7,
        "f1": 0.2,
        "c2": -0.2,
        "d2": 1e9,
        "f2": 0.2,
        "c3": 0.3,
        "d3": 3e10,
        "f3": 0.2,
    },
}
TRUTHS = JOINT | CURVES
_SHARES = np.random.default_rng(4).dirichlet(np.ones(3), 12)
_TWO = np.linspace(0.04, 0.97, 10)
EXTRA: dict[str, dict[str, Any]] = {
    "routing": {"experts": [1, 2, 4, 8, 32, 128, 512]},
    "granularity": {"granularity": [1, 2, 4, 8, 16, 64]},
    "sparsity": {"sparsity": [0.05, 0.3, 0.5, 0.7, 0.85, 0.93]},
    "precision": {"bits": [2, 3, 4, 6, 8, 16]},
    "precision_post": {"bits": [2, 3, 4, 6, 8, 16]},
    "vocabulary": {"N_vocab": [2e6, 8e6, 3e7, 1.2e8, 5e8]},
    "parallel": {"streams": [1, 2, 4, 8, 16]},
    "mixture_2": {"r1": _TWO, "r2": 1 - _TWO},
    "mixture_3": {f"r{j + 1}": _SHARES[:, j] for j in range(3)},
    "mixture_additive_2": {"r1": _TWO, "r2": 1 - _TWO},
}
"""Axes beside N and D, all their values at every N and D."""


def law_of(name: str) -> Law:
    return get_law(name, axis="D")


def design(name: str, *, per_axis: int = 7) -> dict[str, np.ndarray]:
    """Axes of runs on which a law is identified, in the units people use."""
    if name in CURVES:
        return {"D": np.geomspace(1e6, 1e12, 60)}
    if name == "pruned_family":
        density, depth, width = np.meshgrid(0.8 ** np.arange(0, 30, 3), [8, 20, 50], [0.5, 1, 2])
        x = {"density": density.ravel(), "depth": depth.ravel(), "width": width.ravel()}
        return x | {"e_np": 0.05 + 0.12 / np.sqrt(x["depth"] * x["width"])}
    n, d = np.geomspace(3e7, 1e10, per_axis), np.geomspace(3e8, 3e11, per_axis)
    x = {"N": np.repeat(n, per_axis), "D": np.tile(d, per_axis)}
    if "U" in law_of(name).axes:
        shares = np.array([1.5, 1.0, 0.3, 0.1, 0.03, 0.01])
        x = {a: np.tile(v, len(shares)) for a, v in x.items()}
        x["U"] = x["D"] * np.repeat(shares, per_axis**2)
    if "fraction" in law_of(name).axes:
        x = {"D": np.tile(d, 5), "fraction": np.repeat([0.12, 0.2, 0.4, 0.7, 0.95], per_axis)}
    if name in EXTRA:
        more = EXTRA[name]
        count = len(next(iter(more.values())))
        x = {a: np.repeat(v, count) for a, v in x.items() if a in law_of(name).axes}
        rows = len(next(iter(x.values()), np.ones(1))) // count if x else 1
        return x | {a: np.tile(np.asarray(v, float), rows) for a, v in more.items()}
    if name == "scale_time":
        every = np.geomspace(1e7, 1e9, 3), np.geomspace(1e2, 1e5, 6), np.geomspace(5e8, 2e10, 7)
        return dict(zip("NSD", (v.ravel() for v in np.meshgrid(*every)), strict=True))
    if name == "perceptron":
        x = {"D": np.geomspace(3e8, 3e11, 30)}
    if name == "kaplan_steps":
        x["S"] = np.tile(np.geomspace(3e3, 1e6, per_axis), per_axis)
        del x["D"]
    return x


def table(name: str, *, noise: float = 0.0, seed: int = 0, **changes: Any) -> Runs:
    """Runs of a law with multiplicative log-normal noise."""
    x = design(name, **changes)
    loss = law_of(name)(TRUTHS[name], x)
    rng = np.random.default_rng(seed)
    return Runs(columns={**x, "loss": loss * np.exp(noise * rng.standard_normal(len(loss)))})
