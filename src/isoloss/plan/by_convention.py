"""How the convention of N and C moves the best split."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import as_level, as_positive
from isoloss._core.interval import Interval
from isoloss.errors import InputError
from isoloss.fit import fit
from isoloss.plan.allocate import allocate
from isoloss.plan.family import FamilyCost, family_cost, fit_width_power
from isoloss.runs import Runs
from isoloss.runs.counting import Convention, convert_runs, get_convention
from isoloss.runs.counting.count import Model

LAWS = ("chinchilla", "coupled")
COMPARED = ("exact", "kaplan", "porian", "6nd", "hoffmann")
_MISFIT = 0.1
"""Relative error of the family's cost beyond which its exponents are in doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRow:
    """Best split of one budget under one convention and law.

    Attributes
    ----------
    convention, law, status
        Which, and the status of the fit.
    exponent_N, N_opt, D_opt
        Growth of N_opt with C, and the optimum; NaN where there is none.
    exponent_interval, N_interval, D_interval
        If the law is right; None without draws.
    N_reference, C_reference
        N_opt and the cost of that training, both counted as the first convention counts.
    cost
        Formula of the cost of the family.
    misfit
        Largest relative error of that formula at a run.
    """

    convention: str
    law: str
    status: str
    exponent_N: float
    N_opt: float
    D_opt: float
    exponent_interval: Interval | None
    N_interval: Interval | None
    D_interval: Interval | None
    N_reference: float
    C_reference: float
    cost: str
    misfit: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            name: value.to_dict() if isinstance(value, Interval) else value
            for name, value in ((n, getattr(self, n)) for n in self.__slots__)
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ConventionEffect:
    """The best split of one budget, refitted under several conventions.

    Attributes
    ----------
    C
        The budget, in the FLOPs of each convention.
    rows
        One a convention and law.
    reference
        The first convention, in which the others' optima are expressed as well.
    warnings
        What to know before using it.
    """

    C: float
    rows: tuple[SplitRow, ...]
    reference: str
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "C": self.C,
            "reference": self.reference,
            "rows": [r.to_dict() for r in self.rows],
            "spread_exponent_N": self.spread,
            "warnings": list(self.warnings),
        }

    @property
    def spread(self) -> dict[str, float]:
        """Largest minus smallest exponent over conventions, by law."""
        found = {}
        for law in dict.fromkeys(r.law for r in self.rows):
            values = [r.exponent_N for r in self.rows if r.law == law]
            found[law] = float(max(values) - min(values))
        return found

    def to_columns(self) -> dict[str, list[Any]]:
        """Table with one row a convention and law."""
        names = ("convention", "law", "exponent_N", "N_opt", "D_opt", "N_reference", "C_reference")
        return {n: [getattr(r, n) for r in self.rows] for n in names}

    def summary(self) -> str:
        """Table for people."""
        first = self.reference
        lines = [
            f"best split of {self.C:.4g} FLOPs, counted as each convention counts",
            f"{'law':<11} {'convention':<17} {'exponent of N':<24} {'N':<32} "
            f"{'D':<32} {'N, ' + first:<10} {'C, ' + first}",
        ]
        for r in self.rows:
            grown = f"{r.exponent_N:.3f}" + _in(r.exponent_interval, ".3f")
            N, D = (f"{v:.3g}" + _in(i, ".3g") for v, i in ((r.N_opt, r.N_interval),
                                                            (r.D_opt, r.D_interval)))  # fmt: skip
            lines.append(
                f"{r.law:<11} {r.convention:<17} {grown:<24} {N:<32} {D:<32} "
                f"{r.N_reference:<10.3g} {r.C_reference:.3g}"
            )
        lines += [
            f"{law}: the convention alone moves the exponent of N by {spread:.3f}"
            for law, spread in self.spread.items()
        ]
        return "\n".join([*lines, *self.warnings])

    def __repr__(self) -> str:
        return f"ConventionEffect(C={self.C:.4g}, exponent_N moves by {self.spread})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def _in(interval: Interval | None, form: str) -> str:
    return "" if interval is None else f" [{interval.low:{form}}, {interval.high:{form}}]"


def split_by_convention(
    runs: Runs,
    models: Sequence[Model],
    C: float,
    *,
    conventions: Sequence[str | Convention] = COMPARED,
    laws: Sequence[str] = LAWS,
    objective: str = "huber:1e-3",
    draws: int = 200,
    level: float = 0.9,
    rng: int = 0,
    on_step: Callable[[str], None] = lambda text: None,
) -> ConventionEffect:
    r"""Refit the same runs under several conventions and find the best split under each.

    N and C of every run are counted anew, the law is fitted to N and D, and the loss minimised
    subject to the cost that the convention gives to this family of models (`FamilyCost`). Nothing
    else differs: what moves between rows is the convention.

    Parameters
    ----------
    runs
        With D and loss.
    models
        Description of each run's model, see `isoloss.runs.counting.describe_runs`.
    C
        Budget; each convention counts it in its own FLOPs.
    conventions
        Names in `CONVENTIONS`; the first is the reference.
    laws, objective, draws, level, rng
        As of `isoloss.fit`. Intervals hold if the law is right.
    on_step
        Called with words on what is done.

    Raises
    ------
    InputError
        Fewer than two conventions, an unknown name, or a table that cannot be converted.

    References
    ----------
    Pearce and Song 2024, arXiv:2406.12907; Porian et al. 2024, arXiv:2406.19146.

    Examples
    --------
    >>> from isoloss.runs import embedded_runs
    >>> from isoloss.runs.counting import describe_runs
    >>> runs = embedded_runs()
    >>> models = describe_runs(runs, vocabulary=256, positions="learned")
    >>> effect = split_by_convention(runs, models, 1e15, conventions=["exact", "kaplan"],
    ...                              laws=["coupled"], draws=0)
    >>> [f"{row.exponent_N:.2f}" for row in effect.rows]
    ['0.53', '0.61']
    """
    chosen = [get_convention(c) for c in conventions]
    tables = {c.name: convert_runs(runs, models, c) for c in chosen}
    return split_by_table(tables, C, laws=laws, objective=objective, draws=draws, level=level,
                          rng=rng, on_step=on_step)  # fmt: skip


