"""Laws of a perceptron that learns from random or from pruned examples of another one.

The teacher-student perceptron of Sorscher, Geirhos, Shekhar, Ganguli and Morcos 2022,
arXiv:2206.14486. The student is the one of largest margin, inputs are standard normal in many
dimensions, and errors are exact. What is free in a fit is what a real network does not share with
that model: the floor, the unit of error, how many dimensions its task has, and how good the score
is that examples were chosen by.
"""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter
from isoloss.laws.margin_pruned import LEAST_ANGLE, RIGHT

_SOURCE = "teacher-student perceptron of Sorscher et al. 2022, arXiv:2206.14486, appendix A"


def _shared() -> tuple[Parameter, ...]:
    return (
        Parameter(name="E", start=(0.01, 0.5), unit="L", meaning="irreducible error"),
        Parameter(name="A", unit="L", start=(1.0, 100.0), meaning="error over that of the model"),
        Parameter(name="M", unit="D", start=(0.01, 3.0), meaning="examples that count as one each"),
    )


def perceptron() -> Law:
    r"""Test error of a max-margin perceptron against random examples.

    .. math:: L = E + A\,\epsilon(D/M)

    with epsilon the error at D/M examples a dimension: one half without any, :math:`C_0 M/D` in the
    end, :math:`C_0 = 0.5005`. At the start it falls as the root of D; the exponent grows from
    nothing to one over some three powers of ten. See `isoloss.laws.margin` for the equations.

    Examples
    --------
    >>> law = perceptron()
    >>> law({"E": 0.0, "A": 1.0, "M": 100.0}, {"D": [0.0, 100.0, 300.0, 1e4]}).round(4)
    array([0.5   , 0.2657, 0.1428, 0.005 ])
    """
    return Law(
        name="perceptron",
        formula="E + A*margin(D/M)",
        axes=("D",),
        parameters=_shared(),
        scaled_axes=("D", "L"),
        source=_SOURCE + ", nothing pruned",
        description="an exact curve from chance to the power 1, of a model that is solved",
    )


def pruned_perceptron() -> Law:
    r"""Test error of a max-margin perceptron that learns from the hardest examples of a pool.

    .. math:: L = E + A\,\epsilon(D/M, f; \theta)

    with D examples kept, the share f of a pool, by their margin to a score at the angle theta to
    the truth, in radians. One fit to pilots of several sizes and shares says how good the score is,
    and so which share to keep at other sizes. Shares are those from 0.1 to 1, angles those from 5
    degrees to 90, where the score knows nothing. The error is that of
    `isoloss.theory.pruned_perceptron` within 1e-4 of itself; see `isoloss.laws.margin_pruned`.

    Examples
    --------
    >>> law = pruned_perceptron()
    >>> theta = {"E": 0.0, "A": 1.0, "M": 100.0, "theta": 0.349}
    >>> law(theta, {"D": [100.0, 1000.0, 1e4], "fraction": 0.2}).round(4)
    array([0.4055, 0.022 , 0.0019])
    """
    return _pruned("pruned_perceptron", "margin_hard", "hardest")


def pruned_perceptron_easy() -> Law:
    r"""Test error of a max-margin perceptron that learns from the easiest examples of a pool.

    As `pruned_perceptron`, with those kept whose margin to the score is largest. They help where
    examples are few; later the student learns the score, and its error waits at
    :math:`\theta/\pi`. Past 100 examples a dimension, D over M, the law has no value; its slope
    along the share is without end where all are kept.

    Examples
    --------
    >>> law = pruned_perceptron_easy()
    >>> theta = {"E": 0.0, "A": 1.0, "M": 100.0, "theta": 0.349}
    >>> law(theta, {"D": [100.0, 1000.0, 1e4], "fraction": 0.2}).round(4)
    array([0.1724, 0.1141, 0.1124])
    """
    return _pruned("pruned_perceptron_easy", "margin_easy", "easiest")


def _pruned(name: str, function: str, kept: str) -> Law:
    angle = Parameter(
        name="theta",
        lower=LEAST_ANGLE,
        upper=RIGHT,
        start=(0.15, 1.2),
        meaning="angle of the score to the truth, in radians",
    )
    return Law(
        name=name,
        formula=f"E + A*{function}(D/M, fraction, theta)",
        axes=("D", "fraction"),
        parameters=(*_shared(), angle),
        scaled_axes=("D", "L"),
        source=f"{_SOURCE}; solved, then held as a polynomial",
        description=f"what pruning to the {kept} does, and how good the score is; needs the axis "
        "fraction, the share of a pool that was kept",
    )
