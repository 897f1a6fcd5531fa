"""How large the vocabulary should be: its parameters apart from the others."""

from __future__ import annotations

from dataclasses import replace

from isoloss.laws.joint import chinchilla
from isoloss.laws.law import Law, Parameter


def vocabulary() -> Law:
    r"""Chinchilla's law with a term of its own for the vocabulary.

    :math:`E + A N^{-\alpha} + V N_v^{-\nu} + B D^{-\beta}`. N counts what is no vocabulary, the
    axis ``N_vocab`` the parameters of embedding and head. The loss must be one that vocabularies
    share: normalised by that of a unigram model, it is below zero, so add one constant to every
    loss of the table and read E accordingly.

    Examples
    --------
    >>> theta = {"E": 1.5, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
    >>> x = {"N": 1e9, "D": 2e10, "N_vocab": [1e7, 1e8]}
    >>> vocabulary()(theta | {"V": 30.0, "nu": 0.25}, x).round(3)
    array([2.698, 2.464])
    """
    base = chinchilla()
    return replace(
        base,
        name="vocabulary",
        formula="E + A*N**-alpha + V*N_vocab**-nu + B*D**-beta",
        axes=("N", "D", "N_vocab"),
        parameters=(
            *base.parameters,
            Parameter(name="V", unit="L*N_vocab**nu", meaning="amplitude of vocabulary"),
            Parameter(name="nu", start=(0.08, 1.2), upper=20.0, meaning="exponent of vocabulary"),
        ),
        scaled_axes=("N", "D", "N_vocab", "L"),
        source="Tao et al. 2024, arXiv:2407.13623, the form from memory",
        description="sizes of vocabulary; needs the axis `N_vocab`",
    )
