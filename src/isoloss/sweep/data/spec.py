"""Which data a run learns from: a name and what is done to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from isoloss.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """A data set by name, and changes to it.

    Attributes
    ----------
    name
        ``stdlib``, ``fashion-mnist``, ``mnist1d``, ``mnist-5k``, ``teacher``, ``folder`` ...
    path
        File or folder, where the name asks for one or to look there first.
    superclasses
        Merge the classes into this many; 0 leaves them.
    input_noise, label_noise
        Standard deviation of normal noise on every input, in units of the inputs' own; share of
        training labels replaced at random.
    selection
        File of a pruning selection: only the training examples that it keeps.
    dimension, teacher_width, teacher_depth, exponent
        Of generators: inputs, hidden units, layers; decay of the spectrum.
    seed
        Of generators, noise and merging.
    """

    name: str
    path: str | None = None
    superclasses: int = 0
    input_noise: float = 0.0
    label_noise: float = 0.0
    selection: str | None = None
    dimension: int = 0
    teacher_width: int = 0
    teacher_depth: int = 0
    exponent: float = 0.0
    seed: int = 0

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> DataSpec:
        """Build from plain values; unknown fields are refused by name."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(plain) - known):
            raise InputError(
                f"data: unknown field {unknown[0]!r}; its fields are {', '.join(sorted(known))}"
            )
        try:
            return cls(**plain)
        except TypeError as error:
            raise InputError(f"data: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)
