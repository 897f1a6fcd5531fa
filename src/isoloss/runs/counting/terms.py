"""The counts of a model, term by term."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TRAINING = 3
"""A training step over a forward pass: the backward pass takes two products for each."""

GROUPS = ("embedding", "positions", "dense", "attention", "norm", "router", "head")


def per_unit(flops: int, units: int) -> int | float:
    """FLOPs of one of ``units``; whole where they divide, as integers have no largest."""
    return flops / units if flops % units else flops // units


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term of a model's size and cost.

    Attributes
    ----------
    name
        What it is, such as ``mlp up``.
    group
        One of ``embedding``, ``positions``, ``dense``, ``attention`` (scores and mixing, which have
        no weights), ``norm``, ``router``, ``head``.
    parameters
        Weights and biases.
    active
        Those that one token meets: fewer than ``parameters`` where experts are chosen.
    weights
        Active parameters that multiply something: no biases, norms or look-ups.
    forward
        FLOPs of the forward pass of one sequence or example, two for a multiplication and an
        addition. Biases, norms, activations, softmax and look-ups count nothing.
    vocabulary
        Whether it belongs to the token embedding, the positions or the head over a vocabulary.
    """

    name: str
    group: str
    parameters: int = 0
    active: int = 0
    weights: int = 0
    forward: int = 0
    vocabulary: bool = False


def linear(
    name: str,
    inputs: int,
    outputs: int,
    *,
    calls: int,
    bias: bool = False,
    copies: int = 1,
    group: str = "dense",
    vocabulary: bool = False,
) -> Term:
    """Make the term of ``copies`` matrices, each applied ``calls`` times a sequence."""
    matrices = inputs * outputs * copies
    held = matrices + (outputs * copies if bias else 0)
    return Term(
        name=name,
        group=group,
        parameters=held,
        active=held,
        weights=matrices,
        forward=2 * matrices * calls,
        vocabulary=vocabulary,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ModelCounts:
    """Parameters and FLOPs of a model by term.

    Attributes
    ----------
    kind
        Family of the model.
    terms
        In the order of the forward pass.
    unit
        What D counts: ``token`` or ``example``.
    units
        Of these in one sequence: the context, or 1.
    masked
        How scores that a mask hides are counted, see `count_model`.
    """

    kind: str
    terms: tuple[Term, ...]
    unit: str
    units: int
    masked: str

    @property
    def N_total(self) -> int:
        """All parameters, a tied matrix once."""
        return sum(t.parameters for t in self.terms)

    @property
    def N_active(self) -> int:
        """Parameters that one token meets, embedding and head included."""
        return sum(t.active for t in self.terms)

    @property
    def N_non_embedding(self) -> int:
        """All parameters without token embedding, positions and head over a vocabulary."""
        return sum(t.parameters for t in self.terms if not t.vocabulary)

    @property
    def N_active_non_embedding(self) -> int:
        """Of `N_non_embedding`, those that one token meets."""
        return sum(t.active for t in self.terms if not t.vocabulary)

    @property
    def block_weights(self) -> int:
        """Active weights of all matrices outside the vocabulary: no biases and no norms."""
        return sum(t.weights for t in self.terms if not t.vocabulary)

    @property
    def forward(self) -> int | float:
        """FLOPs of the forward pass per unit."""
        return per_unit(sum(t.forward for t in self.terms), self.units)

    @property
    def flops(self) -> int | float:
        """Training FLOPs per unit: three times the forward pass."""
        return self.flops_of(GROUPS)

    def flops_of(self, groups: str | Iterable[str]) -> int | float:
        """Training FLOPs per unit of one group of terms or several."""
        wanted = {groups} if isinstance(groups, str) else set(groups)
        return per_unit(
            TRAINING * sum(t.forward for t in self.terms if t.group in wanted), self.units
        )

    def to_columns(self) -> dict[str, list[Any]]:
        """Table with one row a term; FLOPs are per unit."""
        return {
            "term": [t.name for t in self.terms],
            "group": [t.group for t in self.terms],
            "parameters": [t.parameters for t in self.terms],
            "active": [t.active for t in self.terms],
            "forward": [per_unit(t.forward, self.units) for t in self.terms],
            "training": [per_unit(TRAINING * t.forward, self.units) for t in self.terms],
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain types; integers are exact however large."""
        return {
            "kind": self.kind,
            "unit": self.unit,
            "units_per_sequence": self.units,
            "masked": self.masked,
            "N_total": self.N_total,
            "N_non_embedding": self.N_non_embedding,
            "N_active": self.N_active,
            "N_active_non_embedding": self.N_active_non_embedding,
            "forward": self.forward,
            "training": self.flops,
            "terms": self.to_columns(),
        }

    def summary(self) -> str:
        """Table for people."""
        columns = self.to_columns()
        width = max(13, *(len(n) for n in columns["term"]))
        unit = f"FLOPs/{self.unit}"
        lines = [f"{'term':<{width}}  {'parameters':>17}  {'training ' + unit:>24}"]
        for name, held, cost in zip(
            columns["term"], columns["parameters"], columns["training"], strict=True
        ):
            lines.append(f"{name:<{width}}  {held:>17,}  {cost:>24,}")
        lines.append(f"{'total':<{width}}  {self.N_total:>17,}  {self.flops:>24,}")
        if self.N_non_embedding != self.N_total:
            lines.append(f"{'non-embedding':<{width}}  {self.N_non_embedding:>17,}")
        if self.N_active != self.N_total:
            lines.append(f"{'active':<{width}}  {self.N_active:>17,}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"ModelCounts({self.kind}: N_total={self.N_total}, {self.flops} FLOPs/{self.unit})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"
