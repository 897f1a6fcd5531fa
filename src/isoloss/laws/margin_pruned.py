r"""The error of a max-margin perceptron that learns from data pruned by a score.

A score is another perceptron at an angle theta to the teacher; kept are the examples with the
smallest margins to it, the hard ones, or with the largest. The error is a function of kept examples
a dimension, share kept and angle. No formula is known for it. `isoloss.theory.pruned_perceptron`
solves for it; ``benchmarks/perceptron_table.py`` did so once and for all, and what is stored is
read when first asked for: the logarithm of :math:`\epsilon\,(2 + a/C_0)` over

- the root of a, folded so that every number of examples is covered and places are close where hard
  examples become many, near three a dimension,
- the logarithms of the share, from `LEAST_SHARE` to one, and of the angle, from `LEAST_ANGLE` to a
  right one.

Of easy examples the error stays near :math:`\theta/\pi` for long, and where there are very many a
few hard ones more end that. Their table ends at `MOST` a dimension, and is over the root of one
less the share, and the sine of the angle. Beyond these boxes the function is sharper than the
tables, and the answer is NaN.

References
----------
Sorscher, Geirhos, Shekhar, Ganguli and Morcos 2022, arXiv:2206.14486, appendix A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from isoloss.errors import LawError
from isoloss.laws.chebyshev import Array, Table, nodes
from isoloss.laws.expression import ONE, Node, add, call, exp, log, mul, power, sub
from isoloss.laws.expression import const as number
from isoloss.laws.flow import operations
from isoloss.laws.margin import C0

RIGHT = math.pi / 2
LEAST_SHARE, LEAST_ANGLE = 0.1, math.radians(5)
"""The tables begin here; both end where nothing is chosen."""
_SINE = math.sin(LEAST_ANGLE)
MOST = 100.0
"""Easy examples a dimension at which that table ends."""
_LOSS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How the error of one kind of kept examples is held.

    Attributes
    ----------
    law
        Name in the catalogue.
    sizes
        Coefficients for examples, share and angle.
    turn
        Examples a dimension at the middle of the root's ratio.
    fold
        How much closer places are there than at the ends, and logarithms of share and angle; zero
        for even places, a root and a sine.
    most
        Examples a dimension at the end of the table.
    """

    law: str
    sizes: tuple[int, int, int]
    turn: float
    fold: float
    most: float

    @property
    def path(self) -> Path:
        """The file of the package that it is in."""
        return Path(__file__).parents[1] / "data" / f"{self.law}.npz"

    @property
    def last(self) -> float:
        """The ratio of the root at the end of the table."""
        return 1 / (1 + math.sqrt(self.turn / self.most))

    def places(self) -> tuple[Array, Array, Array]:
        """Examples a dimension, shares and angles that values are wanted for."""
        w, y, z = (nodes(n) for n in self.sizes)
        if self.fold:
            bent = math.atan(self.fold / 2)
            ratio = 0.5 + np.tan(bent * (2 * w - 1)) / self.fold
            f, theta = LEAST_SHARE ** (1 - y), LEAST_ANGLE * (RIGHT / LEAST_ANGLE) ** z
        else:
            ratio = w * self.last
            f = 1 - (1 - LEAST_SHARE) * (1 - y) ** 2
            theta = np.arcsin(_SINE + (1 - _SINE) * z)
        return self.turn * (ratio / (1 - ratio)) ** 2, f, np.minimum(theta, RIGHT)

    def lifted(self, a: Array) -> Array:
        """Return what is added to the logarithm of the error."""
        return np.asarray(np.log(2 + a / C0))

    def excess(self, ratio: Node, fraction: Node, theta: Node) -> Node:
        """Build the error at kept examples a dimension."""
        quarter = mul(number(0.5), log(mul(ratio, number(1 / self.turn))))
        if self.fold:
            # The ratio less one half is half the hyperbolic tangent of half its log odds.
            side = call("tanh", mul(number(0.5), quarter))
            bend = call("atan", mul(number(self.fold / 2), side))
            w = add(number(0.5), mul(number(0.5 / math.atan(self.fold / 2)), bend))
            y = sub(ONE, mul(number(1 / math.log(LEAST_SHARE)), log(fraction)))
            span = math.log(RIGHT / LEAST_ANGLE)
            z = mul(number(1 / span), sub(log(theta), number(math.log(LEAST_ANGLE))))
        else:
            w = mul(number(1 / self.last), call("logistic", quarter))
            rest = mul(number(1 / (1 - LEAST_SHARE)), sub(ONE, fraction))
            y = sub(ONE, power(rest, number(0.5)))
            z = mul(number(1 / (1 - _SINE)), sub(call("sin", theta), number(_SINE)))
        both = call("log_logistic", sub(number(math.log(2 * C0)), log(ratio)))
        log_error = sub(add(call(f"{self.law}_000", w, y, z), both), number(math.log(2)))
        return exp(log_error)


KEPT = {
    "hard": Kept(law="pruned_perceptron", sizes=(72, 40, 52), turn=3.0, fold=24.0, most=math.inf),
    "easy": Kept(
        law="pruned_perceptron_easy", sizes=(36, 44, 44), turn=20.0, fold=0.0, most=MOST
    ),
}  # fmt: skip


def held(w: Any, y: Any, z: Any, *, name: str, orders: tuple[int, ...] = (0, 0, 0)) -> Any:
    """Log of the error times ``2 + a/C0``, or a derivative of it.

    Arguments run from zero to one, as of `Kept.places`: examples, share, angle.
    """
    return _table(name)(w, y, z, 0.5, orders=(*orders, 0))


@lru_cache(maxsize=len(KEPT))
def _table(name: str) -> Table:
    kept = KEPT[name]
    values = values_of(kept)
    return Table(values[..., None], loss=_LOSS)


def values_of(kept: Kept) -> Array:
    """Put the values together that are stored."""
    with np.load(kept.path, allow_pickle=False) as file:
        values = np.asarray(file["core"], dtype=np.float64)
        for axis, size in enumerate(kept.sizes):
            base = file[f"base{axis}"]
            if base.shape != (size, values.shape[axis]):
                raise LawError(
                    f"{kept.path.name}: {base.shape} is not the shape of its part {axis}, "
                    f"{(size, values.shape[axis])}; install the package again"
                )
            values = np.moveaxis(np.tensordot(base, values, (1, axis)), 0, axis)
    return values


_NAMES = {name: operations(f"{kept.law}_", 3) for name, kept in KEPT.items()}
TABLES = tuple((partial(held, name=name), names) for name, names in _NAMES.items())
"""What to call, and the operations that it is."""
OPERATIONS = {name: orders for _, names in TABLES for name, orders in names.items()}
