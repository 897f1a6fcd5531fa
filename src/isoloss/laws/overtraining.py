"""Over-training: Chinchilla's law with one exponent, in compute and data a parameter."""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter


def over_training() -> Law:
    r"""Loss of compute C and data a parameter M: :math:`E + (a M^\eta + b M^{-\eta}) C^{-\eta}`.

    With M = D/N and C = 6 N D it reads :math:`E + 6^{-\eta}(a N^{-2\eta} + b D^{-2\eta})`,
    Chinchilla's law with both exponents 2 eta, so it is fitted and planned with in N and D. At
    any fixed M the reducible loss falls with the same power of C: curves of different M are
    parallel.

    Examples
    --------
    >>> theta = {"E": 1.8, "a": 212.0, "b": 367.0, "eta": 0.136}
    >>> law = over_training()
    >>> law(theta, {"N": 1e9, "D": [2e10, 6.4e11]}).round(3)
    array([2.846, 2.569])
    """
    return Law(
        name="over_training",
        formula="E + (a*(D/N)**eta + b*(D/N)**(-eta))*(6*N*D)**(-eta)",
        axes=("N", "D"),
        parameters=(
            Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss"),
            Parameter(name="a", unit="L*N**(2*eta)", meaning="amplitude of size"),
            Parameter(name="b", unit="L*D**(2*eta)", meaning="amplitude of data"),
            Parameter(name="eta", start=(0.04, 0.6), upper=10.0, meaning="exponent of compute"),
        ),
        scaled_axes=("N", "D", "L"),
        source="Gadre et al. 2024, arXiv:2403.08540",
        description="few runs, some of them over-trained: four parameters in place of five",
    )
