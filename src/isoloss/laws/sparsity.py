"""Sparse mixtures of experts: total size, data, and the share of parameters that rests."""

from __future__ import annotations

from isoloss.laws.law import Law, Parameter


def sparsity() -> Law:
    r"""Size, data and the share S of experts at rest.

    :math:`E + A N^{-\alpha} + B D^{-\beta} + c(1-S)^{-\lambda} + d(1-S)^{-\delta}N^{-\gamma}`. N
    counts all parameters; S, the axis ``sparsity``, lies in [0, 1). At S = 0 the last two terms are
    a constant and a power of N: with runs of one S alone they cannot be told from the others.

    Examples
    --------
    >>> theta = {"E": 1.0, "A": 400.0, "B": 2000.0, "alpha": 0.35, "beta": 0.36, "c": 0.05,
    ...          "lam": 0.3, "d": 20.0, "delta": 0.2, "gamma": 0.2}
    >>> sparsity()(theta, {"N": 1e9, "D": 2e10, "sparsity": [0.0, 0.5, 0.95]}).round(3)
    array([2.042, 2.1  , 2.375])
    """

    def exponent(name: str, meaning: str, start: tuple[float, float] = (0.08, 1.2)) -> Parameter:
        return Parameter(name=name, start=start, upper=20.0, meaning=meaning)

    return Law(
        name="sparsity",
        formula=(
            "E + A*N**-alpha + B*D**-beta + c*(1 - sparsity)**-lam"
            " + d*(1 - sparsity)**-delta*N**-gamma"
        ),
        axes=("N", "D", "sparsity"),
        parameters=(
            Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss"),
            Parameter(name="A", unit="L*N**alpha", meaning="amplitude of size"),
            Parameter(name="B", unit="L*D**beta", meaning="amplitude of data"),
            exponent("alpha", "exponent of size"),
            exponent("beta", "exponent of data"),
            Parameter(name="c", unit="L", meaning="amplitude of sparsity"),
            exponent("lam", "exponent of sparsity"),
            Parameter(name="d", unit="L*N**gamma", meaning="amplitude of sparsity by size"),
            exponent("delta", "exponent of sparsity by size"),
            exponent("gamma", "exponent of size by sparsity"),
        ),
        scaled_axes=("N", "D", "L"),
        source="Abnar et al. 2025, arXiv:2501.12370, the form from memory",
        description="ten parameters: only for grids of N, D and the axis `sparsity`",
    )
