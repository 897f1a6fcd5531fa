"""Routed networks: size and number of experts, whose gains shrink as size grows."""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter

# Few experts do not help yet, and very many no more.
_EXPERTS = "(1/(experts - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max)"


def routing() -> Law:
    r"""Bilinear in logarithms: :math:`\log_{10} L = d - a\log N - b\log\hat E + c\log N\log\hat E`.

    N is the size of the dense model that is routed, the axis ``experts`` the number E of experts,
    and :math:`1/\hat E = 1/(E - 1 + (1/E_{start} - 1/E_{max})^{-1}) + 1/E_{max}`, which runs from
    E_start at one expert to E_max. Logarithms are to base ten; a, b and c are positive, where the
    paper prints -a and -b. Experts stop to help at a dense size of 10^(b/c).

    Examples
    --------
    >>> theta = {"a": 0.08, "b": 0.1, "c": 0.009, "d": 1.1, "E_start": 1.8, "E_max": 300.0}
    >>> routing()(theta, {"N": 1e9, "experts": [1, 8, 64, 512]}).round(3)
    array([2.372, 2.303, 2.224, 2.171])
    """
    return Law(
        name="routing",
        formula=f"10**(d - a*log10(N) + (b - c*log10(N))*log10{_EXPERTS})",
        axes=("N", "experts"),
        parameters=(
            Parameter(name="a", upper=2.0, start=(0.02, 0.3), meaning="exponent of dense size"),
            Parameter(name="b", upper=3.0, start=(0.02, 0.4), meaning="exponent of experts"),
            Parameter(
                name="c", lower=-0.5, upper=0.5, start=(-0.01, 0.03), meaning="size by experts"
            ),
            Parameter(name="d", lower=-5.0, upper=10.0, start=(0.2, 3.0), meaning="level"),
            Parameter(
                name="E_start", lower=1e-3, start=(1.0, 6.0), upper=50.0,
                meaning="what one expert counts as",
            ),
            Parameter(
                name="E_max", lower=10.0, start=(100.0, 2000.0), upper=1e6,
                meaning="what endless experts count as",
            ),
        ),
        source="Clark et al. 2022, arXiv:2202.01169, the form from memory",
        description="routed networks of several sizes; axis `experts`; data held",
    )  # fmt: skip
