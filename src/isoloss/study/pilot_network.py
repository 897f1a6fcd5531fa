"""What pilots train, and how long."""

from __future__ import annotations

from dataclasses import dataclass, field

from isoloss.errors import InputError
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.shapes import Cnn, Mlp, Transformer
from isoloss.sweep.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What pilots train, and how long.

    Attributes
    ----------
    model
        Shape of the network; perceptrons train side by side. A `Transformer` of text.
    epochs
        Passes over what is kept; of ``match`` "steps", over the pool.
    match
        ``"epochs"``: compute falls with what is kept. ``"steps"``: every pilot of a pool takes as
        many steps as the unpruned one.
    batch, lr
        Examples, or blocks of text, a step; peak rate of AdamW, linear to zero.
    """

    model: Mlp | Cnn | Transformer = field(default_factory=lambda: Mlp(width=64))
    epochs: float = 10.0
    match: str = "epochs"
    batch: int = 32
    lr: float = 0.002

    def __post_init__(self) -> None:
        if self.match not in ("epochs", "steps"):
            raise InputError(f"match = {self.match!r}: write 'epochs' or 'steps'")
        if not isinstance(self.model, Mlp | Cnn | Transformer):
            raise InputError(
                f"model = {self.model!r}: pilots train an Mlp or a Cnn, or a Transformer on text"
            )
        if not 0 < self.epochs < 1e6:
            raise InputError(f"epochs = {self.epochs!r}: must be above 0 and below 1e6")

    def run(self, data: DataSpec, D: int, pool: int, seed: int, *, piece: int = 1) -> RunSpec:
        """Say what one pilot is; of text, D and the pool are so many pieces of so many bytes."""
        unit = self.model.context if isinstance(self.model, Transformer) else 1
        each = self.batch * unit
        steps = int(pool * piece * self.epochs) // each if self.match == "steps" else 0
        return RunSpec(
            model=self.model, data=data, D=D * piece, batch=self.batch, lr=self.lr, steps=steps,
            passes=float(self.epochs), evaluations=1, seed=seed,
        )  # fmt: skip


TEXT_NETWORK = Network(
    model=Transformer(width=32, depth=1, heads=2, context=64), epochs=2.0, batch=16, lr=0.01
)
"""Of text, where no other is given."""
