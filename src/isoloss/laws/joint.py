"""Joint laws of model size and data: Chinchilla, the coupled law, Kaplan's, no floor, Farseer."""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter


def _exponent(name: str, meaning: str) -> Parameter:
    return Parameter(name=name, start=(0.08, 1.2), upper=20.0, meaning=meaning)


def _amplitudes(loss: str = "L") -> tuple[Parameter, Parameter]:
    return (
        Parameter(name="A", unit=f"{loss}*N**alpha", meaning="amplitude of model size"),
        Parameter(name="B", unit=f"{loss}*D**beta", meaning="amplitude of data"),
    )


def _exponents() -> tuple[Parameter, Parameter]:
    return (
        _exponent("alpha", "exponent of model size"),
        _exponent("beta", "exponent of data"),
    )


def _floor() -> Parameter:
    return Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss")


def chinchilla() -> Law:
    """Sum of a floor, a size term and a data term: ``E + A/N^alpha + B/D^beta``."""
    return Law(
        name="chinchilla",
        formula="E + A*N**-alpha + B*D**-beta",
        axes=("N", "D"),
        parameters=(_floor(), *_amplitudes(), *_exponents()),
        scaled_axes=("N", "D", "L"),
        source="Hoffmann et al. 2022, arXiv:2203.15556, eq. 2",
        description="the common joint law: the two shortages add",
    )


def coupled() -> Law:
    """Chinchilla's law with one exponent k that lets the two shortages interact.

    ``E + ((A/N^alpha)^k + (B/D^beta)^k)^(1/k)``: k = 1 is Chinchilla's law; above it the larger
    shortage dominates, below it they aggravate each other. A nested audit: if k is not 1,
    intervals from Chinchilla's law alone are too narrow.
    """
    return Law(
        name="coupled",
        formula="E + ((A*N**-alpha)**k + (B*D**-beta)**k)**(1/k)",
        axes=("N", "D"),
        parameters=(
            _floor(),
            *_amplitudes(),
            *_exponents(),
            Parameter(
                name="k", lower=0.2, upper=8.0, start=(0.6, 1.8), meaning="interaction exponent"
            ),
        ),
        scaled_axes=("N", "D", "L"),
        special_cases={"chinchilla": {"k": 1.0}},
        source="generalised mean of the two terms of Hoffmann et al. 2022",
        description="nested audit of Chinchilla's law",
    )


def kaplan() -> Law:
    """Joint law without a floor: ``((Nc/N)^(alpha_N/alpha_D) + Dc/D)^alpha_D``."""
    return Law(
        name="kaplan",
        formula="((Nc/N)**(alpha_N/alpha_D) + Dc/D)**alpha_D",
        axes=("N", "D"),
        parameters=(
            Parameter(name="Nc", unit="N*L**(1/alpha_N)", start=(1e-2, 10.0), meaning="size scale"),
            Parameter(name="Dc", unit="D*L**(1/alpha_D)", start=(1e-2, 10.0), meaning="data scale"),
            _exponent("alpha_N", "exponent of model size"),
            _exponent("alpha_D", "exponent of data"),
        ),
        scaled_axes=("N", "D", "L"),
        source="Kaplan et al. 2020, arXiv:2001.08361, eq. 1.5",
        description="no floor; a rival to see what the floor decides",
    )


def additive() -> Law:
    """Chinchilla's law without its floor: ``A/N^alpha + B/D^beta``."""
    return Law(
        name="additive",
        formula="A*N**-alpha + B*D**-beta",
        axes=("N", "D"),
        parameters=(*_amplitudes(), *_exponents()),
        scaled_axes=("N", "D", "L"),
        source="Hoffmann et al. 2022, arXiv:2203.15556, eq. 2 with E = 0",
        description="no floor; says whether the runs see one",
    )


def farseer() -> Law:
    """Farseer: data exponent and amplitude both change with model size.

    ``exp(s N^q + S) + exp(b N^r + Q) D^-exp(a N^p + P)``, nine parameters. The form is not
    invariant to the unit of D, so D is used as given.
    """

    def free(name: str, start: tuple[float, float], meaning: str, unit: str = "") -> Parameter:
        return Parameter(
            name=name, lower=-60.0, upper=60.0, start=start, unit=unit, meaning=meaning
        )

    def slope(name: str, meaning: str) -> Parameter:
        return Parameter(name=name, lower=-3.0, upper=3.0, start=(-0.6, 0.6), meaning=meaning)

    return Law(
        name="farseer",
        formula="exp(s*N**q + S) + exp(b*N**r + Q)*D**(-exp(a*N**p + P))",
        axes=("N", "D"),
        parameters=(
            free("s", (-1.0, 1.0), "floor: slope", "N**(-q)"),
            slope("q", "floor: power of N"),
            free("S", (-1.5, 0.0), "floor: level"),
            free("b", (-2.0, 2.0), "data term: slope", "N**(-r)"),
            slope("r", "data term: power of N"),
            free("Q", (2.0, 12.0), "data term: level"),
            free("a", (-0.5, 0.5), "data exponent: slope", "N**(-p)"),
            slope("p", "data exponent: power of N"),
            free("P", (-1.6, -0.3), "data exponent: level"),
        ),
        scaled_axes=("N",),
        source="Li et al. 2025, arXiv:2506.10972",
        description="large grids only: nine parameters",
    )
