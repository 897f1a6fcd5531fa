"""The saddle point of the pruned perceptron: curves traced by the student's angle, points polished.

Unknowns are ``x = log(r/hyp)``, the angle ``chi`` of the student's part in the plane of teacher and
probe, and ``y``, a scaled margin. With x held, two equations without the number of examples fix y
and chi, and the third gives that number. So a curve is followed in x, from no examples on; where a
hundredth of a percent more examples takes the error from one half to nothing, x moves slowly. A
point asked for lies between two of the curve and is finished by Newton's method.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from isoloss._core.arrays import Array
from isoloss.theory.perceptron_moments import Index, Law, Moments, line_moments, plane_moments

_COARSE, _FINE = 8, 12
"""Nodes a panel while a curve is followed, and for the points themselves."""
_STEPS = 400
_BATCH = 4096
"""Problems whose nodes are held at once."""
_LOOSE, _TIGHT = 1e-6, 1e-11
"""Residuals accepted along a curve, and at which a point needs no more."""
_GIVE_UP = 1e-3
_STRIDE = 0.7
"""Shortest and longest step along a curve."""


class Student(NamedTuple):
    """Unknowns of several problems, each (n,)."""

    x: Array
    y: Array
    chi: Array

    def pick(self, which: Index) -> Student:
        """Return a part of them."""
        return Student(*(field[which] for field in self))

    def moved(self, by: Array) -> Student:
        """Return them a step further, (n, 3)."""
        return Student(*(field + by[:, i] for i, field in enumerate(self)))

    @property
    def r(self) -> Array:
        """Length of the part outside the plane."""
        return np.asarray(1 / np.sqrt(1 + np.exp(-2 * self.x)))

    @property
    def hyp(self) -> Array:
        """Length of the part in the plane."""
        return np.asarray(1 / np.sqrt(1 + np.exp(2 * self.x)))

    def kappa(self, law: Law) -> Array:
        """Margin, from the scaled one."""
        rho = self.hyp * np.cos(law.theta - self.chi)
        return np.where(law.low > 0, law.low * rho + self.r * self.y, self.r * np.exp(self.y))


class Curve(NamedTuple):
    """Points along curves by rising a, (4, steps, curves): log a, x, y, chi; nan past their ends.

    ``tangent`` is their direction, of length one where ``weight`` scales each of the four.
    """

    at: Array
    tangent: Array
    weight: Array


class Solved(NamedTuple):
    """Solutions, each (n,); the residual is the largest of three relative ones."""

    student: Student
    support: Array
    residual: Array


def solve(law: Law, a: Array, curve: Index, laws: Law) -> Solved:
    """Solve at a kept examples a dimension.

    Parameters
    ----------
    law, a
        Of every point, (n,).
    curve, laws
        Which of some different laws each point has, (n,), and those laws.
    """
    found = Solved(Student(*np.full((3, a.size), np.nan)), *np.full((2, a.size), np.nan))
    line = laws.theta == 0
    for plane in (False, True):
        chosen = np.flatnonzero(line != plane)
        points = np.flatnonzero(line[curve] != plane)
        if not points.size:
            continue
        place = np.empty(line.size, dtype=np.int64)
        place[chosen] = np.arange(chosen.size)
        which, log_a = place[curve[points]], np.log(a[points])
        ends = np.full(chosen.size, -np.inf), np.full(chosen.size, np.inf)
        np.maximum.at(ends[0], which, log_a)
        np.minimum.at(ends[1], which, log_a)
        traced = trace(laws.pick(chosen), ends[1], ends[0], plane)
        start = between(traced, which, log_a)
        part = polish(law.pick(points), a[points], start, plane)
        for whole, piece in zip((*found.student, *found[1:]), (*part.student, *part[1:]),
                                strict=True):  # fmt: skip
            whole[points] = piece
    return found


def equations(
    law: Law, at: Student, plane: bool, nodes: int = _FINE
) -> tuple[Moments, Array, Array]:
    """Moments, residuals (n, 3) and their derivatives by x, y and chi (n, 3, 3).

    They are ``log(M2/r^2)``, to which log a is to be added, ``log(R kappa M1/Mu)`` and
    ``(c kappa - Mw/M1)/sqrt(1 + kappa^2)``.
    """
    if at.x.size > _BATCH:
        cuts = np.array_split(np.arange(at.x.size), -(-at.x.size // _BATCH))
        parts = [equations(law.pick(i), at.pick(i), plane, nodes) for i in cuts]
        moments, misses, rises = zip(*parts, strict=True)
        whole = Moments(*(np.concatenate(field) for field in zip(*moments, strict=True)))
        return whole, np.concatenate(misses), np.concatenate(rises)
    hyp, r, kappa = at.hyp, at.r, at.kappa(law)
    easy = law.low > 0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        tau = np.where(easy, at.y, np.exp(at.y))
        if plane:
            m = plane_moments(law, hyp, at.chi, r, tau, nodes=nodes)
        else:
            m = line_moments(law, hyp, r, tau)
        R, c = hyp * np.cos(at.chi), hyp * np.sin(at.chi)
        # As w is of order one, the last is scaled to what moves c by its share of r.
        across, size = m.mw / m.m1, np.sqrt(1 + kappa**2)
        miss = np.stack(
            [np.log(m.m2), np.log(R * kappa * m.m1 / m.mu), (c * kappa - across) / size], -1
        )
        rho, b = hyp * np.cos(law.theta - at.chi), hyp * np.sin(law.theta - at.chi)
        none, one = np.zeros_like(r), np.ones_like(r)
        moves = (
            (np.where(easy, -r * rho * law.low + at.y * hyp**2, tau * hyp**2), -r * R, -r * c,
             hyp**2),
            (np.where(easy, one, tau), none, none, none),
            (np.where(easy, law.low * b / r, 0.0), -c / r, R / r, none),
        )  # fmt: skip
        slopes = np.empty((r.size, 3, 3))
        for i, (dk, dR, dc, dr) in enumerate(moves):
            dm2 = 2 * (m.m1 * dk - m.mu * dR - m.mw * dc + (m.P - m.m2) * dr)
            dm1 = m.P * dk - m.Pu * dR - m.Pw * dc + (m.d0 - m.m1) * dr
            dmu = m.Pu * dk - m.Puu * dR - m.Puw * dc + (m.du - m.mu) * dr
            dmw = m.Pw * dk - m.Puw * dR - m.Pww * dc + (m.dw - m.mw) * dr
            slopes[:, 0, i] = dm2 / m.m2
            slopes[:, 1, i] = r * (dR / R + dk / kappa) + dm1 / m.m1 - dmu / m.mu
            slopes[:, 2, i] = (r * (dc * kappa + c * dk) - (dmw - across * dm1) / m.m1) / size
    return m, miss, slopes


def trace(laws: Law, first: Array, last: Array, plane: bool) -> Curve:
    """Follow the curve of each law between two logarithms of a, (k,), by its length.

    Any a has one solution, so log a rises all along; r need not fall.
    """
    k = first.size
    first = np.minimum(first, np.log(0.01)) - 1e-3
    start = np.stack([first, *_few_examples(laws, first, plane)])
    along = np.zeros((4, k))
    along[0] = 1.0
    now, tangent, _ = _correct(laws, start, along, _weight(laws, start), plane)
    bend, step = np.zeros((4, k)), np.full(k, 0.3)
    rows = [np.stack([now, tangent, _weight(laws, now)])]
    for _ in range(_STEPS):
        i = np.flatnonzero((now[0] < last + 1e-3) & (step > _GIVE_UP))
        if not i.size:
            break
        ahead, law = step[i], laws.pick(i)
        weight = _weight(law, now[:, i])
        guess = now[:, i] + ahead * tangent[:, i] + ahead**2 * bend[:, i]
        new, turned, rounds = _correct(law, guess, tangent[:, i] * weight**2, weight, plane)
        # Where log a stands still, it may seem to fall by what the coarse rule is off.
        good = new[0] > now[0, i] - 1e-5
        step[i] *= np.where(good, np.where(rounds > 3, 0.7, 1.4), 0.4)
        np.minimum(step, _STRIDE, out=step)
        i, new, turned, ahead = i[good], new[:, good], turned[:, good], ahead[good]
        bend[:, i] = (turned - tangent[:, i]) / (2 * ahead)
        now[:, i], tangent[:, i] = new, turned
        rows.append(np.full((3, 4, k), np.nan))
        rows[-1][:, :, i] = new, turned, weight[:, good]
    if len(rows) == 1:
        # Nothing to interpolate in: what is asked for is not found, and says so.
        rows.append(np.full_like(rows[0], np.nan))
    table = np.stack(rows, axis=2)
    order = np.argsort(np.isnan(table[:1, :1]), axis=2, kind="stable")
    return Curve(*np.take_along_axis(table, order, axis=2))


def between(curve: Curve, which: Index, log_a: Array) -> tuple[Student, Array, Array]:
    """Interpolate at logarithms of a, (n,), each on one of the curves: guess, and bounds of x."""
    count = np.isfinite(curve.at[0]).sum(axis=0)
    rising = np.maximum.accumulate(curve.at[0], axis=0)
    after = np.array(
        [np.searchsorted(rising[: count[k], k], v) for k, v in zip(which, log_a, strict=True)]
    )
    after = np.clip(after, 1, np.maximum(count[which] - 1, 1))
    (y0, y1), (d0, d1), (_, weight) = (
        (field[:, after - 1, which], field[:, after, which]) for field in curve
    )
    middle = weight * (d0 + d1) / 2
    wide = np.sum(weight * (y1 - y0) * middle, axis=0) / np.sum(middle**2, axis=0)
    left, right = np.zeros(which.size), np.ones(which.size)
    for _ in range(30):
        share = (left + right) / 2
        low = _cubic(share, wide, y0[0], y1[0], d0[0], d1[0]) < log_a
        left, right = np.where(low, share, left), np.where(low, right, share)
    guess = Student(*_cubic(share, wide, y0, y1, d0, d1)[1:])
    slack = 0.1 + np.abs(y1[1] - y0[1])
    return guess, guess.x - slack, guess.x + slack


def polish(
    law: Law, a: Array, guess: tuple[Student, Array, Array], plane: bool, rounds: int = 12
) -> Solved:
    """Newton's method at fixed a, with x kept between bounds."""
    at, least, most = guess
    log_a = np.log(a)
    found, residual = np.array([log_a, *at]), np.full(a.size, np.inf)
    support = np.full(a.size, np.nan)
    i = np.arange(a.size)
    for _ in range(rounds):
        now = Student(*found[1:, i])
        moments, miss, slopes = equations(law.pick(i), now, plane)
        miss[:, 0] += log_a[i]
        size = np.abs(miss).max(axis=1)
        size[~np.isfinite(size)] = np.inf
        residual[i], support[i] = size, moments.P
        move = _newton(slopes, miss)
        with np.errstate(invalid="ignore"):
            far = np.abs(move * _weight(law.pick(i), found[:, i])[1:].T).max(axis=1)
            go = (size > _TIGHT) & np.isfinite(far)
        move /= np.maximum(far, 1.0)[:, None]
        i, now, move = i[go], now.pick(go), move[go]
        if not i.size:
            break
        found[1:, i] = now.moved(move)
        found[1, i] = np.clip(found[1, i], least[i], most[i])
    return Solved(Student(*found[1:]), support, residual)


