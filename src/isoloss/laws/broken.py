"""Smoothly broken power laws of one resource."""

from __future__ import annotations

from isoloss.errors import LawError
from isoloss.laws.law import Law, Parameter


def broken_power(axis: str = "x", breaks: int = 1) -> Law:
    r"""Build :math:`E + A x^{-c_0} \prod_i (1 + (x/d_i)^{1/f_i})^{-c_i f_i}`.

    Segment i ends at ``d_i``, where the exponent grows by ``c_i`` (negative: it flattens) over a
    width ``f_i`` in the logarithm.
    """
    if not 1 <= breaks <= 4:
        raise LawError(f"breaks = {breaks}: between 1 and 4 are supported")
    numbers = range(1, breaks + 1)
    product = "".join(f"*(1 + ({axis}/d{i})**(1/f{i}))**(-c{i}*f{i})" for i in numbers)
    parameters = [
        Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss"),
        Parameter(name="A", unit=f"L*{axis}**c0", meaning="amplitude"),
        Parameter(name="c0", lower=-5.0, upper=20.0, start=(0.0, 1.0), meaning="first exponent"),
    ]
    for i in numbers:
        parameters += [
            Parameter(
                name=f"c{i}", lower=-20.0, upper=20.0, start=(-0.5, 1.0), meaning="change of slope"
            ),
            Parameter(name=f"d{i}", start=(0.05, 20.0), unit=axis, meaning="place of the break"),
            Parameter(
                name=f"f{i}", lower=1e-2, upper=10.0, start=(0.1, 1.5), meaning="width of the break"
            ),
        ]
    return Law(
        name="broken_power" if breaks == 1 else f"broken_power_{breaks}",
        formula=f"E + A*{axis}**-c0{product}",
        axes=(axis,),
        parameters=tuple(parameters),
        scaled_axes=(axis, "L"),
        source="Caballero et al. 2022, arXiv:2210.14891, eq. 1",
        description="curves with a change of slope; needs runs on both sides of each break",
    )
