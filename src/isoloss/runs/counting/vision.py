"""Image encoders, perceptrons and convolutional networks: descriptions and terms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from isoloss.errors import InputError
from isoloss.runs.counting.checks import divides, flag, one_of, whole
from isoloss.runs.counting.decoder import NORMS, DecoderModel, attention_terms, mlp_terms
from isoloss.runs.counting.terms import Term, linear

LAYERS = ("conv", "pool", "mean", "dense")
_MOST_LAYERS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class VitModel:
    """An encoder over patches of an image; D counts images.

    Attributes
    ----------
    image, patch, channels
        Side of a square image, of a patch, and colours.
    width, depth, heads, mlp_width
        As of `DecoderModel`.
    classes
        Outputs of the head, which sees one vector; 0 for none.
    class_token
        Whether one token more stands for the image; else the mean over patches does.
    bias, norm
        Biases of every matrix; norms as of `DecoderModel`.

    Examples
    --------
    >>> from isoloss.runs.counting import count_model
    >>> vit = VitModel(image=224, patch=16, width=768, depth=12, heads=12, classes=1000)
    >>> count_model(vit).N_total
    86567656
    """

    kind: ClassVar[str] = "vit"
    image: int
    patch: int
    width: int
    depth: int
    heads: int
    classes: int
    channels: int = 3
    mlp_width: int | None = None
    class_token: bool = True
    bias: bool = True
    norm: str = "layer"

    def __post_init__(self) -> None:
        for name in ("image", "patch", "width", "depth", "heads", "channels"):
            whole(self, name)
        whole(self, "classes", 0)
        whole(self, "mlp_width", optional=True)
        flag(self, "class_token", "bias")
        one_of(self, "norm", NORMS)
        divides("heads", self.heads, "width", self.width)
        divides("patch", self.patch, "image", self.image)

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return (self.image // self.patch) ** 2

    @property
    def tokens(self) -> int:
        """Patches, and the class token."""
        return self.patches + self.class_token


def vit_terms(model: VitModel) -> tuple[Term, ...]:
    """List the terms of one image."""
    d, tokens = model.width, model.tokens
    # Blocks are those of a transformer without a mask, over the tokens of one image.
    blocks = DecoderModel(
        width=d, depth=model.depth, heads=model.heads, vocabulary=1, context=tokens,
        mlp_width=model.mlp_width, attention_bias="all" if model.bias else "none",
        mlp_bias=model.bias, norm=model.norm, positions="none", causal=False,
    )  # fmt: skip
    places = tokens * d + (d if model.class_token else 0)
    norms = (2 * model.depth + 1) * d * {"layer": 2, "scale": 1, "none": 0}[model.norm]
    terms = [
        linear("patch embedding", model.channels * model.patch**2, d, calls=model.patches,
               bias=model.bias),
        Term(name="positions and class token", group="positions", parameters=places, active=places),
        *attention_terms(blocks, "exact"),
        *mlp_terms("mlp", blocks, blocks.hidden, copies=model.depth),
        Term(name="norms", group="norm", parameters=norms, active=norms),
    ]  # fmt: skip
    if model.classes:
        terms.append(linear("head", d, model.classes, calls=1, bias=model.bias, group="head"))
    return tuple(terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class MlpModel:
    """A perceptron; D counts examples.

    Examples
    --------
    >>> from isoloss.runs.counting import count_model
    >>> count_model(MlpModel(inputs=784, widths=(64, 64), outputs=10)).N_total
    55050
    """

    kind: ClassVar[str] = "mlp"
    inputs: int
    widths: tuple[int, ...]
    outputs: int
    bias: bool = True

    def __post_init__(self) -> None:
        whole(self, "inputs")
        whole(self, "outputs")
        flag(self, "bias")
        object.__setattr__(self, "widths", _sizes("widths", self.widths, least=0))


def mlp_model_terms(model: MlpModel) -> tuple[Term, ...]:
    """List the layers; the last is the head."""
    sizes = (model.inputs, *model.widths)
    terms = [
        linear(f"layer {i}", a, b, calls=1, bias=model.bias)
        for i, (a, b) in enumerate(pairwise(sizes), 1)
    ]
    return (*terms, linear("head", sizes[-1], model.outputs, calls=1, bias=model.bias,
                           group="head"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a convolutional network.

    Attributes
    ----------
    kind
        ``conv``, ``pool``, ``mean`` (over all places) or ``dense`` (on all that is there).
    channels
        Outputs of a ``conv`` or ``dense``.
    kernel, stride, padding, groups
        As usual; padding ``kernel // 2`` by default.
    bias, norm
        Of a ``conv`` or ``dense``: a bias; a norm after it with scale and shift.
    shortcut_from
        Of a ``conv``: it is no step of its own but a shortcut that takes the output of so many
        layers (0: the image) and is added to what is there, so that both must have one shape.
    """

    kind: str
    channels: int | None = None
    kernel: int = 1
    stride: int = 1
    padding: int | None = None
    groups: int = 1
    bias: bool = False
    norm: bool = False
    shortcut_from: int | None = None

    def __post_init__(self) -> None:
        one_of(self, "kind", LAYERS)
        whole(self, "channels", optional=self.kind in ("pool", "mean"))
        for name in ("kernel", "stride", "groups"):
            whole(self, name)
        whole(self, "padding", 0, optional=True)
        whole(self, "shortcut_from", 0, optional=True)
        flag(self, "bias", "norm")
        if self.shortcut_from is not None and self.kind != "conv":
            raise InputError(f"shortcut_from: of a conv, not of a {self.kind}")

    def side(self, n: int) -> int:
        """Places that a side of n places has afterwards."""
        padding = self.kernel // 2 if self.padding is None else self.padding
        return (n + 2 * padding - self.kernel) // self.stride + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvModel:
    """A convolutional network as a list of layers; D counts examples.

    Attributes
    ----------
    inputs
        Channels, height, width.
    layers
        In order; the last one that is ``dense`` is the head.

    Examples
    --------
    >>> from isoloss.runs.counting import count_model
    >>> net = ConvModel(inputs=(1, 28, 28), layers=(
    ...     Layer(kind="conv", channels=8, kernel=3, stride=2, bias=True), Layer(kind="mean"),
    ...     Layer(kind="dense", channels=10, bias=True)))
    >>> count_model(net).N_total, count_model(net).forward
    (170, 28384)
    """

    kind: ClassVar[str] = "conv"
    inputs: tuple[int, int, int]
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        sizes = _sizes("inputs", self.inputs, least=3)
        if len(sizes) != 3:
            raise InputError(f"inputs = {sizes}: must be channels, height, width")
        object.__setattr__(self, "inputs", sizes)
        layers = tuple(self.layers)
        if not layers or not all(isinstance(x, Layer) for x in layers):
            raise InputError("layers: expected one Layer or more")
        if len(layers) > _MOST_LAYERS:
            raise InputError(f"layers: {len(layers)}, more than {_MOST_LAYERS}")
        object.__setattr__(self, "layers", layers)


