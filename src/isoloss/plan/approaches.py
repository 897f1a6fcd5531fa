"""Approaches 1, 2 and 3 side by side: where they disagree, none should be trusted alone."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy.typing as npt

from isoloss._core.arrays import as_positive
from isoloss._core.interval import Interval
from isoloss.plan.allocate import allocate
from isoloss.plan.cost import SIX_ND, Cost
from isoloss.plan.envelope import fit_envelope
from isoloss.plan.isoflop import fit_isoflop
from isoloss.plan.reason import Reason, overall

SCHEMA = 1
# Answers further apart than this are two different plans.
DISAGREE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """One way to N_opt.

    Attributes
    ----------
    approach
        ``1 envelope``, ``2 isoFLOP`` or ``3 surface``.
    exponent_N, N_opt
        Growth with C and size at the budget; NaN where refused.
    N_interval, exponent_interval
        None where there is no error estimate; the note says why.
    refused
        Reason code of a refusal, or None.
    note
        What to know about it.
    """

    approach: str
    exponent_N: float
    N_opt: float
    N_interval: Interval | None
    exponent_interval: Interval | None
    refused: str | None
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "approach": self.approach,
            "exponent_N": self.exponent_N,
            "N_opt": self.N_opt,
            "interval": self.N_interval.to_dict() if self.N_interval else None,
            "exponent_interval": self.exponent_interval.to_dict()
            if self.exponent_interval
            else None,
            "refused": self.refused,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Approaches:
    """The three approaches at one budget.

    Attributes
    ----------
    budget
        Compute at which sizes are compared.
    entries
        Approaches 1, 2, 3.
    status, reasons
        ``suspect`` with ``APPROACHES_DISAGREE`` where they name different sizes.
    """

    budget: float
    entries: tuple[Approach, ...]
    status: str
    reasons: tuple[Reason, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "schema": SCHEMA,
            "budget": self.budget,
            "approaches": [e.to_dict() for e in self.entries],
            "status": self.status,
            "reasons": [r.to_dict() for r in self.reasons],
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table with one row an approach."""
        names = ("approach", "exponent_N", "N_opt", "note")
        return {n: [getattr(e, n) for e in self.entries] for n in names}

    def summary(self) -> str:
        """Lines for people."""
        lines = [f"N_opt at C = {self.budget:.4g}, status {self.status}"]
        for e in self.entries:
            interval = f" in {e.N_interval}" if e.N_interval else ""
            lines.append(f"  {e.approach}: {e.N_opt:.4g}{interval}, C^{e.exponent_N:.3f}; {e.note}")
        return "\n".join(lines + [f"  {r.code}: {r.message}" for r in self.reasons])

    def __repr__(self) -> str:
        return f"Approaches(C = {self.budget:.4g}; {self.status})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def compare_approaches(
    N: npt.ArrayLike,
    D: npt.ArrayLike,
    C: npt.ArrayLike,
    loss: npt.ArrayLike,
    law: Any,
    theta: Mapping[str, float] | npt.ArrayLike | None = None,
    budget: float = float("nan"),
    *,
    cost: Cost | Callable[[Any, Any], Any] = SIX_ND,
    draws: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.9,
    degree: int = 3,
    rtol: float = 0.1,
    fixed: Mapping[str, float] | None = None,
    method: str | None = None,
) -> Approaches:
    """Ask the envelope, the isoFLOP curves and the fitted surface for the best size.

    Parameters
    ----------
    N, D, C, loss
        One value a run, (n,); C in the unit of ``cost``.
    law, theta, cost, draws, weights, level, fixed, method
        The surface, as in `allocate`.
    budget
        Where to compare.
    degree, rtol
        As in `fit_isoflop`.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.laws import PUBLISHED, get_law
    >>> law, values = get_law("chinchilla"), PUBLISHED["epoch-2024-lad"].parameters
    >>> C = np.repeat([1e19, 1e20, 1e21], 9)
    >>> N = 0.09 * np.sqrt(C) * np.tile(np.geomspace(0.25, 4, 9), 3)
    >>> D = C / (6 * N)
    >>> found = compare_approaches(N, D, C, law(values, {"N": N, "D": D}), law, values, 1e22)
    >>> [e.approach for e in found.entries], found.status
    (['1 envelope', '2 isoFLOP', '3 surface'], 'ok')
    """
    budget = as_positive("budget", budget)
    one = fit_envelope(N, C, loss)
    two = fit_isoflop(N, D, C, loss, degree=degree, rtol=rtol, level=level)
    three = allocate(
        law,
        theta,
        budget,
        cost=cost,
        draws=draws,
        weights=weights,
        level=level,
        fixed=fixed,
        method=method,
        near=False,
    )
    at = two.at(budget)
    entries = (
        Approach(
            approach="1 envelope",
            exponent_N=one.exponent_N,
            N_opt=one.at(budget),
            N_interval=None,
            exponent_interval=None,
            refused=_code(one.reasons) if one.status == "failed" else None,
            note=_note(one.reasons),
        ),
        Approach(
            approach="2 isoFLOP",
            exponent_N=two.exponent_N,
            N_opt=at["N_opt"],
            N_interval=at["N_interval"],
            exponent_interval=two.exponent_N_interval,
            refused=_code(two.reasons) if two.status == "failed" else None,
            note=_note(two.reasons)
            or f"minima of {sum(b.refusal is None for b in two.budgets)} budgets",
        ),
        Approach(
            approach="3 surface",
            exponent_N=float(three.exponent_N[0]),
            N_opt=float(three.N_opt[0]),
            N_interval=three.N_interval[0] if three.N_interval else None,
            exponent_interval=three.exponent_N_interval[0] if three.exponent_N_interval else None,
            refused=_code(three.reasons) if three.status == "failed" else None,
            note=_note(three.reasons) or f"law {three.law}",
        ),
    )
    reasons = _disagreements(entries)
    answered = any(e.refused is None for e in entries)
    return Approaches(
        budget=budget, entries=entries, status=overall(reasons, answered=answered), reasons=reasons
    )


def _code(reasons: tuple[Reason, ...]) -> str:
    return next((r.code for r in reasons if r.severity == "refusal"), reasons[0].code)


def _note(reasons: tuple[Reason, ...]) -> str:
    return "; ".join(r.message for r in reasons)


def _disagreements(entries: tuple[Approach, ...]) -> tuple[Reason, ...]:
    reasons = []
    for a, b in combinations([e for e in entries if e.refused is None], 2):
        ratio = a.N_opt / b.N_opt
        apart = bool(
            a.N_interval
            and b.N_interval
            and (a.N_interval.high < b.N_interval.low or b.N_interval.high < a.N_interval.low)
        )
        far = not 1 / DISAGREE <= ratio <= DISAGREE
        if far or apart:
            why = "differ by more than a factor of two" if far else "have intervals apart"
            text = (
                f"approaches {a.approach} and {b.approach} {why}: N_opt = {a.N_opt:.3g} and "
                f"{b.N_opt:.3g}; find out which assumption fails before spending the budget"
            )
            reasons.append(Reason(code="APPROACHES_DISAGREE", message=text))
    return tuple(reasons)
