"""All conventions of one model side by side."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.counting.conventions import CONVENTIONS, Convention, get_convention
from isoloss.runs.counting.count import Model, count_model
from isoloss.runs.counting.decoder import DecoderModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ConventionRow:
    """One convention of one model.

    Attributes
    ----------
    convention
        Which.
    N, flops
        Size, and training FLOPs per token or example.
    ratio
        FLOPs over those of the exact count.
    C
        Training FLOPs of all tokens, or None where none were given.
    """

    convention: Convention
    N: int | float
    flops: int | float
    ratio: float
    C: int | float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        c = self.convention
        return {
            "convention": c.name,
            "N": self.N,
            "flops": self.flops,
            "ratio": self.ratio,
            "C": self.C,
            "N_counts": c.N,
            "C_counts": c.C,
            "source": c.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ConventionTable:
    """Conventions of one model side by side.

    Attributes
    ----------
    rows
        One a convention.
    unit
        ``token`` or ``example``.
    tokens
        D, or None.
    """

    rows: tuple[ConventionRow, ...]
    unit: str
    tokens: int | float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        rows = [r.to_dict() for r in self.rows]
        return {"unit": self.unit, "tokens": self.tokens, "rows": rows}

    def to_columns(self) -> dict[str, list[Any]]:
        """Table with one row a convention."""
        rows = [r.to_dict() for r in self.rows]
        return {k: [r[k] for r in rows] for k in ("convention", "N", "flops", "ratio", "C")}

    def summary(self) -> str:
        """Table for people."""
        head = f"{'convention':<17} {'N':>10} {'FLOPs/' + self.unit:>14} {'/ exact':>8}"
        lines = [head + (f" {'C':>10}" if self.tokens is not None else "") + "  C counts"]
        for r in self.rows:
            text = (
                f"{r.convention.name:<17} {_short(r.N):>10} {_short(r.flops):>14} {r.ratio:>8.3f}"
            )
            text += "" if r.C is None else f" {_short(r.C):>10}"
            lines.append(f"{text}  {r.convention.C}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        low, high = min(r.ratio for r in self.rows), max(r.ratio for r in self.rows)
        return f"ConventionTable({len(self.rows)} conventions, {low:.3g} to {high:.3g} of exact)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def _short(value: int | float) -> str:
    try:
        return f"{value:.4g}"
    except OverflowError:
        return f"1e{len(str(int(value))) - 1}"


def as_tokens(tokens: int | float | None) -> int | float | None:
    """Check how much data a training sees."""
    if tokens is None:
        return None
    good = isinstance(tokens, (int, float)) and not isinstance(tokens, bool)
    if not (good and math.isfinite(tokens) and tokens > 0):
        raise InputError(f"tokens = {tokens!r}: must be a finite number above 0")
    return tokens


def compare_conventions(
    model: Model,
    *,
    conventions: Iterable[str | Convention] | None = None,
    tokens: int | float | None = None,
) -> ConventionTable:
    """Count one model in several conventions, with the ratio to the exact count.

    Formulas are applied as printed, also where they were made for another architecture: the
    ratio shows what that does.

    Parameters
    ----------
    conventions
        Names; by default all that speak of such a model.
    tokens
        D, for the training FLOPs in all.

    Raises
    ------
    InputError
        For an unknown name, a convention of another family, or D that is not positive.

    Examples
    --------
    >>> gpt3 = DecoderModel(width=12288, depth=96, heads=96, vocabulary=50257, context=2048,
    ...                     positions="learned", attention_bias="all", mlp_bias=True, norm="layer")
    >>> table = compare_conventions(gpt3, conventions=["6nd", "palm"], tokens=300e9)
    >>> [f"{row.C:.3g}, {row.ratio:.3f}" for row in table.rows]
    ['3.14e+23, 0.987', '3.23e+23, 1.014']
    """
    tokens = as_tokens(tokens)
    exact = count_model(model)
    if conventions is None:
        decoder = isinstance(model, DecoderModel)
        chosen = [c for c in CONVENTIONS.values() if decoder or not c.decoders_only]
    else:
        chosen = [get_convention(c) for c in conventions]
    if not chosen:
        raise InputError("conventions: name one or more")
    rows = []
    for c in chosen:
        flops = c.flops_per_unit(model)
        rows.append(
            ConventionRow(convention=c, N=c.size(model), flops=flops, ratio=flops / exact.flops,
                          C=None if tokens is None else flops * tokens)
        )  # fmt: skip
    return ConventionTable(rows=tuple(rows), unit=exact.unit, tokens=tokens)
