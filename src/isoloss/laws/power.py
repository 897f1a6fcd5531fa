"""Laws of one resource: power laws with and without a floor, and the forms M1 to M4.

The axis is free: any resource of the runs may take the place of ``x``.
"""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter


def _exponent(name: str) -> Parameter:
    return Parameter(name=name, start=(0.05, 2.0), upper=20.0, meaning="exponent")


def _floor() -> Parameter:
    return Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss")


def power_law(axis: str = "x") -> Law:
    """M1: a pure power law, ``A x^-alpha``; the loss falls to zero."""
    return Law(
        name="power",
        formula=f"A*{axis}**-alpha",
        axes=(axis,),
        parameters=(
            Parameter(name="A", unit=f"L*{axis}**alpha", meaning="amplitude"),
            _exponent("alpha"),
        ),
        scaled_axes=(axis, "L"),
        source="M1 of Alabdulmohsin et al. 2022, arXiv:2209.06640",
        description="no floor: use only to see what assuming none would do",
    )


def power_floor(axis: str = "x") -> Law:
    """M2: a power law above a floor, ``E + A x^-alpha``."""
    return Law(
        name="power_floor",
        formula=f"E + A*{axis}**-alpha",
        axes=(axis,),
        parameters=(
            _floor(),
            Parameter(name="A", unit=f"L*{axis}**alpha", meaning="amplitude"),
            _exponent("alpha"),
        ),
        scaled_axes=(axis, "L"),
        source="M2 of Alabdulmohsin et al. 2022, arXiv:2209.06640",
        description="the usual law of one resource",
    )


def shifted_power(axis: str = "x") -> Law:
    """M3: a power law that saturates at large x, ``A (1/x + gamma)^c``."""
    return Law(
        name="shifted_power",
        formula=f"A*({axis}**-1 + gamma)**c",
        axes=(axis,),
        parameters=(
            Parameter(name="A", unit=f"L*{axis}**c", meaning="amplitude"),
            Parameter(name="gamma", start=(1e-4, 1.0), unit=f"{axis}**-1", meaning="shift"),
            _exponent("c"),
        ),
        scaled_axes=(axis, "L"),
        source="M3 of Alabdulmohsin et al. 2022, arXiv:2209.06640",
        description="another approach to a floor",
    )


def sigmoid_power(axis: str = "x") -> Law:
    r"""M4: from the uninformed loss to a floor.

    Solves :math:`(L - E) / (L_0 - L)^a = A x^{-c}`: a power law above the floor E at large x that
    bends to the loss ``L0`` of random guessing at small x. With ``u = (L - E)/(L0 - E)`` it reads
    ``log u - a log(1 - u) = log K - c log x``.
    """
    return Law(
        name="sigmoid_power",
        formula=f"E + H*saturate(log(K*{axis}**-c), a)",
        axes=(axis,),
        parameters=(
            _floor(),
            Parameter(name="H", start=(0.5, 3.0), unit="L", meaning="uninformed loss minus floor"),
            Parameter(name="K", start=(0.1, 10.0), unit=f"{axis}**c", meaning="midpoint"),
            _exponent("c"),
            Parameter(
                name="a", lower=1e-3, start=(0.2, 2.0), upper=20.0, meaning="sharpness of the bend"
            ),
        ),
        scaled_axes=(axis, "L"),
        source="M4 of Alabdulmohsin et al. 2022, arXiv:2209.06640",
        description="curves whose first points are near chance; pin H when chance is known",
    )
