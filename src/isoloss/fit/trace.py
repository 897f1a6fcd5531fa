"""Tracing a profile: batches of constrained fits, outwards from the optimum, then at the ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.constrained import minimise_at
from isoloss.fit.kernel import Kernel
from isoloss.fit.quantity import Quantity

FIRST = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""First points of a side, in units of where a quadratic objective would cross the threshold."""
WIDEN, ROUNDS = 3.0, 14
"""Later points lie this factor further out, this many times: to about five million widths."""
STIFF = 1e3
"""Weight of the constraint, in units of the curvature of the profile at the optimum."""
PATIENCE = 8
"""Steps without a minimum in a row, each a quarter of the last, before a side is given up."""
MOST_ROUNDS = 60
SIDES = (-1, 1)


class Trace:
    """Points of a profile, gathered from the optimum outwards.

    Attributes
    ----------
    v, rise, q
        Values of the quantity (m,), how far the objective rose in units of the threshold (m,),
        and the parameters (m, p), by increasing value.
    ends
        Where the rise reaches one below and above; the bounds of the quantity, perhaps infinite,
        where it does not.
    how
        ``"found"``, ``"bound"``, ``"open"``, or ``"lost"`` where no minimum was found further out,
        for each end.
    best
        Lowest objective met; below that of the fit if the fit was no minimum.
    """

    def __init__(
        self,
        kernel: Kernel,
        quantity: Quantity,
        weights: Array,
        q: Array,
        centre: float,
        *,
        threshold: float,
    ) -> None:
        self._kernel, self._quantity, self._weights = kernel, quantity, weights
        self._threshold, self._centre = threshold, centre
        terms = kernel.terms(q[None], weights[None])
        self.best = float(terms.value[0])
        _, slope, gradient, _ = quantity.terms(q[None], np.array([centre]))
        curvature, self._direction = self._shape(q, terms.hessian[0], terms.major[0], gradient[0])
        # For a quantity known by an equation alone, the curvature is that of the equation.
        self._direction = -self._direction * slope[0]
        self._width = float(np.sqrt(2 * threshold / curvature) / abs(slope[0]))
        self._mu, self._close = STIFF * curvature, 1e-9 * self._width * abs(float(slope[0]))
        self.v, self.q = np.array([centre]), q[None].copy()
        self._value = np.array([self.best])
        self.ends = [quantity.lower, quantity.upper]
        self.how = ["open", "open"]

    def _shape(
        self, q: Array, hessian: Array, major: Array, gradient: Array
    ) -> tuple[float, Array]:
        """Curvature of the profile at the optimum, and how the parameters move along it."""
        lower, upper = self._kernel.lower, self._kernel.upper
        free = (q > lower) & (q < upper)
        if not np.any(gradient[free]):
            free = np.ones_like(free)
        inner = np.ix_(free, free)
        matrix = hessian[inner]
        if not (np.linalg.eigvalsh(matrix) > 0).all():
            matrix = major[inner]
        inverse = np.linalg.pinv(matrix, rcond=1e-14, hermitian=True)
        move = inverse @ gradient[free]
        reach = max(float(gradient[free] @ move), 1e-300)
        direction = np.zeros_like(q)
        direction[free] = move / reach
        return 1 / reach, direction

    @property
    def rise(self) -> Array:
        """Rise of the objective over the lowest met, in units of the threshold."""
        return np.asarray((self._value - self.best) / self._threshold)

    def run(self) -> None:
        """Walk outwards, make sure that no point is stuck, and find where the rise is one."""
        strides = [
            Stride(side, self._centre, self._width, bound)
            for side, bound in zip(SIDES, (self._quantity.lower, self._quantity.upper), strict=True)
        ]
        for _ in range(3):
            self._walk(strides)
            self._sweep()
            # A point that was stuck and came down may end a side below the threshold after all.
            for stride in strides:
                if stride.how == "found" and self._bracket(stride.side) is None:
                    stride.how = "walking"
        for i, stride in enumerate(strides):
            self.how[i] = "lost" if stride.how == "walking" else stride.how
        self._settle()

    def _solve(self, v: Array, starts: Array) -> tuple[Array, Array, Array]:
        """Fit at each value from each of several starts, (k, B, p), and keep the lowest."""
        k = len(starts)
        q, value, reached = minimise_at(
            self._kernel,
            self._quantity,
            np.tile(v, k),
            np.clip(starts.reshape(k * len(v), -1), self._kernel.lower, self._kernel.upper),
            weights=self._weights,
            mu=self._mu,
            close=self._close,
        )
        value = value.reshape(k, -1)
        pick = np.argmin(value, axis=0), np.arange(len(v))
        return value[pick], reached.reshape(k, -1)[pick], q.reshape(k, len(v), -1)[pick]

    def _add(self, v: Array, value: Array, q: Array) -> None:
        order = np.argsort(np.concatenate([self.v, v]), kind="stable")
        self.v = np.concatenate([self.v, v])[order]
        self._value = np.concatenate([self._value, value])[order]
        self.q = np.concatenate([self.q, q])[order]
        self.best = min(self.best, float(self._value.min()))

    def _walk(self, strides: Sequence[Stride]) -> None:
        """Go outwards on both sides until the rise is above one, or a bound, or for ever.

        A step that finds no minimum is tried again a quarter as long.
        """
        for _ in range(MOST_ROUNDS):
            walking = [s for s in strides if s.how == "walking"]
            if not walking:
                break
            aims = [s.aims(float(self.v[0 if s.side < 0 else -1])) for s in walking]
            v = np.concatenate(aims)
            edge = np.repeat(
                [0 if s.side < 0 else len(self.v) - 1 for s in walking], [len(a) for a in aims]
            )
            ahead = (v - self.v[edge])[:, None] * self._direction
            value, reached, q = self._solve(v, np.stack([self.q[edge], self.q[edge] + ahead]))
            met = np.isfinite(value)
            self._add(reached[met], value[met], q[met])
            ends = np.cumsum([len(a) for a in aims])
            for stride, end, aim in zip(walking, ends, aims, strict=True):
                mine = slice(end - len(aim), end)
                stride.judge(v[mine], met[mine], (value[mine] - self.best) / self._threshold)

    def _sweep(self) -> None:
        """Fit every point again from what its neighbours found; keep what is lower."""
        if len(self.v) < 3:
            return
        below = np.concatenate([self.q[:1], self.q[:-1]])
        above = np.concatenate([self.q[1:], self.q[-1:]])
        value, reached, q = self._solve(self.v, np.stack([below, above]))
        better = value < self._value
        self.v = np.where(better, reached, self.v)
        self._value = np.where(better, value, self._value)
        self.q = np.where(better[:, None], q, self.q)
        self.best = min(self.best, float(self._value.min()))

    def _settle(self) -> None:
        """Find where the rise is one, by secants of its root, both ends in one batch."""
        brackets = {side: found for side in SIDES if (found := self._bracket(side)) is not None}
        for side in brackets:
            self.how[SIDES.index(side)] = "found"
        for i in range(40):
            ask = [s for s in brackets if not brackets[s].done]
            if not ask:
                break
            v = np.array([brackets[s].guess(i) for s in ask])
            near = np.array([int(np.argmin(np.abs(self.v - x))) for x in v])
            ahead = (v - self.v[near])[:, None] * self._direction
            value, reached, q = self._solve(v, np.stack([self.q[near], self.q[near] + ahead]))
            met = np.isfinite(value)
            rises = (value - self.best) / self._threshold
            for side, x, rise in zip(ask, np.where(met, reached, v), rises, strict=True):
                brackets[side].narrow(float(x), float(rise))
            self._add(reached[met], value[met], q[met])
        for side, bracket in brackets.items():
            self.ends[SIDES.index(side)] = bracket.end

    def _bracket(self, side: int) -> Bracket | None:
        """Outermost point of a side that is not above the threshold, and its outer neighbour."""
        rise = self.rise
        low = np.flatnonzero(rise <= 1)
        inner = int(low[-1] if side > 0 else low[0])
        outer = inner + side
        if not 0 <= outer < len(self.v):
            return None
        return Bracket(
            float(self.v[inner]), float(rise[inner]), float(self.v[outer]), float(rise[outer])
        )


