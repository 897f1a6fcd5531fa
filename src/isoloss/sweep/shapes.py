"""Shapes of models: what `RunSpec` names, without the framework that trains it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from isoloss.errors import InputError

ACTIVATIONS = ("relu", "gelu", "tanh", "erf")
KERNELS = ("rbf", "laplace", "nngp", "ntk")
_OF_NETWORKS = ("depth", "activation", "weights", "biases")


def _require(owner: object, **least: int) -> None:
    for name, low in least.items():
        value = getattr(owner, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise InputError(f"{name} = {value!r}: must be a whole number of at least {low}")


def _activation(owner: Any) -> None:
    if owner.activation not in ACTIVATIONS:
        raise InputError(
            f"activation = {owner.activation!r}: must be one of {', '.join(ACTIVATIONS)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mlp:
    """A perceptron of ``depth`` hidden layers of ``width`` units, with biases."""

    kind: ClassVar[str] = "mlp"
    width: int
    depth: int = 2
    activation: str = "relu"

    def __post_init__(self) -> None:
        _require(self, width=1, depth=1)
        _activation(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cnn:
    """``depth`` convolutions, 3 by 3 with ``width`` channels, each halving the image; a mean."""

    kind: ClassVar[str] = "cnn"
    width: int
    depth: int = 3
    activation: str = "relu"

    def __post_init__(self) -> None:
        _require(self, width=1, depth=1)
        _activation(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """A byte-level decoder: pre-norm blocks, causal attention over ``context`` bytes."""

    kind: ClassVar[str] = "transformer"
    width: int
    depth: int
    heads: int
    context: int = 128

    def __post_init__(self) -> None:
        _require(self, width=1, depth=1, heads=1, context=2)
        if self.width % self.heads:
            raise InputError(f"width = {self.width} is not divisible by heads = {self.heads}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomFeatures:
    """Ridge regression on ``width`` random features of the inputs; solved, not trained.

    ``activation`` "linear" projects the inputs at random; ``ridge`` multiplies the sum of squared
    weights beside the *sum* of squared errors, and 0 is the least-norm interpolator.
    """

    kind: ClassVar[str] = "random-features"
    width: int
    activation: str = "relu"
    ridge: float = 0.0

    def __post_init__(self) -> None:
        _require(self, width=1)
        if self.activation != "linear":
            _activation(self)
        if not 0 <= self.ridge < float("inf"):
            raise InputError(f"ridge = {self.ridge}: must be finite and at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRidge:
    """Ridge regression with a kernel of the inputs; solved, not trained, and of no width.

    With inputs of d numbers, ``rbf`` is ``exp(-|x - z|^2 / (2 d bandwidth^2))`` and ``laplace``
    ``exp(-|x - z| / (sqrt(d) bandwidth))``: inputs of unit variance ask for a bandwidth near one.
    ``nngp`` and ``ntk`` are the kernels of perceptrons of endless width, as
    `isoloss.spectra.mlp_kernel` has them, of ``depth`` hidden layers of ``activation``, where a
    weight has the variance ``weights`` over its fan-in and a bias ``biases``; ``nngp`` of one layer
    of ``relu`` is the arc-cosine kernel, the limit of `RandomFeatures` over their width. ``ridge``
    stands beside the sum of squared errors, and 0 is the interpolator of least norm.
    """

    kind: ClassVar[str] = "kernel-ridge"
    width: ClassVar[int] = 0
    kernel: str
    bandwidth: float = 1.0
    depth: int = 1
    activation: str = "relu"
    weights: float = 1.0
    biases: float = 0.0
    ridge: float = 0.0

    def __post_init__(self) -> None:
        if self.kernel not in KERNELS:
            raise InputError(f"kernel = {self.kernel!r}: must be one of {', '.join(KERNELS)}")
        unused = ("bandwidth",) if self.kernel in ("nngp", "ntk") else _OF_NETWORKS
        for f in fields(self):
            if f.name in unused and getattr(self, f.name) != f.default:
                raise InputError(
                    f"{f.name} = {getattr(self, f.name)!r}: {self.kernel} does not use it; "
                    "leave it out"
                )
        _require(self, depth=1)
        if self.activation not in ("relu", "erf", "linear"):
            raise InputError(
                f"activation = {self.activation!r}: kernels of relu, erf and linear are known"
            )
        for name, above in (("bandwidth", True), ("weights", True), ("biases", False),
                            ("ridge", False)):  # fmt: skip
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value < float("inf") or (above and value == 0):
                rule = "above zero" if above else "at least 0"
                raise InputError(f"{name} = {value!r}: must be finite and {rule}")
            # 1 and 1.0 are one spec and must give one name.
            object.__setattr__(self, name, float(value))


Model = Mlp | Cnn | Transformer | RandomFeatures | KernelRidge
MODELS: dict[str, type[Any]] = {
    m.kind: m for m in (Mlp, Cnn, Transformer, RandomFeatures, KernelRidge)
}


def of_width(model: Model, width: int) -> Model:
    """Return the same shape of another width.

    Raises
    ------
    InputError
        For a kernel, which has none.
    """
    if isinstance(model, KernelRidge):
        raise InputError(f"model = {model.kind}: has no width; give a model that has one")
    return replace(model, width=width)


def model_from(fields_given: dict[str, Any]) -> Model:
    """Build the shape from ``{"kind": "mlp", "width": 64}``.

    Raises
    ------
    InputError
        For an unknown kind or field, a missing field, or a value out of range.
    """
    given = dict(fields_given)
    kind = given.pop("kind", None)
    if kind not in MODELS:
        raise InputError(f"model kind = {kind!r}: must be one of {', '.join(MODELS)}")
    known = {f.name for f in fields(MODELS[kind])}
    if unknown := sorted(set(given) - known):
        raise InputError(
            f"model {kind}: unknown field {unknown[0]!r}; its fields are {', '.join(sorted(known))}"
        )
    try:
        made: Model = MODELS[kind](**given)
    except TypeError as error:
        raise InputError(f"model {kind}: {error}") from None
    return made
