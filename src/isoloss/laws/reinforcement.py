"""Reward against the compute of reinforcement learning."""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter


def reward_sigmoid(axis: str = "x") -> Law:
    r"""Reward between start and ceiling: :math:`R_0 + (A - R_0)/(1 + (C_{mid}/C)^B)`.

    A sigmoid in the logarithm of compute: half of the gain is made at C_mid. What it gives takes
    the place of the loss and rises. A curve that ends below C_mid says little about A.

    Examples
    --------
    >>> theta = {"R0": 0.2, "A": 0.6, "C_mid": 1e3, "B": 1.0}
    >>> reward_sigmoid("C")(theta, {"C": [1e1, 1e3, 1e5]}).round(3)
    array([0.204, 0.4  , 0.596])
    """
    return Law(
        name="reward_sigmoid",
        formula=f"R0 + (A - R0)*(1 + (C_mid/{axis})**B)**-1",
        axes=(axis,),
        parameters=(
            Parameter(name="R0", unit="L", start=(0.05, 1.0), meaning="reward at the start"),
            Parameter(name="A", unit="L", start=(0.8, 3.0), meaning="reward after endless compute"),
            Parameter(
                name="C_mid", unit=axis, start=(0.1, 10.0), meaning="compute of half the gain"
            ),
            Parameter(name="B", start=(0.3, 4.0), upper=20.0, meaning="steepness"),
        ),
        scaled_axes=(axis, "L"),
        source="Khatri et al. 2025, arXiv:2510.13786",
        description="reward or pass rate against compute; leave out the first, unsettled part",
    )
