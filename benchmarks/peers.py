"""What others need for the same tasks: adapters that return CPU seconds and parameters.

A peer that is not installed is reported with how to install it; none is a dependency.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

INSTALL = {
    "chinchilla": "pip install chinchilla==0.2.0",
    "simple_scaling_laws": "pip install simple-scaling-laws==0.2.0"
    "  (Python 3.12, or --ignore-requires-python)",
}
Terms = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def absent(module: str) -> str | None:
    """Say how to install what is not there."""
    return None if importlib.util.find_spec(module) else INSTALL[module]


def clock() -> float:
    """CPU seconds of this process and of its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def chinchilla(n: Any, d: Any, loss: Any, points: int) -> tuple[float, dict[str, float]]:
    """Fit with `chinchilla` from its recommended ranges, ``points`` a parameter."""
    import logging

    from chinchilla import Chinchilla

    logging.disable(logging.WARNING)
    grid = {
        "E": np.linspace(1.4, 2.0, points),
        "a": np.linspace(1, 10, points),
        "b": np.linspace(1, 10, points),
        "alpha": np.linspace(0.1, 0.7, points),
        "beta": np.linspace(0.1, 0.7, points),
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        rows = np.stack([6 * n * d, n, d, loss], axis=1)
        lines = ["C,N,D,loss", *(",".join(repr(float(v)) for v in row) for row in rows)]
        Path(folder, "df.csv").write_text("\n".join(lines) + "\n", encoding="utf8")
        fitted = Chinchilla(folder, param_grid=grid, log_level=40)
        start = clock()
        fitted.fit()
        seconds = clock() - start
    return seconds, {k: float(getattr(fitted, k)) for k in ("E", "A", "B", "alpha", "beta")}


def simple_scaling_laws(
    x: dict[str, Any], loss: Any, draws: int, law: str = "separable-power"
) -> tuple[float, dict[str, float]]:
    """Fit with `simple_scaling_laws`: least squares of the loss, with wild-bootstrap draws."""
    import polars
    from simple_scaling_laws import fit

    names = {"N": "model_size__n", "D": "dataset_size__d", "x": "dataset_size__x"}
    frame = polars.DataFrame(
        {names[a]: np.asarray(v, dtype=float) for a, v in x.items()}
        | {
            "training_run_id": [f"run-{i}" for i in range(len(loss))],
            "test_loss__loss": np.asarray(loss, dtype=float),
        }
    )
    start = clock()
    model = fit(frame, law=law, n_draws=draws)
    seconds = clock() - start
    return seconds, {k: float(v) for k, v in model.params("test_loss__loss").items()}


def lbfgs(
    terms: Terms,
    target: np.ndarray,
    starts: np.ndarray,
    *,
    delta: float,
    over: float = 1.0,
    weights: np.ndarray | float = 1.0,
) -> tuple[float, float, np.ndarray]:
    """Minimise with SciPy's L-BFGS-B and exact gradients from each start; the best is kept."""

    def value(t: np.ndarray) -> tuple[float, np.ndarray]:
        predicted, jac = terms(t)
        r = predicted - target
        w = weights * np.where(r > 0, over, 1.0)
        if delta == 0:
            return float(np.sum(w * np.abs(r))), jac @ (w * np.sign(r))
        psi = np.clip(r, -delta, delta)
        return float(np.sum(w * psi * (r - 0.5 * psi))), jac @ (w * psi)

    start = clock()
    with np.errstate(all="ignore"):
        options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-15, "gtol": 1e-10}
        found = [minimize(value, s, jac=True, method="L-BFGS-B", options=options) for s in starts]
    best = min((f for f in found if np.isfinite(f.fun)), key=lambda f: f.fun)
    return clock() - start, float(best.fun), best.x


def chinchilla_terms(n: np.ndarray, d: np.ndarray, *, log: bool = True) -> Terms:
    """Chinchilla's law in (log A, log B, log E, alpha, beta), by log-sum-exp."""
    u, v = np.log(n), np.log(d)

    def terms(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = np.stack([t[0] - t[3] * u, t[1] - t[4] * v, np.full(len(u), t[2])])
        top = parts.max(axis=0)
        share = np.exp(parts - top)
        total = share.sum(axis=0)
        share /= total
        predicted = top + np.log(total)
        jac = np.stack([*share, -share[0] * u, -share[1] * v])
        if log:
            return predicted, jac
        predicted = np.exp(predicted)
        return predicted, jac * predicted

    return terms


def broken_terms(x: np.ndarray) -> Terms:
    """Log of the broken power law in (log E, log A, c0, c1, log d, log f)."""
    u = np.log(x)

    def terms(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        width = np.exp(t[5])
        z = (u - t[4]) / width
        bend = np.logaddexp(0, z)
        passed = 1 / (1 + np.exp(-z))
        power = np.exp(t[1] - t[2] * u - t[3] * width * bend)
        floor = np.exp(t[0])
        value = floor + power
        share = power / value
        by = [np.ones_like(u), -u, -width * bend, t[3] * passed]
        by.append(-t[3] * width * (bend - z * passed))
        return np.log(value), np.stack([floor / value, *(share * b for b in by)])

    return terms


def sigmoid_terms(x: np.ndarray) -> Terms:
    """Log of M4 in (log E, log H, log K, c, log a); its equation is solved by Newton's method."""
    u = np.log(x)

    def terms(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a = np.exp(t[4])
        kappa = t[2] - t[3] * u
        s = np.where(kappa < 0, kappa, kappa / a)
        for _ in range(30):
            up = np.logaddexp(0, s)
            q = 1 / (1 + np.exp(-s))
            step = (s - up + a * up - kappa) / (1 - q + a * q)
            s = s - step
            if np.max(np.abs(step)) < 1e-10:
                break
        q = 1 / (1 + np.exp(-s))
        part = np.exp(t[1]) * q
        value = np.exp(t[0]) + part
        slope = part * (1 - q) / (1 - q + a * q) / value
        rows = [np.exp(t[0]) / value, part / value, slope, -u * slope]
        return np.log(value), np.stack([*rows, -a * np.logaddexp(0, s) * slope])

    return terms


def grid(*ticks: list[float]) -> np.ndarray:
    """All combinations, (k, p)."""
    return np.stack(np.meshgrid(*ticks, indexing="ij"), -1).reshape(-1, len(ticks))


def threads_of_peers() -> None:
    """Keep children of peers on one BLAS thread, as this process is."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
