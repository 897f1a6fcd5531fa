"""Which runs carry the answer: every run left out once, in one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss._core.threads import one_thread
from isoloss.fit.engine import minimise
from isoloss.fit.kernel import Kernel
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import prepare
from isoloss.laws import Law
from isoloss.runs import Runs

MAX_SHARE = 0.1
"""At most this share of the runs is ever flagged: more would not be outliers."""
ASTRAY = 3.5
"""Studentised residual from which a run alone is called one that decides."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Influence:
    """Effect of leaving out each run.

    Attributes
    ----------
    quantities
        Name to shift of that quantity when run i is left out, (n,).
    scales
        Name to the standard error that the shifts are compared with.
    flagged
        Runs that decide the answer, (n,) of bool: alone or together they move some quantity by
        more than a standard error, and lie where the others do not expect them.
    without
        Parameters with the flagged runs left out, (p,), or ``None``.
    sentence
        For people.
    """

    quantities: Mapping[str, Array]
    scales: Mapping[str, float]
    flagged: npt.NDArray[np.bool_]
    without: Array | None
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "quantities": {n: v.tolist() for n, v in self.quantities.items()},
            "scales": dict(self.scales),
            "flagged": self.flagged.tolist(),
            "without": None if self.without is None else self.without.tolist(),
            "sentence": self.sentence,
        }


def parameter_quantities(law: Law) -> dict[str, Callable[[Array], Array]]:
    """Make a quantity of each dimensionless parameter (exponents) and of the floor."""

    def column(i: int) -> Callable[[Array], Array]:
        return lambda theta: theta[:, i]

    chosen = [i for i, p in enumerate(law.parameters) if not p.unit or p.name == "E"]
    return {law.names[i]: column(i) for i in chosen}


def influence(
    law: Law,
    theta: Array,
    draws: Array,
    objective: Objective,
    runs: Runs,
    quantities: Mapping[str, Callable[[Array], Array]],
    *,
    weights: npt.ArrayLike | None = None,
) -> Influence:
    """Refit without each run, and without the runs that stand out together.

    Runs that pull in the same direction hide each other: leaving one out, the rest still pull.
    So after the single refits the runs are ranked by their residual in units of the fit's noise,
    the worst are left out together, and the group grows while residuals of what is left out stay
    above four times the noise of what is kept.

    Parameters
    ----------
    law, theta, draws, objective
        The fit under examination.
    runs, weights
        What it was fitted to: the weights that the fit ended with (`Fit.weights`), not those it
        was given.
    quantities
        Name to a function of parameters (B, p) that gives (B,): an exponent, the logarithm of
        N_opt, a forecast.
    """
    data = prepare(runs, law, weights)
    with one_thread():
        kernel = Kernel(data.law, data.x, data.loss, objective)
        base = kernel.internal(theta)
        n = kernel.n
        leave = (1.0 - np.eye(n)) * data.weights
        alone = kernel.natural(
            minimise(
                kernel,
                np.repeat(base[None], n, axis=0),
                weights=leave,
                max_iterations=60,
                tolerance=1e-8,
            ).q
        )
        astray = _astray(kernel, base, alone, data.loss)
        order = _suspects(kernel, base, data.weights)
        nested = _without_first(kernel, base, data.weights, order)
    back = np.empty(n, dtype=np.int64)
    back[data.order] = np.arange(n)
    shifts: dict[str, Array] = {}
    scales: dict[str, float] = {}
    flagged = np.zeros(n, dtype=bool)
    moved: list[str] = []
    needed = 0
    for name, function in quantities.items():
        centre = float(function(theta[None])[0])
        with np.errstate(invalid="ignore"):
            shift = function(alone) - centre
        spread = function(draws) if len(draws) else shift * np.sqrt(n)
        spread = spread[np.isfinite(spread)]
        if not np.isfinite(centre) or not spread.size:
            # A quantity that the fit leaves undefined has no influence to speak of.
            shifts[name], scales[name] = np.zeros(n), np.inf
            continue
        shift = np.where(np.isfinite(shift), shift, 0.0)
        scale = 0.5 * float(np.subtract(*np.quantile(spread, [0.84, 0.16])))
        # What rounding alone may move is no effect.
        scale = max(scale, 1e-6 * abs(centre), 1e-300)
        flagged |= (np.abs(shift) > scale) & astray
        path = function(nested)
        if np.abs(path[-1] - centre) > scale:
            moved.append(name)
            # The shortest list whose removal has the effect of removing all suspects.
            near = np.abs(path - path[-1]) <= 0.25 * scale
            far = np.flatnonzero(~near)
            needed = max(needed, int(far[-1]) + 1 if far.size else 0)
        shifts[name], scales[name] = shift[back], scale
    flagged[order[:needed]] = True
    limit = max(1, int(MAX_SHARE * n))
    if flagged.sum() > limit:
        worst = np.max([np.abs(shifts[k][data.order]) / scales[k] for k in shifts], axis=0)
        worst[order[:needed]] += 1e3
        worst = np.where(flagged, worst, -1.0)
        flagged = np.zeros(n, dtype=bool)
        flagged[np.argsort(-worst, kind="stable")[:limit]] = True
    without = None
    if flagged.any():
        kept = data.weights * ~flagged
        starts = np.stack([base, kernel.internal(nested[-1])])
        solved = minimise(kernel, starts, weights=kept)
        without = kernel.natural(solved.q[int(np.argmin(solved.value))])
    return Influence(
        quantities=shifts,
        scales=scales,
        flagged=flagged[back],
        without=without,
        sentence=_sentence(int(flagged.sum()), n, moved),
    )


