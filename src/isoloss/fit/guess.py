"""Starts for any formula: trials over the sizes of its parameters, the linear ones solved for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isoloss._core.arrays import Array
from isoloss.fit.starts import lattice
from isoloss.fit.units import exponents, locations, waves
from isoloss.laws.calculus import derivative, linear_parameters
from isoloss.laws.expression import mul, parameter, sub
from isoloss.laws.law import Law
from isoloss.laws.tape import evaluate

ROWS = 128
"""Trials are judged on at most this many rows."""
TRIALS = 512
WAVE_TRIALS = 4096
BLOCK = 512


class Guesser:
    """Trial parameters of a law on data, judged by least squares with the linear ones solved for.

    Parameters
    ----------
    law, x, y, weights
        The law, its columns, what is fitted, and weights of the rows.
    size
        Size of each parameter, (p,).
    """

    def __init__(
        self, law: Law, x: Mapping[str, Array], y: Array, weights: Array, size: Array
    ) -> None:
        rows = np.unique(np.linspace(0, len(y) - 1, ROWS).astype(int))
        self.law, self.size = law, size
        self.x = {a: v[rows] for a, v in x.items()}
        self.y, self.root = y[rows], np.sqrt(weights[rows])
        self.places = locations(law, self.x)
        self.waves = waves(law)
        # Powers of the axes in the unit of each: a rate, an angle or a period.
        self.power = exponents(law)[:, :-1].sum(axis=1)
        self.cycles = np.pi * max(len(np.unique(v)) for v in x.values())
        names = [parameter(n) for n in law.names]
        linear = linear_parameters(law.expression, names)
        self.linear = [law.names.index(str(a.value)) for a in linear]
        self.others = [i for i in range(len(names)) if i not in self.linear]
        self.lower = np.array([p.lower for p in law.parameters])
        self.upper = np.array([p.upper for p in law.parameters])
        rest = law.expression
        for a in linear:
            rest = sub(rest, mul(a, derivative(law.expression, a)))
        self.basis = [*(derivative(law.expression, a) for a in linear), rest]

    @property
    def resolved(self) -> bool:
        """Whether the trials are as dense as the optima that waves make."""
        return not self.waves or (len(self.others) == 1 and 2 * self.cycles < WAVE_TRIALS)

    def spread(self) -> Array:
        """Trials over the sizes of the parameters, of either sign, (k, p)."""
        cube = lattice(WAVE_TRIALS if self.waves else TRIALS, len(self.others))
        trial = np.ones((len(cube), len(self.size)))
        for column, i in enumerate(self.others):
            trial[:, i] = np.clip(self._values(i, cube[:, column]), self.lower[i], self.upper[i])
        return trial

    def _values(self, i: int, c: Array) -> Array:
        """Map the unit interval to values that a parameter may have."""
        low, high, size = self.lower[i], self.upper[i], self.size[i]
        if np.isfinite(low) and np.isfinite(high):
            return np.asarray(low + c * (high - low))
        if i in self.waves:
            # Evenly spaced cycles over the data, as many as can be told apart.
            power = self.power[i]
            if abs(power) < 0.5:
                return 2 * np.pi * c
            return np.asarray(size * np.maximum(self.cycles * c, 0.1) ** -np.sign(power))
        if low >= 0:
            return np.asarray(low + size * 10 ** (4 * c - 3))
        if high <= 0:
            return np.asarray(high - size * 10 ** (4 * c - 3))
        # Both signs, from a thousandth of the size to ten times it, dense towards zero.
        wide = size * 10 * np.sinh(9.9 * (2 * c - 1)) / np.sinh(9.9)
        if i not in self.places:
            return np.asarray(wide)
        inside = self.places[i][0] + c * (self.places[i][1] - self.places[i][0])
        return np.where(np.arange(len(c)) % 2, inside, wide)

    def around(self, start: Array, factor: float) -> Array:
        """Trials within a factor of a given start, signs kept, (k, p)."""
        cube = lattice(TRIALS // 2, len(self.others))
        trial = np.repeat(start[None], len(cube), axis=0)
        for column, i in enumerate(self.others):
            c = 2 * cube[:, column] - 1
            moved = start[i] * factor**c if start[i] else self.size[i] * c * (factor - 1) / factor
            trial[:, i] = np.clip(moved, self.lower[i], self.upper[i])
        return trial

    def solved(self, trial: Array) -> tuple[Array, Array]:
        """Put the best values of the linear parameters into trials; give their sums of squares."""
        blocks = [self._block(trial[i : i + BLOCK]) for i in range(0, len(trial), BLOCK)]
        return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])

    @np.errstate(all="ignore")
    def _block(self, trial: Array) -> tuple[Array, Array]:
        shape = (len(trial), len(self.y))
        leaves = {n: trial[:, i, None] for i, n in enumerate(self.law.names)} | dict(self.x)
        columns = [np.broadcast_to(v, shape) for v in evaluate(self.basis, leaves)]
        target = (self.y - columns[-1]) * self.root
        out = trial.copy()
        if self.linear:
            design = np.stack(columns[:-1], axis=-1) * self.root[:, None]
            fine = np.isfinite(design).all(axis=(1, 2)) & np.isfinite(target).all(axis=1)
            length = np.sqrt(np.einsum("bnk,bnk->bk", design, design))
            length[~(length > 0)] = 1.0
            design[~fine] = 0.0
            unit = design / length[:, None]
            # A start need not be exact: normal equations with a ridge where they are singular.
            gram = unit.transpose(0, 2, 1) @ unit + 1e-12 * np.eye(len(self.linear))
            aim = np.where(fine[:, None], target, 0.0)[:, :, None]
            best = np.linalg.solve(gram, unit.transpose(0, 2, 1) @ aim)[:, :, 0] / length
            best = np.clip(best, self.lower[self.linear], self.upper[self.linear])
            out[:, self.linear] = best
            target = target - (design @ best[:, :, None])[:, :, 0]
            target[~fine] = np.inf
        value = np.sum(target**2, axis=1)
        return out, np.where(np.isfinite(value), value, np.inf)

    def best(self, groups: Sequence[Array], keep: int) -> Array:
        """Best of each group of trials that differ from each other, (k, p)."""
        chosen: list[Array] = []
        for trial in groups:
            solved, value = self.solved(trial)
            mine: list[Array] = []
            for i in np.argsort(value, kind="stable"):
                if not np.isfinite(value[i]) or len(mine) == keep:
                    break
                if all(self._apart(solved[i], other) for other in mine):
                    mine.append(solved[i])
            chosen += mine
        return np.array(chosen).reshape(-1, len(self.size))

    def _apart(self, a: Array, b: Array) -> bool:
        """Whether two trials differ by a fifth in something that is not solved for."""
        i = self.others
        gap = np.abs(a[i] - b[i])
        return bool(np.any(gap > 0.2 * np.maximum(np.abs(a[i]), np.abs(b[i]))))
