"""Every form fitted to the pilots of one score: which the pilots exclude, and draws of the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import FitError
from isoloss.fit import fit
from isoloss.laws.law import Law
from isoloss.prune.pilots import NONE, POLICIES, Pilots
from isoloss.prune.verdict_forms import (
    CURVES,
    EXACT,
    WORTHS,
    Design,
    columns,
    least_share,
    make_law,
    perceptron_law,
    within_table,
)
from isoloss.runs.table import Runs

REJECTED = 0.01
"""Forms with an Akaike weight below this share of the best one's are excluded."""
RESAMPLE = "wild"
_EXACT_DRAWS = 100
"""Draws of the exact form, at most: each refit costs as much as thirty of the others."""
_BACKTEST_DRAWS = 60
_SEEDS_FREEDOM = 10
"""Repeated runs from which the noise is modelled as a power of scale."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Pilots of one setting together: policy, share, sizes, mean log outcome, runs, (cells,)."""

    policy: npt.NDArray[np.str_]
    keep: Array
    pool: Array
    D: Array
    log_mean: Array
    runs: Array
    noise: float
    freedom: int
    of_row: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedForm:
    """One form with its draws.

    Attributes
    ----------
    law, theta, draws
        In units of the mean size and mean outcome; row 0 of what is predicted is ``theta``.
    weight
        Akaike weight among the forms, for what is called the best guess.
    excluded
        Whether the pilots exclude it.
    misfit
        Chi-squared of cell means over its degrees of freedom.
    missed
        Standard deviation of log outcome by which it misses means of cells beyond noise.
    level_discrepancy, gain_discrepancy
        Standard deviation of log outcome, and of the log gain, per root of a unit of log reach: by
        how much the largest pilots were missed when forecast from the others, beyond noise.
    """

    law: Law
    theta: Array
    draws: Array
    status: str
    chi2: float
    misfit: float
    weight: float
    excluded: bool
    missed: float
    level_discrepancy: float
    gain_discrepancy: float
    seed: int

    def log_outcome(self, world: World, policy: str, keep: Any, D: Any) -> Array:
        """Log outcome of every draw, best fit first, (1 + draws, n)."""
        at = np.atleast_1d(np.asarray(D, dtype=np.float64))
        share = np.broadcast_to(np.asarray(keep, dtype=np.float64), at.shape)
        found = self._formula(world, np.vstack([self.theta, self.draws]), policy, share, at)
        return np.asarray(found + self._miss(world, policy, share, at))

    def _formula(self, world: World, theta: Array, policy: str, keep: Array, D: Array) -> Array:
        table = columns(D / world.x0, policy, keep, world.designs)
        if self.law.name == EXACT:
            table = {name: np.tile(v, (len(theta), 1)) for name, v in table.items()}
            table = within_table(table, theta[:, self.law.names.index("M")])
        with np.errstate(all="ignore"):
            found = np.log(self.law(theta, {a: table[a] for a in self.law.axes}))
        return np.asarray(found + math.log(world.unit))

    def _miss(self, world: World, policy: str, keep: Array, D: Array) -> Array:
        """Errors of the form: one for all policies, and one more for each of them.

        Within the pilots a form misses by what its misfit shows. Beyond them it also misses as it
        did where the largest pilots were held out, and slopes may go on changing, or stop, as they
        changed over the pilots.
        """
        normal = np.random.default_rng([self.seed, 7]).standard_normal((9, len(self.draws)))
        reach = np.log(world.reach(keep, D))
        bend, turn = self._bends(world, policy, keep)
        who = 0 if policy == NONE else 1 + POLICIES.index(policy)
        # The misfit of random rows is their own: gains miss by it as well.
        size = self.missed * normal[6 + who][:, None] + (
            self.level_discrepancy * normal[0][:, None] * np.sqrt(reach)
            + bend * normal[3][:, None] * world.swing(reach)
        )
        if who:
            size = size + self.gain_discrepancy * normal[who][:, None] * np.sqrt(reach)
            size = size + turn * normal[3 + who][:, None] * world.swing(reach)
        return np.vstack([np.zeros((1, len(reach))), size])

    def _bends(self, world: World, policy: str, keep: Array) -> tuple[float, Array]:
        """Change of the slope of log loss, and of log gain at each share, a unit of log D."""
        sizes = np.geomspace(world.cells.D.min(), world.cells.D.max(), 3)
        half = math.log(sizes[1] / sizes[0])
        if half < 0.1:
            return 0.0, np.zeros(keep.shape)

        def change(name: str, share: float) -> float:
            at = np.full(3, share)
            v = self._formula(world, self.theta[None], name, at, sizes)[0]
            return float(v[0] - 2 * v[1] + v[2]) / half**2

        # A solved model has no slopes of its own to drift, unless the pilots contradict it.
        trust = min(max(1 - 2 / max(self.misfit, 1e-9), 0.0), 1.0) if self.law.name == EXACT else 1
        base = change(NONE, 1.0)
        if policy == NONE or trust == 0:
            return trust * abs(base), np.zeros(keep.shape)
        shares, back = np.unique(keep, return_inverse=True)
        turns = np.array([change(policy, float(k)) - base for k in shares])
        return trust * abs(base), np.nan_to_num(trust * np.abs(turns))[back]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """What the forms were fitted to, and their units."""

    cells: Cells
    designs: tuple[Design, ...]
    x0: float
    unit: float

    def swing(self, reach: Array) -> Array:
        """Log outcome after a slope has gone on changing by one a unit of log reach.

        It changes no longer than over the range of the pilots, and then stays.
        """
        most = np.minimum(reach, math.log(self.cells.D.max() / self.cells.D.min()))
        return np.asarray(most * (reach - most / 2))

    def reach(self, keep: Any, D: Any) -> Array:
        """How many times beyond the pilots a size lies, by examples kept or by pool; 1 within."""
        size, pool = np.asarray(D, dtype=np.float64), np.asarray(D / np.asarray(keep))
        up = np.maximum(size / self.cells.D.max(), pool / self.cells.pool.max())
        down = np.minimum(self.cells.D.min() / size, self.cells.pool.min() / pool)
        return np.asarray(np.maximum(np.maximum(up, down), 1.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedForms:
    """All forms of one outcome, and those that count."""

    world: World
    forms: tuple[FittedForm, ...]
    dropped: tuple[tuple[str, str], ...]
    backtested: bool

    @property
    def kept(self) -> tuple[FittedForm, ...]:
        """Forms that the pilots do not exclude."""
        return tuple(f for f in self.forms if not f.excluded)

    @property
    def best(self) -> FittedForm:
        """Form with the largest weight."""
        return max(self.forms, key=lambda f: f.weight)

    def log_outcomes(self, policy: str, keep: Any, D: Any) -> list[Array]:
        """Draws of each form that counts, (1 + draws, n)."""
        return [f.log_outcome(self.world, policy, keep, D) for f in self.kept]

    def centre(self, values: Sequence[Array]) -> Array:
        """Mean of the best fits over forms, by weight; of one array of draws a form."""
        weights = np.array([f.weight for f in self.kept])
        first = np.array([v[0] for v in values])
        good = np.isfinite(first)
        shares = weights.reshape(-1, *[1] * (first.ndim - 1)) * good
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.sum(np.where(good, first, 0.0) * shares, axis=0) / np.sum(shares, axis=0)
        return np.asarray(found)


def make_cells(pilots: Pilots, outcome: str) -> tuple[Cells, Pilots]:
    """Group runs by setting; rows without the outcome are left out."""
    table = pilots.take(np.isfinite(pilots.values[outcome]))
    logs = np.log(table.values[outcome])
    keys = list(zip(table.policy, table.keep.tolist(), table.D.tolist(), strict=True))
    order = sorted(set(keys))
    number = {key: i for i, key in enumerate(order)}
    of_row = np.array([number[key] for key in keys])
    runs = np.bincount(of_row, minlength=len(order)).astype(np.float64)
    mean = np.bincount(of_row, logs) / runs
    pool = np.bincount(of_row, table.pool) / runs
    freedom = int(np.sum(runs - 1))
    noise = math.sqrt(float(np.sum((logs - mean[of_row]) ** 2)) / max(freedom, 1))
    cells = Cells(
        policy=np.array([k[0] for k in order]), keep=freeze([k[1] for k in order]),
        pool=freeze(pool), D=freeze([k[2] for k in order]), log_mean=freeze(mean),
        runs=freeze(runs), noise=noise, freedom=freedom, of_row=of_row,
    )  # fmt: skip
    return cells, table


def make_designs(cells: Cells) -> tuple[Design, ...]:
    """Say what can be told about each policy that was tried."""
    found = []
    for policy in POLICIES:
        mine = cells.policy == policy
        if not mine.any():
            continue
        keeps = np.unique(cells.keep[mine])
        sizes = [np.ptp(np.log(cells.D[mine & (cells.keep == k)])) for k in keeps]
        found.append(
            Design(policy=policy, curved=len(keeps) > 1, scaled=max(sizes) > math.log(1.5))
        )
    return tuple(found)


def forms_for(designs: Sequence[Design], cells: Cells, *, exact: bool) -> list[Law]:
    """Forms that the design can tell anything about."""
    scaled = any(d.scaled for d in designs)
    worths = [w for w in WORTHS if scaled or w == "constant"]
    laws = [make_law(curve, worth, designs) for curve in CURVES for worth in worths]
    if exact and float(cells.keep.min()) >= least_share():
        laws.append(perceptron_law(designs))
    return laws


def fit_forms(
    pilots: Pilots, outcome: str, *, draws: int, rng: int, exact: bool = True,
    on_step: Callable[[str], None] | None = None,
) -> FittedForms:  # fmt: skip
    """Fit every form, weigh them, and forecast the largest pilots from the others.

    Raises
    ------
    FitError
        If no form can be fitted.
    """
    cells, table = make_cells(pilots, outcome)
    designs = make_designs(cells)
    world = World(
        cells=cells, designs=designs, x0=math.exp(float(np.mean(np.log(cells.D)))),
        unit=math.exp(float(np.mean(cells.log_mean))),
    )  # fmt: skip
    runs = _runs(world, table, outcome)
    held = _held_out(cells)
    forms, dropped = [], []
    for law in forms_for(designs, cells, exact=exact):
        if on_step:
            on_step(f"fitting {law.name}")
        try:
            forms.append(_fit_one(world, runs, law, draws, rng, held))
        except FitError as error:
            dropped.append((law.name, str(error)))
    if not forms:
        raise FitError("NO_FORM", f"no form could be fitted: {dropped[0][1]}")
    return FittedForms(
        world=world, forms=_weighed(forms, cells), dropped=tuple(dropped),
        backtested=held is not None,
    )  # fmt: skip


def _runs(world: World, table: Pilots, outcome: str) -> dict[str, Array]:
    """Columns of all forms, one row a run."""
    policy = np.array(table.policy)
    parts = [
        (mine, columns(table.D[mine] / world.x0, name, table.keep[mine], world.designs))
        for name in (NONE, *POLICIES)
        if (mine := policy == name).any()
    ]
    found = {name: np.empty(len(table)) for name in parts[0][1]}
    for mine, part in parts:
        for name, values in part.items():
            found[name][mine] = values
    found["loss"] = table.values[outcome] / world.unit
    return found


def _held_out(cells: Cells) -> npt.NDArray[np.bool_] | None:
    """Cells of the largest size, by pool or by D, whichever the design has fewer of."""
    plain = cells.policy == NONE
    by_pool = len(np.unique(cells.pool)) <= len(np.unique(cells.D))
    size = cells.pool if by_pool else cells.D
    levels = np.unique(size[plain])
    if len(levels) < 4:
        return None
    held = size >= levels[-1]
    rest = ~held & ~plain
    return held if (held & ~plain).any() and rest.any() else None


def _fit_one(
    world: World, runs: dict[str, Array], law: Law, draws: int, rng: int,
    held: npt.NDArray[np.bool_] | None,
) -> FittedForm:  # fmt: skip
    cells = world.cells
    noise = "seeds" if cells.freedom >= _SEEDS_FREEDOM and cells.noise > 0 else "constant"
    most = min(draws, _EXACT_DRAWS) if law.name == EXACT else draws

    def solve(rows: npt.NDArray[np.bool_], count: int) -> Any:
        table = {a: runs[a][rows] for a in (*law.axes, "loss")}
        return fit(
            Runs(columns=table), law, objective="lsq", noise=noise, draws=count,
            resample=RESAMPLE, rng=rng,
        )  # fmt: skip

    found = solve(np.ones(len(runs["loss"]), dtype=bool), most)
    form = FittedForm(
        law=law, theta=freeze(found.theta), draws=freeze(found.draws), status=found.status,
        chi2=_chi2(found, cells), misfit=1.0, weight=0.0, excluded=False, missed=0.0,
        level_discrepancy=0.0, gain_discrepancy=0.0, seed=rng,
    )  # fmt: skip
    if held is None:
        return form
    try:
        below = solve(~held[cells.of_row], _BACKTEST_DRAWS)
    except FitError:
        return form
    level, gain = _discrepancy(
        replace(form, theta=freeze(below.theta), draws=freeze(below.draws)), world, held
    )
    return replace(form, level_discrepancy=level, gain_discrepancy=gain)


def _chi2(found: Any, cells: Cells) -> float:
    """Chi-squared of the means of cells, by the spread within them, weights as in the fit."""
    w, r = found.weights, found.residuals
    total = np.bincount(cells.of_row, w)
    mean = np.bincount(cells.of_row, w * r) / total
    within = float(np.sum(w * (r - mean[cells.of_row]) ** 2)) / max(cells.freedom, 1)
    return float(np.sum(total * mean**2)) / max(within, 1e-18)


def _weighed(forms: list[FittedForm], cells: Cells) -> tuple[FittedForm, ...]:
    """Akaike weights with the variance that the best form leaves, at least that of seeds."""
    chi2 = np.array([f.chi2 for f in forms])
    count = np.array([len(f.theta) for f in forms])
    freedom = np.maximum(len(cells.D) - count, 1)
    misfit = chi2 / freedom
    usable = np.array([f.status != "failed" and len(f.draws) > 1 for f in forms])
    if not usable.any():
        raise FitError("NO_FORM", "no form could be fitted; add sizes and seeds")
    scale = max(float(np.min(misfit[usable])), 1.0)
    score = np.where(usable, -0.5 * (chi2 / scale + 2 * count), -np.inf)
    weight = np.exp(score - score.max())
    share = weight / weight.sum()
    return tuple(
        replace(
            form, misfit=float(m), weight=float(w), missed=_missed(float(m), cells),
            excluded=not bool(u) or float(w) < REJECTED * float(share.max()),
        )
        for form, m, w, u in zip(forms, misfit, share, usable, strict=True)
    )  # fmt: skip


def _missed(misfit: float, cells: Cells) -> float:
    """Measure what the noise of seeds leaves unexplained in means of cells, in log outcome."""
    return cells.noise * math.sqrt(max(misfit - 1, 0.0) / float(np.mean(cells.runs)))


def _discrepancy(
    below: FittedForm, world: World, held: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Compare a forecast of the held-out cells with what they measured, beyond noise."""
    cells = world.cells
    missed, allowed, plain = [], [], []
    for i in np.flatnonzero(held):
        found = below.log_outcome(
            world, str(cells.policy[i]), cells.keep[i : i + 1], cells.D[i : i + 1]
        )[:, 0]
        missed.append(found - cells.log_mean[i])
        allowed.append(cells.noise**2 / cells.runs[i])
        plain.append(cells.policy[i] == NONE)
    miss, noise, bare = np.array(missed), np.array(allowed), np.array(plain)
    size = cells.D if len(np.unique(cells.D)) < len(np.unique(cells.pool)) else cells.pool
    reach = max(math.log(float(size[held].max() / size[~held].max())), 0.1)
    level = _beyond(miss, noise)
    if not bare.any():
        return math.sqrt(level / reach), math.sqrt(level / reach)
    apart = miss[~bare] - np.mean(miss[bare], axis=0)
    gain = _beyond(apart, noise[~bare] + float(np.mean(noise[bare])) / int(bare.sum()))
    return math.sqrt(level / reach), math.sqrt(gain / reach)


def _beyond(miss: Array, noise: Array) -> float:
    """Mean square of misses less what noise and draws explain, (cells, 1 + draws) in."""
    if not miss.size:
        return 0.0
    spread = np.var(miss[:, 1:], axis=1) if miss.shape[1] > 2 else np.zeros(len(miss))
    found = float(np.mean(miss[:, 0] ** 2 - noise - spread))
    return max(found, 0.0) if math.isfinite(found) else 0.0
