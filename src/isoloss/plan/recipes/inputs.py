"""Checks of what is to be compared, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_positive
from isoloss.errors import FitError, InputError
from isoloss.fit.prepare import as_law
from isoloss.laws import Law, get_law
from isoloss.plan.cost import Cost, SixND
from isoloss.plan.design_places import cost_of_runs
from isoloss.plan.problem import Problem
from isoloss.plan.reason import Reason
from isoloss.plan.recipes.paths import Frontier, Path, along_axis, along_data, along_ratio
from isoloss.runs import Runs, read_runs
from isoloss.runs.combine import combine_runs
from isoloss.runs.rows import clean, short

MOST = 200
"""Recipes in one call."""
_CONFOUNDED = 0.995


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """Where two recipes are compared.

    Attributes
    ----------
    resource, text
        What scales are of, and the path in words.
    scale
        Scale of each run of the baseline and of the recipe.
    smallest, largest
        Ends of what both have runs at.
    costs
        Of each recipe.
    ratio, size
        Of the path; ``None`` for the best split.
    reasons
        Doubts.
    """

    resource: str
    text: str
    scale: tuple[Array, Array]
    smallest: float
    largest: float
    costs: tuple[Cost, Cost]
    ratio: float | None
    size: float | None
    reasons: tuple[Reason, ...]

    def paths(self, law: Law) -> tuple[Path, Path]:
        """Path of each recipe under a law."""
        if len(law.axes) == 1:
            return along_axis(law), along_axis(law)
        return self._path(law, self.costs[0]), self._path(law, self.costs[1])

    def _path(self, law: Law, cost: Cost) -> Path:
        if self.ratio is not None:
            return along_ratio(law, cost, self.ratio)
        if self.size is not None:
            return along_data(law, cost, self.size)
        return Frontier(Problem(law, cost))


def names_of(tables: Mapping[str, Any], baseline: str | None) -> tuple[dict[str, Runs], str]:
    """Read the tables; names are cleaned, as they come from strangers."""
    if not isinstance(tables, Mapping) or len(tables) < 2:
        raise InputError("tables: a comparison needs two recipes or more, {name: runs, ...}")
    if len(tables) > MOST:
        raise InputError(f"tables: {len(tables)} recipes; compare {MOST} at most in one call")
    given: dict[str, Runs] = {}
    for name, table in tables.items():
        label = clean(str(name), 60) or "unnamed"
        if label in given:
            raise InputError(f"tables: two recipes are named {short(label)}; rename one of them")
        given[label] = table if isinstance(table, Runs) else read_runs(table)
    first = next(iter(given)) if baseline is None else clean(str(baseline), 60)
    if first not in given:
        shown = ", ".join(short(n) for n in list(given)[:10])
        raise InputError(f"baseline = {short(first)}: no such recipe; there are {shown}")
    return given, first


def as_laws(
    pair: tuple[Runs, Runs], laws: Sequence[str | Law] | None, form: Law | None, axis: str | None
) -> list[Law]:
    """Turn what the caller asked for into laws of the same axes."""
    if laws is None:
        assert form is not None
        found = [form, get_law("coupled")] if form.name == "chinchilla" else [form]
    else:
        shared = tuple(c for c in pair[0].columns if c in pair[1])
        found = [as_law(law, axis=axis, axes=shared) for law in laws]
    if not found:
        raise InputError("laws: give one law or more")
    axes = set(found[0].axes)
    if axis is not None and len(axes) > 1:
        raise InputError(
            f"axis = {short(axis)}: {found[0].name} is of {', '.join(found[0].axes)}; leave out "
            "one of axis and law"
        )
    for law in found:
        if set(law.axes) != axes:
            raise InputError(
                f"laws: {found[0].name} is of {', '.join(found[0].axes)} and {law.name} of "
                f"{', '.join(law.axes)}; compare by laws of the same axes"
            )
        if not (len(law.axes) == 1 or axes == {"N", "D"}):
            raise InputError(
                f"law {law.name} is of {', '.join(law.axes)}: recipes are compared by laws of N "
                "and D or of one resource"
            )
        for table in pair:
            if missing := [a for a in law.axes if a not in table]:
                raise InputError(
                    f"law {law.name} needs {missing[0]}, which {short(table.source)} lacks"
                )
    return found


def check_pair(pair: tuple[Runs, Runs], names: tuple[str, str]) -> None:
    """Refuse tables whose numbers do not mean the same, or are the same."""
    for table, name in zip(pair, names, strict=True):
        if "loss" not in table:
            raise InputError(f"{short(name)}: no loss column")
    combine_runs(pair)
    if len(pair[0]) == len(pair[1]):
        shared = [c for c in pair[0].columns if c in pair[1] and c != "seed"]
        stacks = [np.stack([t[c] for c in shared]) for t in pair]
        ordered = [s[:, np.lexsort(s)] for s in stacks]
        if np.array_equal(ordered[0], ordered[1]):
            raise InputError(
                f"{short(names[0])} and {short(names[1])} hold the same runs with the same losses: "
                "one table was given twice"
            )


def make_place(
    pair: tuple[Runs, Runs], forms: Sequence[Law], *, ratio: float | None, size: float | None
) -> Place:
    """Decide along what the recipes are compared, and over which range both have runs."""
    axes = forms[0].axes
    own = cost_of_runs if len(axes) == 2 else lambda _: SixND()
    costs = (own(pair[0]), own(pair[1]))
    if ratio is not None and size is not None:
        raise InputError("ratio and size: give one of them")
    if len(axes) == 1:
        if ratio is not None or size is not None:
            raise InputError("ratio, size: need laws of N and D")
        scale = (pair[0][axes[0]], pair[1][axes[0]])
        resource, text = axes[0], f"along {axes[0]}"
    else:
        scale = tuple(  # type: ignore[assignment]
            np.asarray(c(t["N"], t["D"])) for c, t in zip(costs, pair, strict=True)
        )
        resource, text = "C", "each compute split where it is best"
        if ratio is not None:
            text = f"along D = {as_positive('ratio', ratio):.4g} N"
        elif size is not None:
            text = f"along D at N = {as_positive('size', size):.4g}"
        else:
            _check_spread(pair)
    for values in scale:
        if not (values > 0).all():
            raise InputError(f"{resource}: scales must be positive")
    smallest = max(float(s.min()) for s in scale)
    largest = min(float(s.max()) for s in scale)
    if smallest > largest:
        ends = [f"from {s.min():.3g} to {s.max():.3g}" for s in scale]
        raise InputError(
            f"no common scale: the baseline has runs {ends[0]} and the recipe {ends[1]} of "
            f"{resource}; run one of them where the other was run"
        )
    return Place(
        resource=resource, text=text, scale=scale, smallest=smallest, largest=largest,
        costs=costs, ratio=ratio, size=size, reasons=tuple(_doubts(costs, text)),
    )  # fmt: skip


def default_scales(places: Sequence[Place]) -> Array:
    """Scales to answer at; the verdict is about the first, the largest that all have runs at."""
    largest = min(p.largest for p in places)
    smallest = max(p.smallest for p in places)
    middle = float(np.sqrt(min(smallest, largest) * largest))
    return np.array([largest, middle, 10 * largest, 100 * largest])


def _check_spread(pair: tuple[Runs, Runs]) -> None:
    for table in pair:
        u, v = (np.log(table[a]) - np.log(table[a]).mean() for a in ("N", "D"))
        norm = float(np.sqrt((u @ u) * (v @ v)))
        if norm == 0 or abs(float(u @ v)) / norm > _CONFOUNDED:
            raise FitError(
                "UNIDENTIFIED",
                f"{short(table.source)}: N and D do not vary apart, so no best split is known; "
                "compare along one resource (--axis C, in Python axis='C')",
            )


def _doubts(costs: tuple[Cost, Cost], text: str) -> list[Reason]:
    factors = [float(c(1.0, 1.0)) for c in costs]
    if abs(factors[0] / factors[1] - 1) < 0.01:
        return []
    return [
        Reason(
            code="COSTS_DIFFER",
            message=f"a parameter and example cost {factors[0]:.4g} FLOPs in the baseline and "
            f"{factors[1]:.4g} in the recipe; the multiplier counts each as it is",
            severity="info",
        )
    ]