def _correct(
    laws: Law, guess: Array, normal: Array, weight: Array, plane: bool
) -> tuple[Array, Array, Array]:
    """Return to the curve across ``normal``: point and tangent, (4, n), nan if not; and rounds."""
    n = guess.shape[1]
    found, tangent, used = np.full((4, n), np.nan), np.full((4, n), np.nan), np.zeros(n)
    i, now = np.arange(n), guess
    for _ in range(8):
        _, miss, slopes = equations(laws.pick(i), Student(*now[1:]), plane, _COARSE)
        used[i] += 1
        side = normal[:, i].T
        system = np.zeros((i.size, 4, 4))
        system[:, :3, 1:], system[:, 0, 0], system[:, 3] = slopes, 1.0, side
        miss[:, 0] += now[0]
        small = np.abs(miss).max(axis=1) < _LOOSE
        if small.any():
            ahead = _newton(system[small], np.array([0.0, 0.0, 0.0, -1.0]) + 0 * side[small]).T
            ahead /= np.sqrt(np.sum((weight[:, i[small]] * ahead) ** 2, axis=0))
            found[:, i[small]], tangent[:, i[small]] = now[:, small], ahead
        left = np.sum(side * (now - guess[:, i]).T, axis=1)
        move = _newton(system, np.concatenate([miss, left[:, None]], axis=1))
        with np.errstate(invalid="ignore"):
            far = np.abs(weight[:, i].T * move).max(axis=1)
        go = ~small & np.isfinite(far)
        move /= np.maximum(far, 1.0)[:, None]
        i, now = i[go], (now + move.T)[:, go]
        if not i.size:
            break
    return found, tangent, used


