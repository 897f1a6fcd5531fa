r"""Forms of the loss of pruned training: laws of examples and share kept, all policies jointly.

Random pruning leaves fewer random examples, so that unpruned and random runs share a law R of D.
Pruned runs follow it at another number of examples,

.. math:: L = R(x m) + F (1 - k), \quad x = D/D_0,\quad l = \log(1/k),

with k the share kept, m the worth of a kept example in ordinary ones, one at k = 1, and a floor F
that only the form ``floor`` has. Curves R:

- ``power``: :math:`E + B x^{-\beta}`,
- ``chance``: :math:`A (1 + M x)^{-\beta}`, from what is guessed without examples,
- ``bare``: :math:`B x^{-\beta}`, so that a bend need be no floor: it may be what the form misses.

Worths, each with parameters of its own for each policy:

- ``constant``: :math:`\log m = u l + w l^2`, the same at every scale,
- ``drift``: :math:`\log m = u l + w l^2 + v l \log x`, another exponent at each share,
- ``pool``: :math:`\log m = l\,(1 - \log(1 + e^{-(u + w l + v \log x)}))`, a drift on one side and
  on the other the worth of the pool, 1/k, beyond which choosing cannot go,
- ``floor``: as ``constant``, with F.

And the pruned perceptron, exact, with one angle of the score for both policies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws.law import Law, Parameter
from isoloss.laws.margin_pruned import LEAST_SHARE

CURVES = ("power", "chance", "bare")
WORTHS = ("constant", "drift", "pool", "floor")
EXACT = "perceptron"
SCALED = ("drift", "pool")
"""Worths that change with scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What the pilots can tell about a policy.

    Attributes
    ----------
    policy
        ``hard`` or ``easy``.
    curved
        Whether there are two shares below one, for the term in l squared.
    scaled
        Whether one share was measured at several sizes, for a change with scale.
    """

    policy: str
    curved: bool
    scaled: bool


def _free(name: str, meaning: str) -> Parameter:
    return Parameter(name=name, lower=-math.inf, upper=math.inf, start=(-1.0, 1.0), meaning=meaning)


def _curve(name: str) -> tuple[str, tuple[Parameter, ...]]:
    """Give the formula of R with ``Y`` for the logarithm of the examples, and its parameters."""
    falling = (
        Parameter(name="B", start=(0.2, 2.0), meaning="what falls, at the mean size"),
        Parameter(name="beta", upper=5.0, start=(0.1, 1.2), meaning="its exponent"),
    )
    if name == "bare":
        return "B*exp(-beta*(Y))", falling
    if name == "power":
        floor = Parameter(name="E", start=(0.01, 0.9), meaning="irreducible loss")
        return "E + B*exp(-beta*(Y))", (floor, *falling)
    return "A*exp(-beta*log(1 + M*exp(Y)))", (
        Parameter(name="A", start=(0.8, 4.0), meaning="loss without examples"),
        Parameter(name="M", start=(0.05, 5.0), meaning="scale at which it falls"),
        Parameter(name="beta", upper=5.0, start=(0.3, 1.5), meaning="exponent in the end"),
    )


def _worth(kind: str, design: Design) -> tuple[str, tuple[Parameter, ...]]:
    """Logarithm of the worth of an example, and its parameters."""
    p, size = design.policy, f"(-log(keep_{design.policy}))"
    terms = [_free(f"u_{p}", "worth of an example, first order in l")]
    curved = design.curved and kind != "floor"
    if curved:
        terms.append(_free(f"w_{p}", "second order in l"))
    if kind in SCALED:
        terms.append(_free(f"v_{p}", "change with scale"))
    inner = f"u_{p}" + (f" + w_{p}*{size}" if curved else "")
    inner += f" + v_{p}*log(x)" if kind in SCALED else ""
    if kind == "pool":
        return f"{size}*(1 - log(1 + exp(-({inner}))))", tuple(terms)
    return f"{size}*({inner})", tuple(terms)


def make_law(curve: str, worth: str, designs: Sequence[Design]) -> Law:
    """Law of ``x`` and of a column ``keep_POLICY`` for each policy, one where it is not followed.

    Examples
    --------
    >>> law = make_law("power", "constant", [Design(policy="hard", curved=False, scaled=True)])
    >>> law.formula
    'E + B*exp(-beta*(log(x) + (-log(keep_hard))*(u_hard)))'
    >>> theta = {"E": 0.1, "B": 1.0, "beta": 0.5, "u_hard": 1.0}
    >>> law(theta, {"x": 4.0, "keep_hard": [1.0, 0.25]}).tolist()
    [0.6, 0.35]
    """
    formula, parameters = _curve(curve)
    parts, floors = ["log(x)"], []
    for design in designs:
        text, terms = _worth(worth, design)
        parts.append(text)
        parameters += terms
        if worth == "floor":
            name = f"F_{design.policy}"
            floors.append(f" + {name}*(1 - keep_{design.policy})")
            parameters += (
                Parameter(name=name, start=(0.01, 0.5), meaning="floor that pruning adds"),
            )
    formula = formula.replace("Y", " + ".join(parts)) + "".join(floors)
    axes = ("x", *(f"keep_{d.policy}" for d in designs))
    return Law(name=f"{curve}, {worth}", formula=formula, axes=axes, parameters=parameters)


def columns(x: Array, policy: str, keep: Array, designs: Sequence[Design]) -> dict[str, Array]:
    """Axes of every form, for rows of one policy; ``none`` for random rows."""
    pair = np.asarray(x, dtype=np.float64), np.asarray(keep, dtype=np.float64)
    x, keep = (np.asarray(v, dtype=np.float64) for v in np.broadcast_arrays(*pair))
    table = {"x": x}
    for design in designs:
        name = f"keep_{design.policy}"
        table[name] = keep if design.policy == policy else np.ones_like(keep)
    return table


def least_share() -> float:
    """Smallest share that the exact form can be asked for."""
    return LEAST_SHARE