class Stride:
    """How far one side of a profile goes next."""

    def __init__(self, side: int, centre: float, width: float, bound: float) -> None:
        self.side, self.bound, self.how = side, bound, "walking"
        self._centre, self._width = centre, width
        self._edge, self._step, self._failures, self._rounds = 0.0, 0.0, 0, 0

    def aims(self, edge: float) -> Array:
        """Values to try next, outwards from the outermost point; a bound is a place to stop at."""
        self._edge = self.side * (edge - self._centre)
        if self._step == 0.0:
            far = np.array(FIRST) * self._width
        else:
            far = self._edge + self._step * np.array([0.5, 1.0])
        v = self._centre + self.side * far
        inside = self.side * (self.bound - v) > 0
        return v if inside.all() else np.append(v[inside], self.bound)

    def judge(self, v: Array, met: npt.NDArray[np.bool_], rise: Array) -> None:
        """Stop, go on with longer steps, or try again with shorter ones."""
        far = self.side * (v - self._centre)
        edge = float(np.max(far[met], initial=self._edge))
        beyond = far[~met & (far > edge)]
        if np.any(rise[met] > 1):
            self.how = "found"
        elif beyond.size:
            self._failures += 1
            self._step = 0.25 * (float(beyond.min()) - edge)
            self.how = "lost" if self._failures > PATIENCE else self.how
        else:
            self._failures, self._rounds = 0, self._rounds + 1
            self._step = edge * (WIDEN - 1)
            if v[-1] == self.bound:
                self.how = "bound"
            elif self._rounds > ROUNDS:
                self.how = "open"


class Bracket:
    """Two places between which the rise goes through one; its root is nearly straight."""

    def __init__(self, inner: float, low: float, outer: float, high: float) -> None:
        self.inner, self.outer = inner, outer
        self._low, self._high = np.sqrt(max(low, 0.0)) - 1, np.sqrt(high) - 1
        self._side = 0

    @property
    def end(self) -> float:
        """Where the secant goes through one."""
        if self._high == self._low or not np.isfinite(self._high):
            return self.inner
        share = -self._low / (self._high - self._low)
        return float(self.inner + share * (self.outer - self.inner))

    @property
    def done(self) -> bool:
        """Whether either place is the answer to nine digits, or the two are one."""
        close = abs(self.outer - self.inner) <= 1e-12 * max(abs(self.inner), abs(self.outer))
        return min(abs(self._low), abs(self._high)) < 1e-9 or close

    def guess(self, i: int) -> float:
        """Secant, and now and then the middle."""
        middle = 0.5 * (self.inner + self.outer)
        return middle if i % 4 == 3 or not np.isfinite(self._high) else self.end

    def narrow(self, v: float, rise: float) -> None:
        """Replace one end; halve the weight of an end that stays twice (the Illinois rule)."""
        root = np.sqrt(max(rise, 0.0)) - 1
        if root <= 0:
            self.inner, self._low = v, root
            if self._side < 0:
                self._high *= 0.5
            self._side = -1
        else:
            self.outer, self._high = v, root
            if self._side > 0:
                self._low *= 0.5
            self._side = 1