def conv_terms(model: ConvModel) -> tuple[Term, ...]:
    """Walk through the layers with the shape of what flows."""
    shapes = [model.inputs]
    terms: list[Term] = []
    for i, layer in enumerate(model.layers, 1):
        origin = shapes[-1] if layer.shortcut_from is None else _origin(shapes, i, layer)
        shape, made = _step(i, layer, origin)
        if layer.shortcut_from is not None and shape != shapes[-1]:
            raise InputError(
                f"layer {i}: the shortcut gives {shape} and is added to {shapes[-1]}; both must be "
                "of one shape"
            )
        shapes.append(shape)
        terms += made
    dense = [k for k, t in enumerate(terms) if t.name.endswith("dense")]
    if dense:
        last = terms[dense[-1]]
        terms[dense[-1]] = Term(
            name="head", group="head", parameters=last.parameters, active=last.active,
            weights=last.weights, forward=last.forward,
        )  # fmt: skip
    return tuple(terms)


def _origin(shapes: list[tuple[int, int, int]], i: int, layer: Layer) -> tuple[int, int, int]:
    origin = layer.shortcut_from or 0
    if origin >= i:
        raise InputError(f"layer {i}: shortcut_from = {origin} is no layer before it")
    return shapes[origin]


def _step(
    i: int, layer: Layer, shape: tuple[int, int, int]
) -> tuple[tuple[int, int, int], list[Term]]:
    channels, height, width = shape
    if layer.kind == "mean":
        return (channels, 1, 1), []
    outputs = layer.channels or channels
    if layer.kind == "dense":
        made = linear(f"layer {i} dense", math.prod(shape), outputs, calls=1, bias=layer.bias)
        return (outputs, 1, 1), [made, *_norm(i, layer, outputs)]
    after = layer.side(height), layer.side(width)
    if min(after) < 1:
        raise InputError(f"layer {i}: a kernel of {layer.kernel} does not fit {height} x {width}")
    if layer.kind == "pool":
        return (channels, *after), []
    divides("groups", layer.groups, "channels", channels)
    divides("groups", layer.groups, "channels", outputs)
    weights = outputs * (channels // layer.groups) * layer.kernel**2
    held = weights + (outputs if layer.bias else 0)
    made = Term(name=f"layer {i} conv", group="dense", parameters=held, active=held,
                weights=weights, forward=2 * weights * math.prod(after))  # fmt: skip
    return (outputs, *after), [made, *_norm(i, layer, outputs)]


def _norm(i: int, layer: Layer, units: int) -> list[Term]:
    if not layer.norm:
        return []
    return [Term(name=f"layer {i} norm", group="norm", parameters=2 * units, active=2 * units)]


def _sizes(name: str, given: object, *, least: int) -> tuple[int, ...]:
    if not isinstance(given, (list, tuple)) or not least <= len(given) <= _MOST_LAYERS:
        raise InputError(f"{name} = {repr(given)[:60]}: must be a list of whole numbers")
    for value in given:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**12:
            raise InputError(f"{name}: {repr(value)[:60]} is not a whole number from 1 to 1e12")
    return tuple(given)
