"""What one training run is: a frozen, hashable description."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from isoloss.errors import InputError
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.shapes import (
    Cnn,
    KernelRidge,
    Mlp,
    Model,
    RandomFeatures,
    Transformer,
    model_from,
)

SCHEDULES = ("linear", "cosine", "constant", "wsd")
OPTIMISERS = ("adamw", "sgd")
WIDTH_RULES = ("standard", "mup")
READOUTS = ("random", "zero")
_LEAST = {"D": 1, "steps": 0, "batch": 1, "warmup": 0, "seed": 0, "evaluations": 1, "base_width": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run: a model, its data, and how the one is trained on the other.

    Attributes
    ----------
    model, data
        Shape of the network; what it learns from.
    D
        Distinct training examples, or bytes of text.
    steps, passes
        Optimiser steps; or, where ``steps`` is 0, as many as ``passes`` over the D examples take.
    batch
        Examples, or sequences of ``model.context`` bytes, in a step.
    lr
        Peak learning rate; under ``mup`` the rate of a model of ``base_width``.
    schedule
        After ``warmup`` linear steps: ``linear`` or ``cosine`` to zero at the last step,
        ``constant``, or ``wsd``: constant, then linear to zero over the last share ``decay``.
    width_rule
        ``standard``, or ``mup``: maximal-update scaling of initial weights and rates with width.
    readout
        Initial last weights: ``random``, or ``zero``, so that the network is zero at the start and
        all that seeds add is learned. A transformer's are its embedding and stay random.
    loss
        ``cross-entropy`` or ``squared``; ``auto`` takes what fits the data.
    choose
        ``last``: the loss at the last step. ``best``: the loss at the evaluation that was best on
        the validation part, never chosen on the test part.
    evaluations
        Looks at the validation part during the run, evenly spaced, the last step included.
    seed
        Seeds the initial weights and the order of later passes.
    subset
        Seeds which D examples are drawn and the order of the first pass; the same as ``seed`` where
        None. Subsets of one seed are nested: the smaller D are the first of the larger.

    Examples
    --------
    >>> from isoloss.sweep import DataSpec, Mlp, RunSpec
    >>> spec = RunSpec(model=Mlp(width=64), data=DataSpec(name="fashion-mnist"), D=1024,
    ...                steps=500, batch=64, lr=0.003)
    >>> spec.updates, spec.seen
    (500, 32000)
    """

    model: Model
    data: DataSpec
    D: int
    batch: int
    lr: float
    steps: int = 0
    passes: float = 1.0
    optimiser: str = "adamw"
    beta1: float = 0.9
    beta2: float = 0.98
    weight_decay: float = 0.0
    clip: float = 1.0
    schedule: str = "linear"
    warmup: int = 0
    decay: float = 0.2
    width_rule: str = "standard"
    base_width: int = 64
    readout: str = "random"
    loss: str = "auto"
    choose: str = "last"
    evaluations: int = 10
    seed: int = 0
    subset: int | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} = {value!r}: must be a whole number of at least {least}")
        for name, allowed in (
            ("schedule", SCHEDULES),
            ("optimiser", OPTIMISERS),
            ("width_rule", WIDTH_RULES),
            ("readout", READOUTS),
            ("loss", ("auto", "cross-entropy", "squared")),
            ("choose", ("last", "best")),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name} = {getattr(self, name)!r}: must be one of {', '.join(allowed)}"
                )
        for name in ("lr", "passes", "clip"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} = {getattr(self, name)}: must be positive")
        if not math.isfinite(self.lr) or not math.isfinite(self.passes):
            raise InputError(f"lr = {self.lr}, passes = {self.passes}: must be finite")
        if not 0 < self.decay <= 1:
            raise InputError(f"decay = {self.decay}: must lie in (0, 1]")
        if self.readout == "zero" and not isinstance(self.model, Mlp | Cnn):
            raise InputError(
                f"readout = 'zero': a {self.model.kind} has no last layer of its own that trains; "
                "leave it out"
            )
        if self.solved:
            return
        if self.updates <= self.warmup:
            raise InputError(
                f"D = {self.D} gives {self.updates} steps, not more than warmup = {self.warmup}; "
                "raise D, steps or passes, or lower batch or warmup"
            )

    @property
    def solved(self) -> bool:
        """Whether the model is solved in closed form rather than trained."""
        return isinstance(self.model, RandomFeatures | KernelRidge)

    @property
    def unit(self) -> int:
        """Examples of the data in one element of a batch: bytes of a sequence, else 1."""
        return self.model.context if isinstance(self.model, Transformer) else 1

    @property
    def updates(self) -> int:
        """Optimiser steps."""
        if self.solved:
            return 0
        return self.steps or int(self.D * self.passes) // (self.batch * self.unit)

    @property
    def seen(self) -> int:
        """Examples, or bytes, processed in training, repeats counted."""
        return self.D if self.solved else self.updates * self.batch * self.unit

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values; `spec_from` is the inverse.

        A random readout is left out: so the names of runs do not depend on the field being there.
        """
        plain = asdict(self)
        if self.readout == "random":
            del plain["readout"]
        plain["model"] = {"kind": self.model.kind} | plain["model"]
        plain["data"] = self.data.to_dict()
        return plain

    def record(self) -> dict[str, Any]:
        """Return all fields as a ledger keeps them: of an absolute path its last part alone."""
        return self.to_dict() | {"data": self.data.record()}

    @property
    def name(self) -> str:
        """Name of the run: its shape in clear and a digest of its record.

        It is the same on machines that keep data in different folders.
        """
        text = json.dumps(self.record(), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        model = self.model
        size = model.kernel if isinstance(model, KernelRidge) else f"w{model.width}"
        return f"{model.kind}-{size}-D{self.D}-s{self.seed}-{digest}"


def by_name(specs: Iterable[RunSpec]) -> dict[str, RunSpec]:
    """Name each run; equal runs count once.

    Raises
    ------
    InputError
        Where two files in different folders would give one name.
    """
    found: dict[str, RunSpec] = {}
    for spec in specs:
        other = found.setdefault(spec.name, spec)
        if other.data != spec.data:
            pairs = zip(other.data.files, spec.data.files, strict=True)
            first, second = next(pair for pair in pairs if pair[0] != pair[1])
            raise InputError(
                f"data: {first} and {second} have one name in a ledger, which keeps the last "
                "part of absolute paths; rename one, or write paths relative to the folder that "
                "the sweep starts in"
            )
    return found


def spec_from(plain: dict[str, Any]) -> RunSpec:
    """Build a spec from plain values, as `RunSpec.to_dict` or a grid file gives them.

    Raises
    ------
    InputError
        For an unknown or missing field or a value out of range.
    """
    given = dict(plain)
    known = {f.name for f in fields(RunSpec)}
    if unknown := sorted(set(given) - known):
        raise InputError(
            f"run: unknown field {unknown[0]!r}; fields are {', '.join(sorted(known))}"
        )
    for name in ("model", "data"):
        if not isinstance(given.get(name), dict):
            raise InputError(f"run: {name} must be a table of fields")
    given["model"] = model_from(given["model"])
    given["data"] = DataSpec.from_dict(given["data"])
    try:
        return RunSpec(**given)
    except TypeError as error:
        raise InputError(f"run: {error}") from None
