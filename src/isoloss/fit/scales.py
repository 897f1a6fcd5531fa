"""Which scale carries the answer: every level of the design left out once, in one batch."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.fit.disagree import disagreement
from isoloss.fit.influence import parameter_quantities
from isoloss.fit.lawset import LawSet
from isoloss.fit.leave_out import Measured, Quantity, leading, measure
from isoloss.fit.levels import Level, scale_levels
from isoloss.fit.result import Fit
from isoloss.runs import Runs

DECIDES = 2.5
"""A level decides the answer when the answer moves by more standard errors than this without it.

Leaving a whole level out takes a good part of what is known with it, so one or two standard
errors are what chance does; see LOG.md for how often chance does more.
"""

DISAGREES = 3.0
"""It disagrees with the rest when the move is more than this beyond what was lost with it."""
MOST_JUDGED = 4
"""So many deciding levels, those that move most, are judged."""
MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaleInfluence:
    """Effect of leaving out each level of scale, size and data.

    Attributes
    ----------
    levels
        What was left out, one after the other.
    quantities
        What was looked at.
    full, error
        Value with all runs, and its standard error, by quantity; logarithms where
        `Quantity.log` says so.
    without
        Value without each level, (levels,), NaN where the rest does not determine it.
    reasons
        Why a level could not be left out; empty where it could.
    decides
        Levels without which something that was asked for moves by more than `DECIDES` standard
        errors, (levels,) of bool.
    disagreement
        For levels that decide: the move in standard errors of the difference (see
        `isoloss.fit.disagree`), (levels,); NaN for others. Above `DISAGREES` the level says
        something else than the rest; below, it is only missed.
    suspect
        Index of the level whose removal gives the second answer, ``None`` if none decides: of
        those that disagree, or else of all that decide, the one without which the other runs
        agree best with the laws. A level that went wrong makes others decide as well.
    laws
        Names of the laws, and their weights, which are held.
    sentence
        For people.
    """

    levels: tuple[Level, ...]
    quantities: Mapping[str, Quantity]
    full: Mapping[str, float]
    error: Mapping[str, float]
    without: Mapping[str, Array]
    reasons: tuple[str, ...]
    decides: npt.NDArray[np.bool_]
    disagreement: Array
    suspect: int | None
    laws: Mapping[str, float]
    sentence: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "without", {n: freeze(v) for n, v in self.without.items()})

    def shift(self, name: str) -> Array:
        """Change of a quantity in standard errors, (levels,)."""
        return (self.without[name] - self.full[name]) / self.error[name]

    @property
    def decisive(self) -> Level | None:
        """Level that is suspect, if any is: the one whose removal gives the second answer."""
        return None if self.suspect is None else self.levels[self.suspect]

    @property
    def disagrees(self) -> npt.NDArray[np.bool_]:
        """Levels that say something else than the rest, (levels,) of bool."""
        return np.nan_to_num(self.disagreement) > DISAGREES

    def to_dict(self) -> dict[str, Any]:
        """Plain types; values in the units of people, shifts in standard errors."""
        rows = []
        for k, level in enumerate(self.levels):
            row = level.to_dict() | {
                "reason": self.reasons[k] or None,
                "decides": bool(self.decides[k]),
                "disagrees": bool(self.disagrees[k]),
                "disagreement": _finite(self.disagreement[k]),
                "without": {n: self._shown(n, k) for n in self.quantities},
                "standard_errors": {n: _finite(self.shift(n)[k]) for n in self.quantities},
            }
            rows.append(row)
        return {
            "sentence": self.sentence,
            "weights_held": dict(self.laws),
            "full": {n: q.shown(self.full[n]) for n, q in self.quantities.items()},
            "levels": rows,
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table by level."""
        table: dict[str, list[Any]] = {
            "level": [v.name for v in self.levels],
            "n_runs": [v.n_runs for v in self.levels],
        }
        for n in self.quantities:
            table[n] = [self._shown(n, k) for k in range(len(self.levels))]
            table[f"{n}_standard_errors"] = [_finite(v) for v in self.shift(n)]
        return table | {"decides": self.decides.tolist()}

    def summary(self) -> str:
        """Table for people: levels down, quantities across."""
        if not self.levels:
            return self.sentence
        width = max(len(v.name) for v in self.levels)
        head = f"  {'left out':<{width}} {'runs':>5}"
        lines = [head + "".join(f" {n:>18}" for n in self.quantities)]
        for k, level in enumerate(self.levels):
            line = f"  {level.name:<{width}} {level.n_runs:>5}"
            for n in self.quantities:
                value, errors = self._shown(n, k), self.shift(n)[k]
                text = "-" if value is None else f"{value:.4g} ({errors:+.1f} se)"
                line += f" {text:>18}"
            mark = "  disagrees" if self.disagrees[k] else "  decides" if self.decides[k] else ""
            lines.append(line + mark)
        return "\n".join([*lines, self.sentence])

    def __repr__(self) -> str:
        return f"ScaleInfluence({len(self.levels)} levels; {self.sentence})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"

    def _shown(self, name: str, k: int) -> float | None:
        return _finite(self.quantities[name].shown(self.without[name][k]))


