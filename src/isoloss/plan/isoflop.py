"""Approach 2: the minimum of each isoFLOP curve, then a power law through the minima."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_vector
from isoloss.errors import InputError
from isoloss.plan.budgets import BudgetGroup, group_budgets
from isoloss.plan.isoflop_result import IsoBudget, IsoFLOP, Line
from isoloss.plan.reason import Reason, overall
from isoloss.plan.vertex import Curve, Vertex, find_vertex, fit_curve

# A vertex further from the centre of the sampled sizes than this share of their half-width is
# read from one flank of the curve.
OFF_CENTRE = 0.5
# Change of that offset over the budgets, in half-widths, that bends the exponent.
DRIFT = 0.25
# Standard errors below this are rounding, not noise.
_EXACT = 1e-9
SCATTER = "scatter of the minima about the line, Student t"
POOLED = "pooled residuals of the curves, Student t"


def fit_isoflop(
    N: npt.ArrayLike,
    D: npt.ArrayLike,
    C: npt.ArrayLike,
    loss: npt.ArrayLike,
    *,
    degree: int = 3,
    rtol: float = 0.1,
    level: float = 0.9,
) -> IsoFLOP:
    r"""Fit isoFLOP curves and the growth of their minima, :math:`N_{opt} = G C^a`.

    A minimum counts only if it is inside the sampled sizes, with a curvature whose interval is
    above zero; any other budget is refused with a reason. A parabola (``degree=2``) is biased even
    without noise when the two sides of the curve differ in steepness; the cubic much less so.

    Parameters
    ----------
    N, D, C, loss
        One value a run, (n,).
    degree
        3, or 2 for the parabola of the literature. Budgets with 4 sizes always get a parabola.
    rtol
        Relative gap between budgets, see `group_budgets`.
    level
        Of the intervals.

    Raises
    ------
    InputError
        For values that are not positive or of unequal length, or another degree.

    References
    ----------
    Hoffmann et al. 2022, arXiv:2203.15556, section 3.2; the bias: Czech 2026, arXiv:2603.22339.

    Examples
    --------
    >>> import numpy as np
    >>> C = np.repeat([1e19, 1e20, 1e21], 7)
    >>> N = 0.1 * np.sqrt(C) * np.tile(np.geomspace(0.25, 4, 7), 3)
    >>> D = C / (6 * N)
    >>> answer = fit_isoflop(N, D, C, 1.7 + 400 * N**-0.34 + 1300 * D**-0.34)
    >>> round(answer.exponent_N, 4), answer.status
    (0.5, 'ok')
    """
    if degree not in (2, 3):
        raise InputError(f"degree = {degree!r}: 3 (cubic) or 2 (parabola)")
    level = as_level(level)
    columns = [
        as_vector(name, values, positive=True)
        for name, values in (("N", N), ("D", D), ("C", C), ("loss", loss))
    ]
    if len({c.size for c in columns}) > 1:
        sizes = ", ".join(str(c.size) for c in columns)
        raise InputError(f"N, D, C, loss: {sizes} values; give one each a run")
    n, d, c, y = columns
    groups = group_budgets(c, n, rtol=rtol)
    curves = [None if g.refusal else fit_curve(n[g.index], y[g.index], degree) for g in groups]
    fitted = [f for f in curves if f is not None]
    dof = sum(f.dof for f in fitted)
    variance = sum(f.rss for f in fitted) / dof if dof else float("nan")
    budgets = [
        _budget(g, f, n[g.index], d[g.index], variance, dof, level)
        for g, f in zip(groups, curves, strict=True)
    ]
    used = [b for b in budgets if b.refusal is None]
    line_N, line_D = _lines(used, dof, level)
    reasons = _reasons(budgets, used, level)
    return IsoFLOP(
        budgets=tuple(budgets),
        line_N=line_N,
        line_D=line_D,
        degree=degree,
        level=level,
        noise=float(np.sqrt(variance)),
        status=overall(reasons, answered=line_N is not None),
        reasons=reasons,
    )


def _quantile(level: float, dof: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(dof, (1 + level) / 2))


def _budget(
    group: BudgetGroup,
    curve: Curve | None,
    N: Array,
    D: Array,
    variance: float,
    dof: int,
    level: float,
) -> IsoBudget:
    nan = float("nan")
    if curve is None:
        return IsoBudget(
            C=group.C,
            n_runs=N.size,
            n_sizes=np.unique(N).size,
            N_opt=nan,
            D_opt=nan,
            L_opt=nan,
            log_se=nan,
            curvature=nan,
            offset=nan,
            half_width=nan,
            refusal=group.refusal,
        )
    vertex = find_vertex(curve)
    refusal = _refuse(group.C, curve, vertex, variance, dof, level)
    a, x = curve.coefficients, vertex.x
    log_N = curve.centre + x
    good = refusal is None
    # D along the budget: exact for any cost that is a power of N over the sampled sizes.
    shift, level_D = np.polyfit(np.log(N) - curve.centre, np.log(D), 1)
    return IsoBudget(
        C=group.C,
        n_runs=N.size,
        n_sizes=np.unique(N).size,
        N_opt=float(np.exp(log_N)) if good else nan,
        D_opt=float(np.exp(level_D + shift * x)) if good else nan,
        L_opt=float(a @ x ** np.arange(4)) if good else nan,
        log_se=float(np.sqrt(variance * (vertex.by_x @ curve.inverse @ vertex.by_x)))
        if good
        else nan,
        curvature=vertex.curvature,
        offset=x / curve.half_width,
        half_width=curve.half_width,
        refusal=refusal,
    )


def _refuse(
    C: float, curve: Curve, vertex: Vertex, variance: float, dof: int, level: float
) -> Reason | None:
    where = f"at C = {C:.4g} "
    outside = not abs(vertex.x) < curve.half_width
    left, right = curve.slope(-curve.half_width), curve.slope(curve.half_width)
    if _flat(curve, vertex, variance, dof, level, outside):
        text = "the curve is flat within its noise: N_opt is not determined; widen the sizes"
        return Reason(code="FLAT", message=where + text, severity="refusal")
    if outside and left > 0 > right:
        text = "the curve is concave: its stationary point is no minimum"
        return Reason(code="CONCAVE", message=where + text, severity="refusal")
    if outside:
        most, more = ("largest", "larger") if left + right < 0 else ("smallest", "smaller")
        text = f"the loss still falls at the {most} size; add {more} sizes at this budget"
        return Reason(code="EDGE", message=where + text, severity="refusal")
    return None


def _flat(
    curve: Curve, vertex: Vertex, variance: float, dof: int, level: float, outside: bool
) -> bool:
    """Whether the interval of the curvature includes zero.

    Twice the quadratic coefficient is the mean curvature over the sampled sizes. The curvature
    at the vertex of a cubic is positive by construction, noise or not, so both must be clear.
    """
    a, h = curve.coefficients, curve.half_width
    reach = np.abs(a[1:] * h ** np.arange(1, 4)).sum()
    if reach <= _EXACT * abs(float(a[0])):
        return True
    if not dof:
        return False
    spread = _quantile(level, dof) * np.sqrt(variance)
    slope, mean = float(a[1]), 2 * float(a[2])
    no_bend = spread * 2 * np.sqrt(curve.inverse[2, 2])
    if outside:
        sloping = abs(slope) > spread * np.sqrt(curve.inverse[1, 1])
        return bool(abs(mean) <= no_bend and not sloping)
    error = spread * np.sqrt(vertex.by_curvature @ curve.inverse @ vertex.by_curvature)
    return bool(vertex.curvature <= error or mean <= no_bend)


def _lines(used: Sequence[IsoBudget], dof: int, level: float) -> tuple[Line | None, Line | None]:
    if len(used) < 2:
        return None, None
    se = np.array([b.log_se for b in used])
    noisy = bool(dof) and bool(np.isfinite(se).all()) and se.max() > _EXACT
    errors = np.maximum(se, 1e-3 * se.max()) if noisy else None
    log_C = np.log([b.C for b in used])
    made = [
        _line(log_C, np.log([getattr(b, name) for b in used]), errors, dof, level)
        for name in ("N_opt", "D_opt")
    ]
    return made[0], made[1]


def _line(x: Array, y: Array, errors: Array | None, dof: int, level: float) -> Line:
    """Weighted least squares; the covariance is widened where the minima scatter more."""
    weights = np.ones(x.size) if errors is None else errors**-2.0
    middle = float(weights @ x / weights.sum())
    design = np.stack([np.ones(x.size), x - middle], axis=1)
    normal = np.linalg.inv(design.T @ (weights[:, None] * design))
    found = normal @ (design.T @ (weights * y))
    rest = float(weights @ (y - design @ found) ** 2)
    free = x.size - 2
    scatter = rest / free if free else float("nan")
    if errors is None:
        scale, t, method = scatter, _quantile(level, free) if free else float("nan"), SCATTER
    elif free and scatter > 1:
        scale, t, method = scatter, _quantile(level, free), SCATTER
    else:
        scale, t, method = 1.0, _quantile(level, dof), POOLED
    return Line(
        log_middle=middle,
        value=float(found[0]),
        exponent=float(found[1]),
        covariance=np.asarray(normal * scale, dtype=np.float64),
        t=t,
        level=level,
        method=f"isoFLOP minima: {method}",
    )


def _reasons(
    budgets: Sequence[IsoBudget], used: Sequence[IsoBudget], level: float
) -> tuple[Reason, ...]:
    reasons = []
    refused = [b.refusal for b in budgets if b.refusal is not None]
    if len(used) < 2:
        text = (
            f"{len(used)} of {len(budgets)} budgets have a usable minimum; a line needs 2"
            + "".join(f"; {r.message}" for r in refused[:3])
        )
        reasons.append(Reason(code="TOO_FEW_BUDGETS", message=text, severity="refusal"))
    elif refused:
        codes = sorted({r.code for r in refused})
        text = f"{len(refused)} of {len(budgets)} budgets were refused ({', '.join(codes)})"
        reasons.append(Reason(code="BUDGETS_REFUSED", message=text))
    far = [b for b in used if abs(b.offset) > OFF_CENTRE]
    if far:
        text = (
            f"the minimum lies off the centre of the sampled sizes at C = "
            f"{', '.join(f'{b.C:.3g}' for b in far[:4])}: N_opt is read from one flank of the "
            "curve and biased; centre the sizes on it"
        )
        reasons.append(Reason(code="OFF_CENTRE", message=text))
    if len(used) >= 3:
        x, y = np.log([b.C for b in used]), np.array([b.offset for b in used])
        change = float(np.polyfit(x - x.mean(), y, 1)[0] * np.ptp(x))
        errors = np.array([b.log_se / b.half_width for b in used])
        lever = np.ptp(x) * np.sqrt(np.sum(((x - x.mean()) * errors) ** 2))
        error = _quantile(level, 30) * lever / float(np.sum((x - x.mean()) ** 2))
        if abs(change) > max(DRIFT, error if np.isfinite(error) else 0.0):
            text = (
                f"the minima drift by {change:+.2g} half-widths against the centre of the sampled "
                "sizes as C grows, which bends the exponent; let the sizes follow the minimum"
            )
            reasons.append(Reason(code="DRIFT", message=text))
    return tuple(reasons)
