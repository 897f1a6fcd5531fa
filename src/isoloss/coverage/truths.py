"""The laws that losses are simulated from: formulas with values, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isoloss._core.arrays import Array
from isoloss.laws import Law, get_law, is_law_name, law_from_expression
from isoloss.plan import allocate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """A law with the values that make it true.

    Attributes
    ----------
    name
        Short name, part of the names of cells.
    law
        The form: of the catalogue, or a formula of its own.
    values
        Parameters by name.
    meaning
        A few words for tables.
    """

    name: str
    law: Law
    values: Mapping[str, float]
    meaning: str

    @property
    def axes(self) -> tuple[str, ...]:
        """Resources of the law."""
        return self.law.axes

    def loss(self, x: Mapping[str, Any]) -> Array:
        """Loss without noise, (n,)."""
        return self.law(self.values, x)

    def best_size(self, C: float) -> float:
        """Size that a budget of C FLOPs is best spent on, at 6 N D."""
        return float(allocate(self.law, self.values, [C]).N_opt[0])

    def is_in(self, laws: tuple[str, ...]) -> bool:
        """Whether some law of the set can be this truth, as itself or as a special case."""
        names = set(laws)
        for name in filter(is_law_name, laws):
            names |= set(get_law(name).special_cases)
        return self.law.name in names

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "truth": self.name,
            "law": self.law.name,
            "formula": self.law.formula,
            "axes": list(self.law.axes),
            "values": dict(self.values),
            "meaning": self.meaning,
        }


def _known(name: str, law: str, meaning: str, **values: float) -> Truth:
    return Truth(name=name, law=get_law(law, axis="D"), values=values, meaning=meaning)


def _own(
    name: str,
    formula: str,
    meaning: str,
    *,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: Mapping[str, tuple[float, float]] | None = None,
    **values: float,
) -> Truth:
    """Build a truth that no law of the catalogue can be.

    Its axes are divided by a typical size in the formula, so that every parameter is of order
    one and the truth's own family can be fitted with ordinary starts.
    """
    law = law_from_expression(formula, bounds=bounds, starts=starts, name=f"true-{name}")
    return Truth(name=name, law=law, values=values, meaning=meaning)


# About what Besiroglu et al. 2024 (arXiv:2404.10102) find for Chinchilla's runs.
_BASE = {"E": 1.82, "A": 482.0, "B": 2085.0, "alpha": 0.348, "beta": 0.366}
# The same in units of 1e8 parameters and 2e9 tokens.
_UNIT = {
    "E": 1.82,
    "A": 482.0 * 1e8**-0.348,
    "alpha": 0.348,
    "B": 2085.0 * 2e9**-0.366,
    "beta": 0.366,
}
_SMALL = {"g": (-0.2, 0.2)}, {"g": (-0.02, 0.02)}

_JOINT = (
    _known("chinchilla", "chinchilla", "the two shortages add", **_BASE),
    _known("coupled-1.15", "coupled", "the larger shortage weighs more", **_BASE, k=1.15),
    _known("coupled-0.8", "coupled", "shortages aggravate each other", **_BASE, k=0.8),
    _known("additive", "additive", "no floor", A=14.0, B=28.0, alpha=0.12, beta=0.14),
    _known(
        "kaplan", "kaplan", "no floor, Kaplan's form",
        Nc=6.4e13, Dc=1.8e13, alpha_N=0.076, alpha_D=0.103,
    ),
    _own(
        "drifting", "E + A*(N/1e8)**(-alpha + g*log(N/1e8)) + B*(D/2e9)**-beta",
        "the exponent of size falls slowly with size", bounds=_SMALL[0], starts=_SMALL[1],
        **_UNIT, g=0.006,
    ),
    _own(
        "slow-term", "E + A*(N/1e8)**-alpha + B*(D/2e9)**-beta + G*(D/2e9)**-delta",
        "a second, slower power of data",
        bounds={"beta": (0.2, 2.0), "delta": (0.01, 0.2)},
        starts={"beta": (0.3, 0.8), "delta": (0.05, 0.15)},
        **(_UNIT | {"E": 1.62}), G=0.2, delta=0.1,
    ),
    _own(
        "bent-floor", "E + A*(N/1e8)**-alpha + B*(D/2e9)**-beta + H/(1 + (N/1e10)/M)",
        "the floor gives way beyond 1e10 parameters",
        starts={"H": (0.02, 0.2), "M": (0.2, 5.0)},
        **_UNIT, H=0.08, M=1.0,
    ),
    _own(
        "broken-size",
        "E + A*(N/1e8)**-alpha*(1 + ((N/1e8)/d)**(1/f))**(-c*f) + B*(D/2e9)**-beta",
        "the gain from size slows down above 5e8 parameters",
        bounds={"c": (-2.0, 2.0), "f": (0.05, 5.0)},
        starts={"c": (-0.3, 0.3), "d": (1.0, 20.0), "f": (0.2, 1.0)},
        **_UNIT, c=-0.12, d=5.0, f=0.3,
    ),
    _known(
        "farseer", "farseer", "the exponent of data depends on size",
        s=3.6, q=-0.1, S=0.38, b=6.5, r=-0.1, Q=6.6, a=0.6, p=-0.1, P=-1.1,
    ),
)  # fmt: skip
_CURVES = (
    _known("curve-floor", "power_floor", "a power law above a floor", E=1.7, A=160.0, alpha=0.3),
    _known(
        "curve-broken", "broken_power", "a change of slope within the runs",
        E=0.9, A=50.0, c0=0.15, c1=0.3, d1=1e7, f1=0.4,
    ),
    _known(
        "curve-saturating", "shifted_power", "a power law that saturates",
        A=100.0, gamma=1e-8, c=0.25,
    ),
    _known(
        "curve-sigmoid", "sigmoid_power", "starts near chance",
        E=0.5, H=6.0, K=3000.0, c=0.42, a=0.7,
    ),
    _own(
        "curve-drifting", "E + A*(D/1e7)**(-alpha + g*log(D/1e7))",
        "the exponent falls slowly", bounds=_SMALL[0], starts=_SMALL[1],
        E=1.7, A=1.2, alpha=0.3, g=0.008,
    ),
    _own(
        "curve-two-terms", "E + A*(D/1e7)**-alpha + B*(D/1e7)**-beta",
        "a fast and a slow power law",
        bounds={"alpha": (0.2, 2.0), "beta": (0.01, 0.2)},
        starts={"alpha": (0.3, 0.8), "beta": (0.05, 0.15)},
        E=1.2, A=0.8, alpha=0.5, B=0.6, beta=0.1,
    ),
    _own(
        "curve-late-bend", "E + A*(D/1e7)**-alpha + H/(1 + (D/1e9)/M)",
        "the floor gives way beyond 3e9", starts={"H": (0.02, 0.5), "M": (0.2, 10.0)},
        E=1.5, A=1.2, alpha=0.35, H=0.1, M=3.0,
    ),
)  # fmt: skip

TRUTHS = {t.name: t for t in (*_JOINT, *_CURVES)}
