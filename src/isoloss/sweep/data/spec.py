"""Which data a run learns from: a name and what is done to it."""

from __future__ import annotations

import difflib
import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from isoloss.errors import InputError
from isoloss.sweep.data.catalogue import CATALOGUE
from isoloss.sweep.data.place import kept

GROUPINGS = ("random", "stated")
INPUTS = ("uniform", "normal")
_WHOLE = {
    "superclasses": 1 << 20,
    "examples": 1 << 32,
    "size": 4096,
    "channels": 3,
    "piece": 1 << 30,
    "dimension": 1 << 20,
    "teacher_width": 1 << 20,
    "teacher_depth": 100,
    "seed": (1 << 63) - 1,
}
"""Whole numbers, and the largest of each."""
_REAL = {
    "input_noise": 1e6,
    "label_noise": 1e6,
    "exponent": 20.0,
    "target_exponent": 20.0,
}
_TEXTS = ("path", "selection", "endings", "grouping", "inputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """A data set by name, and changes to it.

    A field that the name has no use for must be left at its default.

    Attributes
    ----------
    name
        One of `isoloss.sweep.data.names`: ``stdlib``, ``fashion-mnist``, ``teacher``, ``arrays``
        ...
    path
        File or folder, where the name asks for one, or the one place to look for the set.
    endings
        Of ``text``: endings of the files that are read, as ``".py .md"``; all texts where empty.
    size, channels
        Of ``images``: side in pixels (28 where 0); 1 for grey, 3 for colour (3 where 0).
    superclasses
        Merge the classes into this many; 0 leaves them.
    grouping
        ``random``: groups of equal size, or of sizes that differ by one, drawn from ``seed``.
        ``stated``: the groups that `isoloss.sweep.data.changes.GROUPS` states for a set.
    input_noise
        Standard deviation of normal noise on every input of all three parts, in units of the
        inputs' own; an example keeps its noise.
    label_noise
        Of training labels alone. Classes: chance that a label is drawn anew, evenly from all
        classes. Numbers: standard deviation of normal noise, in units of the targets' own.
    selection
        File of a selection that `isoloss.prune` wrote: only the training examples that it keeps.
        Ids are rows of the training part; of text, numbers of its pieces.
    piece
        Of text with a selection: bytes of a piece, see `isoloss.sweep.data.pieces`.
    examples
        Of generators: training examples; 65,536 where 0. Example i does not depend on it.
    dimension
        Of generators: inputs; latent features of ``spectrum``.
    teacher_width, teacher_depth
        Hidden units a layer, and hidden layers. Of ``information``: the concentration K, roughly
        how many neurons matter.
    inputs
        Of ``teacher``: ``uniform`` on a cube or ``normal``, of unit variance both.
    exponent, target_exponent
        Of ``spectrum``: latent i has variance ``i**-(1 + exponent)``; the target has power
        ``i**-target_exponent`` on it, or coefficients of one variance where 0.
    seed
        Of generators, noise and merging.

    Raises
    ------
    InputError
        For an unknown name, a value out of range, or a field that the name does not use.

    Examples
    --------
    >>> DataSpec(name="teacher", dimension=4, teacher_width=16, teacher_depth=2).inputs
    'uniform'
    """

    name: str
    path: str | None = None
    endings: str = ""
    size: int = 0
    channels: int = 0
    superclasses: int = 0
    grouping: str = "random"
    input_noise: float = 0.0
    label_noise: float = 0.0
    selection: str | None = None
    piece: int = 0
    examples: int = 0
    dimension: int = 0
    teacher_width: int = 0
    teacher_depth: int = 0
    inputs: str = "uniform"
    exponent: float = 0.0
    target_exponent: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        _check_name(self.name)
        self._check_types()
        entry = CATALOGUE[self.name]
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "name" and value != f.default and f.name not in entry.fields:
                raise InputError(
                    f"data: {f.name} = {value!r}: {self.name} does not use it; leave it out"
                )
        for name in entry.needs:
            if not getattr(self, name):
                raise InputError(f"data: {self.name} needs {name}; give a value above zero")
        self._check_values(entry.kind)

    def _check_types(self) -> None:
        for name, most in _WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise InputError(f"data: {name} = {value!r}: must be a whole number, 0 to {most}")
        for name, top in _REAL.items():
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not (math.isfinite(value) and 0 <= value <= top)
            ):
                raise InputError(f"data: {name} = {value!r}: must be a number, 0 to {top:g}")
            # 1 and 1.0 are one spec and must give one name.
            object.__setattr__(self, name, float(value))
        for name in _TEXTS:
            value = getattr(self, name)
            if value is None and name in ("path", "selection"):
                continue
            empty = value == "" and name in ("path", "selection")
            if not isinstance(value, str) or "\0" in value or empty:
                raise InputError(f"data: {name} = {value!r}: must be text{', not empty' * empty}")

    def _check_values(self, kind: str) -> None:
        for name, allowed in (("grouping", GROUPINGS), ("inputs", INPUTS)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"data: {name} = {getattr(self, name)!r}: must be one of {', '.join(allowed)}"
                )
        if self.superclasses == 1:
            raise InputError("data: superclasses = 1: one class leaves nothing to learn; 2 or more")
        if self.grouping != "random" and not self.superclasses:
            raise InputError(f"data: grouping = {self.grouping!r}: give superclasses with it")
        if self.channels == 2:
            raise InputError("data: channels = 2: must be 1 for grey or 3 for colour")
        if kind == "text" and bool(self.piece) != (self.selection is not None):
            raise InputError(
                f"data: piece = {self.piece} and selection = {self.selection!r}: of text, give "
                "both or neither; a selection names pieces of so many bytes"
            )
        if kind == "classes" and self.label_noise > 1:
            raise InputError(f"data: label_noise = {self.label_noise:g}: a chance is at most 1")

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
        """All fields as plain values.

        No piece is left out: so the names of runs do not depend on the field being there.
        """
        plain = asdict(self)
        if not self.piece:
            del plain["piece"]
        return plain

    @property
    def whole(self) -> DataSpec:
        """The same without a selection."""
        return replace(self, selection=None, piece=0)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths that the spec names."""
        return tuple(path for path in (self.path, self.selection) if path is not None)

    def record(self) -> dict[str, Any]:
        """All fields as a ledger keeps them: of an absolute path its last part alone."""
        plain = self.to_dict()
        for name in ("path", "selection"):
            if plain[name] is not None:
                plain[name] = kept(plain[name])
        return plain


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name in CATALOGUE:
        return
    near = difflib.get_close_matches(str(name), CATALOGUE, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"data: name = {name!r}: {meant}known are {', '.join(CATALOGUE)}")
