"""Data whose least-squares solution is known: residuals orthogonal to the Jacobian at a truth.

The models are plain numpy and their Jacobians complex steps of it: nothing of the library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One formula with a truth, a design, noise and a start."""

    formula: str
    model: Callable[[Any, Any], Any]
    theta: dict[str, float]
    x: Array
    noise: float
    start: tuple[float, ...]
    alone: bool = True  # found without any start too

    def jacobian(self) -> Array:
        """Exact derivatives at the truth, (n, p)."""
        truth = np.array(list(self.theta.values()), dtype=complex)
        columns = []
        for i in range(len(truth)):
            moved = truth.copy()
            step = 1e-30 * max(abs(truth[i]), 1e-3)
            moved[i] += 1j * step
            columns.append(np.imag(self.model(moved, self.x)) / step)
        return np.stack(columns, axis=1)

    def data(self, noise: float | None = None) -> dict[str, Array]:
        """Columns x and y."""
        jac = self.jacobian()
        basis = np.linalg.qr(jac / np.linalg.norm(jac, axis=0))[0]
        bump = np.cos(1.0 + 2.3 * np.arange(len(self.x)) ** 1.1)
        for _ in range(3):
            bump = bump - basis @ (basis.T @ bump)
        bump *= (self.noise if noise is None else noise) / np.sqrt(np.mean(bump**2))
        clean = np.real(self.model(np.array(list(self.theta.values())), self.x))
        return {"x": self.x, "y": clean + bump}

    def errors(self) -> Array:
        """Exact classical standard errors, (p,)."""
        jac = self.jacobian()
        length = np.linalg.norm(jac, axis=0)
        root = np.linalg.inv(np.linalg.qr(jac / length)[1])
        y = self.data()["y"]
        rss = np.sum((y - np.real(self.model(np.array(list(self.theta.values())), self.x))) ** 2)
        scale = np.sqrt(rss / (len(y) - len(length)))
        return np.asarray(scale * np.sqrt(np.sum(root**2, axis=1)) / length)

    def starts(self) -> dict[str, float]:
        """Give the start by name."""
        return dict(zip(self.theta, self.start, strict=True))


CASES = {
    "rise": Case(
        "a*(1 - exp(-b*x))",
        lambda t, x: t[0] * (1 - np.exp(-t[1] * x)),
        {"a": 211.0, "b": 5.3e-4},
        np.linspace(60.0, 800.0, 15),
        0.1,
        (900.0, 1e-4),
    ),
    "two decays": Case(
        "a*exp(-k*x) + b*exp(-m*x)",
        lambda t, x: t[0] * np.exp(-t[2] * x) + t[1] * np.exp(-t[3] * x),
        {"a": 1.7, "b": 0.6, "k": 4.1, "m": 0.9},
        np.linspace(0.0, 3.0, 30),
        1e-3,
        (1.0, 1.0, 10.0, 0.2),
        alone=False,  # the terms may change names
    ),
    "rational": Case(
        "(a + b*x + c*x**2)/(1 + d*x + f*x**2)",
        lambda t, x: (t[0] + t[1] * x + t[2] * x**2) / (1 + t[3] * x + t[4] * x**2),
        {"a": 1.4, "b": -0.12, "c": 2.3e-3, "d": -1.5e-3, "f": 2.1e-5},
        np.linspace(-20.0, 300.0, 60),
        0.02,
        (1.0, -0.5, 1e-2, -5e-3, 1e-4),
    ),
    "two peaks": Case(
        "h*exp(-k*x) + a*exp(-(x - m)**2/s**2) + b*exp(-(x - q)**2/w**2)",
        lambda t, x: (
            t[1] * 0
            + t[2] * np.exp(-t[3] * x)
            + t[0] * np.exp(-((x - t[4]) ** 2) / t[6] ** 2)
            + t[1] * np.exp(-((x - t[5]) ** 2) / t[7] ** 2)
        ),
        {"a": 90.0, "b": -40.0, "h": 70.0, "k": 0.012, "m": 60.0, "q": 140.0, "s": 17.0, "w": 21.0},
        np.linspace(1.0, 220.0, 110),
        2.0,
        (70.0, -60.0, 50.0, 0.02, 55.0, 150.0, 25.0, 15.0),
        alone=False,
    ),
    "waves": Case(
        "a + b*cos(2*pi*x/p) + c*sin(2*pi*x/p)",
        lambda t, x: (
            t[0] + t[1] * np.cos(2 * np.pi * x / t[3]) + t[2] * np.sin(2 * np.pi * x / t[3])
        ),
        {"a": -3.0, "b": 1.2, "c": -0.7, "p": 11.3},
        np.arange(-40.0, 40.0),
        0.5,
        (0.0, 1.0, 1.0, 12.0),
    ),
    "arctangent": Case(
        "a - b*x - arctan(c/(x - d))/pi",
        lambda t, x: t[0] - t[1] * x - np.arctan(t[2] / (x - t[3])) / np.pi,
        {"a": 0.21, "b": -6.4e-6, "c": 1150.0, "d": -170.0},
        -np.geomspace(450.0, 5000.0, 26),
        4e-3,
        (0.5, -1e-5, 3000.0, -50.0),
    ),
    "growth": Case(
        "a/(1 + exp(b - c*x))**(1/d)",
        lambda t, x: t[0] / (1 + np.exp(t[1] - t[2] * x)) ** (1 / t[3]),
        {"a": -720.0, "b": 5.1, "c": 0.8, "d": 1.3},
        np.arange(1.0, 19.0),
        9.0,
        (-300.0, 2.0, 0.3, 1.0),
    ),
    "shifted power": Case(
        "a*(b + x)**(-1/c)",
        lambda t, x: t[0] * (t[1] + x) ** (-1 / t[2]),
        {"a": -2400.0, "b": 45.0, "c": 0.94},
        np.linspace(7.0, 12.5, 120),
        2e-3,
        (-1500.0, 60.0, 0.8),
        alone=False,  # one start of several comes through its valley
    ),
    "arrhenius": Case(
        "a*exp(b/(x + c))",
        lambda t, x: t[0] * np.exp(t[1] / (x + t[2])),
        {"a": 6.1e-3, "b": 6050.0, "c": 341.0},
        np.arange(50.0, 130.0, 5.0),
        2.5,
        (0.03, 4000.0, 250.0),
    ),
    "hardly any noise": Case(
        "a*exp(-k*x) + b",
        lambda t, x: t[0] * np.exp(-t[2] * x) + t[1],
        {"a": 2.0, "b": -1.0, "k": 1.5},
        np.linspace(-1.0, 2.0, 20),
        1e-7,
        (1.0, 1.0, 0.1),
    ),
    "a line": Case(
        "a + b*x",
        lambda t, x: t[0] + t[1] * x,
        {"a": -4.0, "b": 1e-6},
        np.linspace(-3e5, 1e6, 9),
        0.1,
        (1.0, 1.0),
    ),
}