def scale_influence(
    laws: LawSet | Fit,
    runs: Runs,
    quantities: Mapping[str, Quantity] | None = None,
    *,
    levels: Sequence[Level] | None = None,
) -> ScaleInfluence:
    """Leave out each level of scale, and each N and each D of a grid, and refit.

    All levels are one batch of each law. Under a law set its weights are held, so what moves is
    what the laws say, not how far each is believed.

    Parameters
    ----------
    laws
        A fit, or a law set.
    runs
        What they were fitted to.
    quantities
        Name to `Quantity`; by default the exponents and the floor of the only or leading law.
    levels
        Other sets of runs to leave out than those of `scale_levels`.

    Examples
    --------
    >>> N = np.tile([1e7, 3e7, 1e8, 3e8, 1e9], 5)
    >>> D = np.repeat([3e8, 1e9, 3e9, 1e10, 3e10], 5)
    >>> loss = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
    >>> loss[N == 1e9] *= 1.05
    >>> runs = Runs(columns={"N": N, "D": D, "loss": loss})
    >>> from isoloss.fit import fit
    >>> found = scale_influence(fit(runs, objective="lsq", draws=200), runs)
    >>> found.decisive
    Level(N = 1e+09; 5 runs)
    """
    axes = laws.law.axes if isinstance(laws, Fit) else laws.axes
    chosen = tuple(scale_levels(runs, axes) if levels is None else levels)
    wanted = dict(parameters_of(laws) if quantities is None else quantities)
    masks = np.array([v.rows for v in chosen], dtype=bool).reshape(len(chosen), len(runs))
    found = measure(laws, runs, wanted, masks)
    names = _answers(wanted)
    shifts = [np.abs(found.shift(n)) for n in names]
    worst = np.max(np.nan_to_num(shifts), axis=0) if shifts else np.zeros(len(chosen))
    decides = worst > DECIDES
    apart = np.full(len(chosen), np.nan)
    answers = {n: wanted[n] for n in names}
    for k in np.argsort(-worst, kind="stable")[:MOST_JUDGED]:
        if decides[k]:
            apart[k] = disagreement(laws, runs, answers, found, int(k), masks[k])
    disagrees = np.nan_to_num(apart) > DISAGREES
    allowed = disagrees if disagrees.any() else decides
    suspect = int(np.argmin(np.where(allowed, found.misfit, np.inf))) if decides.any() else None
    held = (
        {laws.law.name: 1.0}
        if isinstance(laws, Fit)
        else {f.law.name: float(w) for f, w in zip(laws.fits, laws.weights, strict=True)}
    )
    return ScaleInfluence(
        levels=chosen,
        quantities=wanted,
        full=found.full,
        error=found.error,
        without=found.without,
        reasons=tuple(found.reasons),
        decides=decides,
        disagreement=apart,
        suspect=suspect,
        laws=held,
        sentence=_sentence(
            chosen, wanted, found, worst, suspect, apart, n_laws=sum(w > 0 for w in held.values())
        ),
    )


def parameters_of(laws: LawSet | Fit, *, answer: bool = True) -> dict[str, Quantity]:
    """Make quantities of the exponents and the floor of the only or leading law."""
    law = laws.law if isinstance(laws, Fit) else laws.best.law
    return {
        n: leading(laws, n, function, answer=answer)
        for n, function in parameter_quantities(law).items()
    }


def _answers(quantities: Mapping[str, Quantity]) -> list[str]:
    return [n for n, q in quantities.items() if q.answer]


def _sentence(
    levels: Sequence[Level],
    quantities: Mapping[str, Quantity],
    found: Measured,
    worst: Array,
    suspect: int | None,
    apart: Array,
    *,
    n_laws: int,
) -> str:
    if not levels:
        return "The runs span too little scale to leave a part of it out."
    possible = np.array([not r for r in found.reasons])
    if not possible.any():
        return "Without any one level the rest does not determine the law."
    k = int(np.argmax(np.where(possible, worst, -1.0))) if suspect is None else suspect
    names = _answers(quantities)
    # Of several targets the first stands for all; the table has the others.
    named = names if len(names) <= MOST_NAMED else names[:2]
    moves = ", ".join(_move(n, quantities[n], found, k) for n in named)
    held = ", the weights of the laws held" if n_laws > 1 else ""
    text = f"Without {described(levels[k])} {moves}{held}"
    if suspect is None:
        return f"{text}. No one level decides the answer."
    count = int((worst > DECIDES).sum())
    others = f" ({count} levels do; without this one the rest agrees best)" if count > 1 else ""
    if np.nan_to_num(apart[k]) > DISAGREES:
        return (
            f"{text}. This level decides the answer{others}, and it does not agree with the rest. "
            "Both answers are given; find out what is different there before you trust either."
        )
    return (
        f"{text}. This level decides the answer{others}, but the move is no more than chance does "
        "where so little is left: the answer rests on it. Both answers are given."
    )


def described(level: Level) -> str:
    """Name a level in a sentence.

    Examples
    --------
    >>> rows = np.array([True, False])
    >>> described(Level(axis="C", low=1e19, high=1e19, rows=rows, extreme="largest"))
    'the largest budget (C = 1e+19, 1 run)'
    >>> described(Level(axis="N", low=1e7, high=1e7, rows=rows))
    'the runs at N = 1e+07 (1 run)'
    """
    runs = f"{level.n_runs} run{'s' if level.n_runs != 1 else ''}"
    if not level.extreme:
        return f"the runs at {level.name} ({runs})"
    what = "band of scale" if level.band else "budget" if level.axis == "C" else level.axis
    return f"the {level.extreme} {what} ({level.name}, {runs})"


def _move(name: str, quantity: Quantity, found: Measured, k: int) -> str:
    before, after = (quantity.shown(v) for v in (found.full[name], found.without[name][k]))
    errors = abs(float(found.shift(name)[k]))
    if not np.isfinite(after):
        return f"{quantity.title} is not determined"
    return f"{quantity.title} moves from {before:.4g} to {after:.4g} ({errors:.1f} standard errors)"


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
