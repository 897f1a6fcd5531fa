"""What one training run is: a frozen, hashable description."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

from isoloss.errors import InputError

CONTEXT = 128
VOCABULARY = 256
_LEAST = {"width": 1, "depth": 1, "heads": 1, "D": 1, "batch": 1, "warmup": 0, "seed": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run of a byte-level transformer.

    Attributes
    ----------
    width, depth, heads
        Model width ``d``, number of layers, attention heads.
    D
        Training bytes seen; rounded down to whole batches by `steps`.
    batch
        Sequences of ``CONTEXT`` bytes in a step.
    lr
        Peak learning rate of AdamW.
    warmup
        Linear warm-up steps; after them the rate falls linearly to zero at the last step,
        so the schedule ends with the run.
    seed
        Seeds the initial weights and the order of the data.

    Examples
    --------
    >>> spec = RunSpec(width=16, depth=2, heads=1, D=1_000_000, lr=0.01)
    >>> spec.steps, spec.tokens
    (1953, 999936)
    """

    width: int
    depth: int
    heads: int
    D: int
    lr: float
    batch: int = 4
    warmup: int = 100
    beta2: float = 0.98
    weight_decay: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise InputError(f"{name} = {getattr(self, name)}: must be at least {least}")
        if self.width % self.heads:
            raise InputError(f"width = {self.width} is not divisible by heads = {self.heads}")
        if not 0 < self.lr < math.inf:
            raise InputError(f"lr = {self.lr}: the learning rate must be positive and finite")
        if self.steps <= self.warmup:
            raise InputError(
                f"D = {self.D} gives {self.steps} steps, not more than warmup = {self.warmup}; "
                "raise D, or lower batch or warmup"
            )

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return self.D // (self.batch * CONTEXT)

    @property
    def tokens(self) -> int:
        """Bytes seen in training: whole batches only."""
        return self.steps * self.batch * CONTEXT

    @property
    def name(self) -> str:
        """Name of the run: its shape in clear and a digest of all its fields."""
        text = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"d{self.width}x{self.depth}-D{self.D // 1000}k-s{self.seed}-{digest}"
