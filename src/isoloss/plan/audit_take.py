"""Laws at a table of runs: fitted, or taken at values that the caller has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import FitError, InputError
from isoloss.fit.fit import fit
from isoloss.fit.noise import seed_noise
from isoloss.fit.prepare import Prepared, as_law, prepare
from isoloss.fit.result import Fit
from isoloss.fit.weighting import akaike
from isoloss.laws import Law
from isoloss.plan.audit_words import place_of
from isoloss.plan.design_noise import DesignNoise, beyond_seeds, design_groups, repeat_noise
from isoloss.plan.local_model import LocalModel
from isoloss.runs import Runs

_GREEK = ("alpha", "beta")
_EXPONENTS = (0.03, 2.0)
"""Exponents beyond are no description of runs: the design leaves them open."""
_SEEN = 1e-9
LEAST_NOISE = 1e-9
"""Noise of losses computed from a formula, which have none."""


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A law with values, and its residuals."""

    data: Prepared
    model: LocalModel
    residuals: Array
    at_bound: tuple[str, ...]


def forms_of(table: Runs, laws: Sequence[str | Law] | None, axis: str | None) -> list[Law]:
    """Take the laws that the caller names, or those that suit the axes."""
    if laws is None and axis is None and "N" in table and "D" in table:
        laws = ["chinchilla", "coupled", "additive", "kaplan"]
    elif laws is None:
        laws = ["power_floor", "shifted_power"]
    forms = [as_law(law, axis=axis, axes=tuple(table.columns)) for law in laws]
    if not forms:
        raise InputError("laws: none given; leave it out for those that suit the runs")
    return forms


def take(
    table: Runs, forms: list[Law], values: Mapping[str, float] | None, noise: float | None
) -> tuple[Runs, list[Taken], dict[str, str]]:
    """Fit each law, or take the values that the caller has."""
    if values is not None:
        if len(forms) != 1:
            raise InputError("values: belong to one law; name that law alone")
        if noise is None:
            raise InputError("values: without a fit the noise is not known; give noise=, say 0.003")
        law = forms[0]
        theta = law.theta(values)
        x = {a: table[a] for a in law.axes if a in table}
        if len(x) < len(law.axes):
            raise InputError(f"{law.name} needs {', '.join(a for a in law.axes if a not in x)}")
        if not np.isfinite(loss := law(theta, x)).all() or not (loss > 0).all():
            raise InputError("values: the law gives no positive loss at some run; check units")
        table = replace(table, columns={**table.columns, "loss": loss})
        data = _grouped(table, law)
        model = LocalModel.of(data, theta)
        return table, [Taken(data, model, np.zeros(len(table)), ())], {}
    if "loss" not in table:
        raise InputError("runs: no column loss; for runs that are planned give values= of a law")
    taken, dropped = [], {}
    for law in forms:
        try:
            found, held = _fitted(table, law)
        except FitError as error:
            dropped[law.name] = str(error)
            continue
        data = _grouped(table, law)
        model = LocalModel.of(data, found.theta)
        if not np.isfinite(model.rows(data.x)).all() or not np.isfinite(found.theta).all():
            dropped[law.name] = "its fit has no finite derivatives at the runs"
            continue
        bound = tuple(dict.fromkeys((*found.certificate.at_bound, *held)))
        taken.append(Taken(data, model, found.residuals, bound))
    return table, taken, dropped


def _fitted(table: Runs, law: Law) -> tuple[Fit, tuple[str, ...]]:
    """Fit a law; where exponents run away, once more with bounds on them, which are named."""
    found = fit(table, law, draws=0)
    low, high = _EXPONENTS
    exponents = [p.name for p in law.parameters if not p.unit and p.name.startswith(_GREEK)]
    away = tuple(n for n in exponents if not low < found.parameters[n] < high)
    if not away:
        return found, ()
    held = fit(table, law.bound(**dict.fromkeys(exponents, _EXPONENTS)), draws=0)
    return replace(held, law=law), away


def _grouped(table: Runs, law: Law) -> Prepared:
    """Sort the runs, and number the configurations by where they first appear."""
    data = prepare(table, law)
    _, first, same = np.unique(
        design_groups(table, law.axes)[data.order], return_index=True, return_inverse=True
    )
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return replace(data, groups=rank[same])


def law_shares(taken: list[Taken], order: npt.NDArray[np.int64]) -> Array:
    """Weights of the laws by how well they fit, runs in ``order`` of scale."""
    residuals = np.array([t.residuals[order] for t in taken])
    return akaike(
        residuals, np.ones_like(residuals), [len(t.model.law.names) for t in taken], squares=False
    )


def noise_of(lead: Taken, given: float | None) -> DesignNoise:
    """Noise of one run: as given, or its scatter around a law and between repeats."""
    seeds, freedom = repeat_noise(lead.data.groups, np.log(lead.data.loss))
    if given is not None:
        return DesignNoise(one=given, seeds=None, freedom=freedom, given=True)
    residuals = lead.residuals[lead.data.order]
    one = seed_noise(residuals, lead.data.groups, len(lead.model.law.names))
    # Losses computed from a formula have no noise; what they determine is asked all the same.
    left = len(residuals) - len(lead.model.law.names)
    beyond = beyond_seeds(one, left, seeds, freedom)
    return DesignNoise(one=max(one, LEAST_NOISE), seeds=seeds, freedom=freedom, beyond=beyond)


def by_configuration(t: Taken) -> Array:
    """Rows of the law at each configuration, in the order of groups.

    A parameter whose change by its own size moves no loss by a billionth is seen by no run.
    """
    _, first = np.unique(t.data.groups, return_index=True)
    rows = t.model.rows({a: v[first] for a, v in t.data.x.items()})
    return np.where(np.abs(rows).max(axis=0) > _SEEN, rows, 0.0)


def places_of(t: Taken) -> list[str]:
    """Write each configuration in words, in the order of groups."""
    _, first = np.unique(t.data.groups, return_index=True)
    return [place_of({a: float(v[k]) for a, v in t.data.x.items()}) for k in first]
