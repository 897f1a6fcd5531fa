"""What rises with a resource: strength, best sizes, scores."""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter


def growth(axis: str = "x") -> Law:
    """Power that rises, ``A x^alpha``: best size against compute, strength against size.

    What it gives takes the place of the loss. An Elo rating becomes a strength by
    ``10^(Elo/400)``: with a strength ``g = A N^alpha`` the ratings of two agents differ by
    ``400 alpha log10(N_1/N_2)``.

    Examples
    --------
    >>> growth("C")({"A": 1.3e9, "alpha": 0.73}, {"C": [1.0, 10.0]})
    array([1.3000...e+09, 6.9814...e+09])
    """
    return Law(
        name="growth",
        formula=f"A*{axis}**alpha",
        axes=(axis,),
        parameters=(
            Parameter(name="A", unit=f"L*{axis}**(-alpha)", meaning="amplitude"),
            Parameter(name="alpha", start=(0.05, 2.0), upper=20.0, meaning="growth exponent"),
        ),
        scaled_axes=(axis, "L"),
        source=(
            "Kaplan et al. 2020, arXiv:2001.08361, table 6, for best sizes; Neumann and Gros "
            "2022, arXiv:2210.00849, for strengths"
        ),
        description="best sizes against compute, strengths of players: more is more",
    )


def bounded_score(axis: str = "x") -> Law:
    """Score between two levels: ``d - b (1/x + c)^-a``.

    With a above zero it starts from d at small x and falls to ``d - b c^-a``, as an error does
    that starts at chance. With a below zero it rises towards ``d - b c^|a|``, as an accuracy
    does. Regressions of the same source use `power_floor`.

    Examples
    --------
    >>> accuracy = {"d": 0.9, "b": 0.8, "c": 1e-4, "a": -0.3}
    >>> bounded_score("nodes")(accuracy, {"nodes": [10, 1e3, 1e5, 1e9]}).round(3)
    array([0.499, 0.796, 0.848, 0.85 ])
    """
    return Law(
        name="bounded_score",
        formula=f"d - b*({axis}**-1 + c)**(-a)",
        axes=(axis,),
        parameters=(
            Parameter(name="d", start=(0.5, 3.0), unit="L", meaning="level that b is counted from"),
            Parameter(name="b", unit=f"L*{axis}**(-a)", meaning="amplitude"),
            Parameter(name="c", start=(1e-4, 1.0), unit=f"{axis}**-1", meaning="shift"),
            Parameter(
                name="a", lower=-20.0, upper=20.0, start=(-1.0, 1.0),
                meaning="exponent: above zero for what falls, below for what rises",
            ),
        ),
        scaled_axes=(axis, "L"),
        source="Liu et al. 2024, arXiv:2402.02054, the form for classification",
        description=(
            "errors that start at chance, accuracies that level off; for graphs x counts nodes, "
            "edges or parameters"
        ),
    )  # fmt: skip
