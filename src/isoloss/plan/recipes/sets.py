"""Fits of every law of a set to two recipes, with one floor for both and with a floor for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import FitError, InputError
from isoloss.fit.objective import Objective
from isoloss.fit.weighting import akaike
from isoloss.laws import Law
from isoloss.plan.reason import Reason
from isoloss.plan.recipes.answer import Answer, Reader, joined, read
from isoloss.plan.recipes.curves import Curves, law_curves, mixed
from isoloss.plan.recipes.fits import RecipeFit, cell_ids, check_design, fit_each, fit_recipes
from isoloss.plan.recipes.inputs import Place
from isoloss.runs import Runs
from isoloss.runs.rows import short

FLOOR = "E"
Pair = tuple[Runs, Runs]
_LEAST_SHARE = 0.1
"""Of draws with a curve, below which there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """Parameters in common, and whether the answer holds what follows from them."""

    names: tuple[str, ...]
    used: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TieSet:
    """Fits of the laws with the same parameters in common.

    Attributes
    ----------
    tie
        Which.
    fits, weights
        One a law, and how far each is believed here, summing to one.
    share
        How far this set is believed among those used; zero for others.
    reader
        Of its draws.
    """

    tie: Tie
    fits: tuple[RecipeFit, ...]
    weights: Array
    share: float
    reader: Reader

    @property
    def heavy(self) -> RecipeFit:
        """Fit of the law believed most."""
        return self.fits[int(np.argmax(self.weights))]

    def curves(self, place: Place, C: Array) -> tuple[list[Curves], Curves]:
        """Follow the recipes under each law, and under all of them.

        Raises
        ------
        FitError
            ``NO_CURVE``.
        """
        each = [law_curves(f, place.paths(f.recipe.base), C) for f in self.fits]
        both = mixed(each, self.weights)
        heavy = self.heavy.recipe.base.name
        if not np.isfinite(each[int(np.argmax(self.weights))].best[0]).all():
            raise FitError(
                "NO_CURVE",
                f"{heavy}: an amplitude is zero, so there is no best split to follow; compare "
                "along one resource (axis=), or along a ratio (ratio=)",
            )
        if 1 - both.lost < _LEAST_SHARE:
            raise FitError(
                "NO_CURVE",
                f"{heavy}: {100 * both.lost:.0f} % of the draws have no curve to follow; add runs, "
                "or compare along one resource (axis=)",
            )
        return each, both


def ties_asked(tie: Sequence[str] | str, laws: Sequence[Law]) -> tuple[Tie, ...]:
    """Which parameters are in common, in one fit or two.

    By default one floor and two are both allowed; a floor in common that was asked for is
    compared with two, which the answer does not hold.
    """
    held = (FLOOR,) if isinstance(tie, str) else tuple(tie)
    known = {n: None for law in laws for n in law.names}
    if strange := [n for n in held if n not in known and not isinstance(tie, str)]:
        raise InputError(
            f"tie: {short(strange[0])} is no parameter of {', '.join(law.name for law in laws)}; "
            f"they have {', '.join(known)}"
        )
    rest = tuple(n for n in held if n != FLOOR)
    if FLOOR not in held or not any(FLOOR in law.names for law in laws):
        return (Tie(names=rest, used=True),)
    return Tie(names=held, used=True), Tie(names=rest, used=isinstance(tie, str))


def fit_sets(
    pair: Pair,
    laws: Sequence[Law],
    ties: Sequence[Tie],
    place: Place,
    *,
    alpha: float,
    objective: str | Objective,
    draws: int,
    resample: str,
    seed: int,
) -> tuple[list[TieSet], list[Reason]]:
    """Fit all laws under all ties.

    Raises
    ------
    FitError
        No law fits under a tie that is used.
    """
    found: dict[Tie, list[RecipeFit]] = {t: [] for t in ties}
    reasons: dict[str, Reason] = {}
    last: FitError | None = None
    for law in laws:
        goal = objective
        try:
            alone = fit_each(pair, law)
        except FitError as error:
            last = error
            continue
        # A floor each first: its noise is that of the runs, whether or not floors differ.
        for tie in sorted(ties, key=lambda t: len(t.names)):
            try:
                doubts = check_design(pair, law, tie.names)
                one = fit_recipes(
                    pair, law, tie=tie.names, objective=goal, draws=draws, resample=resample,
                    seed=seed, alone=alone,
                )  # fmt: skip
            except FitError as error:
                last = error
                continue
            goal = one.objective
            found[tie].append(one)
            if tie.used:
                for r in doubts:
                    reasons.setdefault(r.code, r)
    used = [f for t, fits in found.items() if t.used for f in fits]
    if not used:
        assert last is not None
        raise last
    order = np.argsort(np.concatenate(place.scale), kind="stable")
    global_weights = dict(zip(map(id, used), _weights(used, order), strict=True))
    cells = cell_ids(pair, laws[0].axes)
    sets = []
    for tie, fits in found.items():
        if not fits:
            continue
        weights = _weights(fits, order)
        sets.append(
            TieSet(
                tie=tie,
                fits=tuple(fits),
                weights=weights,
                share=float(sum(global_weights.get(id(f), 0.0) for f in fits)),
                reader=_reader(cells, pair, fits[int(np.argmax(weights))], alpha),
            )
        )
    return sets, list(reasons.values())


def answer_of(sets: Sequence[TieSet], curves: Sequence[Curves]) -> Answer:
    """Answer that holds those of all sets used."""
    parts = [(s, c) for s, c in zip(sets, curves, strict=True) if s.tie.used]
    total = sum(s.share for s, _ in parts)
    shares = [s.share / total if total > 0 else 1 / len(parts) for s, _ in parts]
    return joined([read(c, s.reader) for s, c in parts], shares)


def _weights(fits: Sequence[RecipeFit], order: npt.NDArray[np.int64]) -> Array:
    """Akaike weights; those below a hundredth get none."""
    residuals = np.array([f.residuals[order] for f in fits])
    squares = all(math.isinf(f.objective.delta) for f in fits)
    found = akaike(
        residuals, np.ones_like(residuals), [f.theta.size for f in fits], squares=squares
    )
    found = np.where(found < 0.01, 0.0, found)
    return np.asarray(found / found.sum())


def _reader(cells: npt.NDArray[np.int64], pair: Pair, heavy: RecipeFit, alpha: float) -> Reader:
    """Degrees of freedom, and by how much draws are too narrow.

    Of n cells, each recipe in each cell takes its share of the parameters; draws of cells know
    nothing of that, so their width is multiplied by the root of n over what is left, and the
    normal gives way to Student's distribution.
    """
    count = len(np.unique(cells))
    side = np.repeat([0, 1], [len(t) for t in pair])
    taken = len(np.unique(cells * 2 + side))
    freedom = max(count - heavy.theta.size * count / taken, 1.0)
    return Reader(
        alpha=alpha,
        freedom=freedom,
        widening=math.sqrt(count / freedom),
        method=f"{heavy.method}, t({freedom:.3g})",
    )