def split_by_table(
    tables: Mapping[str, Runs],
    C: float,
    *,
    laws: Sequence[str] = LAWS,
    objective: str = "huber:1e-3",
    draws: int = 200,
    level: float = 0.9,
    rng: int = 0,
    on_step: Callable[[str], None] = lambda text: None,
) -> ConventionEffect:
    """Compare best splits as `split_by_convention` does, from tables that were counted already.

    Parameters
    ----------
    tables
        Name of a convention to the same runs, in the same order, with N, D, C and loss. The first
        is the reference.

    Raises
    ------
    InputError
        Fewer than two tables, tables of other runs, or one that lacks a column.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from isoloss.runs import embedded_runs
    >>> runs = embedded_runs()
    >>> N = runs["N_non_embedding"]
    >>> bare = replace(runs, columns=dict(runs.columns) | {"N": N, "C": 6 * N * runs["D"]})
    >>> effect = split_by_table({"all": runs, "bare": bare}, 1e15, laws=["coupled"], draws=0)
    >>> round(effect.spread["coupled"], 2)
    0.08
    """
    budget, level = as_positive("C", C), as_level(level)
    if len(tables) < 2:
        raise InputError("conventions: name two or more, to compare them")
    if not laws:
        raise InputError("laws: name one or more")
    _same_runs(tables)
    costs = _costs(tables)
    rows = []
    for law in laws:
        for name, table in tables.items():
            on_step(f"fitting {law} to N and D as {name} counts them")
            rows.append(
                _row(name, law, table, budget, costs,
                     objective=objective, draws=draws, level=level, rng=rng)
            )  # fmt: skip
    warnings = [
        f"{n}: the cost of a token is no smooth function of N (off by up to {100 * c.misfit:.0f} "
        "%): do the runs differ in context, aspect ratio or vocabulary?"
        for n, c in costs.items()
        if c.misfit > _MISFIT
    ]
    return ConventionEffect(
        C=budget, rows=tuple(rows), reference=next(iter(tables)), warnings=tuple(warnings)
    )


def _same_runs(tables: Mapping[str, Runs]) -> None:
    first, *others = tables.items()
    for name, table in others:
        if not (len(table) == len(first[1]) and np.array_equal(table["D"], first[1]["D"])
                and np.array_equal(table["loss"], first[1]["loss"])):  # fmt: skip
            raise InputError(f"{name}: its runs are not those of {first[0]}: D or loss differ")


def _row(
    name: str,
    law: str,
    table: Runs,
    budget: float,
    costs: Mapping[str, FamilyCost],
    **policy: Any,
) -> SplitRow:
    fitted = fit(table, law, **policy)
    plan = allocate(fitted, C=budget, cost=costs[name], near=False, level=policy["level"])
    N, D = float(plan.N_opt[0]), float(plan.D_opt[0])
    same = spent = float("nan")
    if np.isfinite(N):
        reference = next(iter(costs.values()))
        same = float(reference.size_of(costs[name].blocks(N)))
        spent = float(reference(same, D))
    intervals = [
        None if found is None else found[0]
        for found in (plan.exponent_N_interval, plan.N_interval, plan.D_interval)
    ]
    return SplitRow(
        convention=name,
        law=law,
        status=fitted.status if plan.status != "failed" else "failed",
        exponent_N=float(plan.exponent_N[0]),
        N_opt=N,
        D_opt=D,
        exponent_interval=intervals[0],
        N_interval=intervals[1],
        D_interval=intervals[2],
        N_reference=same,
        C_reference=spent,
        cost=costs[name].text,
        misfit=costs[name].misfit,
    )


def _costs(tables: Mapping[str, Runs]) -> dict[str, FamilyCost]:
    """Fit the cost under each convention to one family of models."""
    # The N that varies most holds least of what grows slowly: it stands for the blocks.
    blocks = max((t["N"] for t in tables.values()), key=lambda n: float(np.ptp(np.log(n))))
    _, first = np.unique(np.stack([t["N"] for t in tables.values()]), axis=1, return_index=True)
    columns = {n: (t["N"][first], (t["C"] / t["D"])[first]) for n, t in tables.items()}
    w = fit_width_power(blocks[first], [y for pair in columns.values() for y in pair])
    return {
        n: family_cost(size, rate, blocks=blocks[first], width_power=w)
        for n, (size, rate) in columns.items()
    }
