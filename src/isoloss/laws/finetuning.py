"""Fine-tuning: what was learned before counts as examples."""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter


def rectified(axis: str = "x") -> Law:
    r"""Power law that starts flat: :math:`E + B/(D_l + D^\beta)`.

    D_l is what pre-training taught already, in units of D^beta: below D_l^(1/beta) examples the
    loss hardly moves, far above it is a power law. With D_l = 0 it is ``power_floor``.

    Examples
    --------
    >>> theta = {"E": 1.0, "B": 300.0, "D_l": 100.0, "beta": 0.7}
    >>> rectified("D")(theta, {"D": [10.0, 1e3, 1e5]}).round(3)
    array([3.857, 2.328, 1.092])
    """
    return Law(
        name="rectified",
        formula=f"E + B*(D_l + {axis}**beta)**-1",
        axes=(axis,),
        parameters=(
            Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss"),
            Parameter(name="B", unit=f"L*{axis}**beta", start=(0.1, 5.0), meaning="amplitude"),
            Parameter(
                name="D_l", unit=f"{axis}**beta", start=(0.02, 5.0), meaning="learned beforehand"
            ),
            Parameter(name="beta", start=(0.1, 1.5), upper=20.0, meaning="exponent of data"),
        ),
        scaled_axes=(axis, "L"),
        source="Lin et al. 2024, arXiv:2402.02314, the form from memory",
        description="fine-tuning curves with a flat beginning",
    )