def _few_examples(laws: Law, log_a: Array, plane: bool) -> Student:
    """Student of so few examples that it is their sum."""
    none = np.zeros(log_a.size)
    if plane:
        m = plane_moments(laws, none + 1e-9, none, none + 1.0, none + 50.0, nodes=_FINE)
    else:
        m = line_moments(laws, none + 1e-9, none + 1.0, none + 50.0)
    root, along = np.exp(log_a / 2), np.hypot(m.Pu, m.Pw)
    # An easy example outweighs many: its own length counts.
    hyp = root * along / np.sqrt(1 + (root * along) ** 2)
    r, chi = np.sqrt(1 - hyp**2), np.arctan2(m.Pw, m.Pu)
    kappa = r / root + hyp * along
    low = laws.low * hyp * np.cos(laws.theta - chi)
    y = np.where(laws.low > 0, (kappa - low) / r, np.log(kappa / r))
    return Student(np.log(r / hyp), y, chi)


def _weight(law: Law, at: Array) -> Array:
    """Scales of log a, x, y and chi, (4, n): what a step of Newton's method may move is one."""
    weight = np.ones_like(at)
    weight[2] = np.where(law.low > 0, 1 / np.maximum(1.0, np.abs(at[2]) / 2), 1.0)
    weight[3] = 2.0
    return weight


def _newton(slopes: Array, miss: Array) -> Array:
    """Solve for the step; nan where there is none."""
    good = np.isfinite(slopes).all(axis=(1, 2)) & np.isfinite(miss).all(axis=1)
    found = np.full(miss.shape, np.nan)
    if good.any():
        try:
            found[good] = -np.linalg.solve(slopes[good], miss[good, :, None])[..., 0]
        except np.linalg.LinAlgError:
            found[good] = -np.matmul(np.linalg.pinv(slopes[good]), miss[good, :, None])[..., 0]
    return found


def _cubic(s: Array, wide: Array, y0: Array, y1: Array, d0: Array, d1: Array) -> Array:
    """Hermite's cubic at a share s of the way."""
    rise = y1 - y0
    b, c = 3 * rise - wide * (2 * d0 + d1), wide * (d0 + d1) - 2 * rise
    return np.asarray(y0 + s * (wide * d0 + s * (b + s * c)))