def _astray(kernel: Kernel, base: Array, alone: Array, loss: Array) -> npt.NDArray[np.bool_]:
    """Find runs that the others do not expect: by their studentised residual.

    The residual r of the fit and e of the fit without the run give ``r e = r^2 / (1 - h)``, the
    square of the residual in units that leave out how much the run pulls the fit (h). A run that
    merely tells much, as the largest one does, moves the answer too, and is not astray.
    """
    inside = kernel.predict(base[None])[0] - kernel.y
    own = {a: v[:, None] for a, v in kernel.x_user.items()}
    with np.errstate(all="ignore"):
        left_out = kernel.law(alone, own)[:, 0]
        outside = np.log(left_out / loss) if kernel.objective.log else (left_out - loss)
    outside = outside if kernel.objective.log else outside / kernel.scales["L"]
    noise = 1.4826 * float(np.median(np.abs(inside)))
    size = np.sqrt(np.maximum(inside * outside, 0.0))
    return np.asarray(~np.isfinite(size) | (size > ASTRAY * noise))


def _suspects(kernel: Kernel, base: Array, weights: Array) -> npt.NDArray[np.int64]:
    """Find runs far outside the noise of the others, worst first, by refitting without them."""
    out = np.zeros(kernel.n, dtype=bool)
    q = base
    order = np.zeros(0, dtype=np.int64)
    for _ in range(6):
        q = minimise(kernel, q[None], weights=weights * ~out, max_iterations=60).q[0]
        r = np.abs(kernel.predict(q[None])[0] - kernel.y)
        noise = 1.4826 * float(np.median(r[~out]))
        order = np.argsort(-r, kind="stable")[: max(1, int(MAX_SHARE * kernel.n))]
        order = order[r[order] > 4 * noise]
        fresh = np.zeros(kernel.n, dtype=bool)
        fresh[order] = True
        if (fresh == out).all():
            break
        out = fresh
    return order


def _without_first(
    kernel: Kernel, base: Array, weights: Array, order: npt.NDArray[np.int64]
) -> Array:
    """Parameters with the first 0, 1, 2, ... suspects left out, (k + 1, p)."""
    k = len(order)
    kept = np.tile(weights, (k + 1, 1))
    for i in range(k):
        kept[i + 1 :, order[i]] = 0.0
    starts = np.repeat(base[None], k + 1, axis=0)
    return kernel.natural(minimise(kernel, starts, weights=kept, max_iterations=100).q)


def _sentence(count: int, n: int, moved: list[str]) -> str:
    if not count:
        return f"No run of {n} moves the answer by more than its standard error."
    what = f" ({', '.join(moved)})" if moved else ""
    runs = "runs decides" if count == 1 else "runs decide"
    return (
        f"{count} of {n} {runs} the answer{what}: without them it moves by more than a standard "
        "error. Both answers are given; look at these runs before you trust either."
    )
