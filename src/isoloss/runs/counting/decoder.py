"""Decoder-only transformers, dense or with experts: description and terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isoloss.errors import InputError
from isoloss.runs.counting.checks import divides, flag, one_of, whole
from isoloss.runs.counting.terms import Term, linear

NORMS = ("layer", "scale", "none")
POSITIONS = ("none", "learned", "rotary", "relative")
BIASES = ("none", "qkv", "all")
QK_NORMS = ("none", "head", "width")
MASKED = ("exact", "half", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Experts in the place of the perceptron of a block.

    Attributes
    ----------
    count, active
        Experts of a layer, and those that the router picks for a token.
    width
        Hidden units of one expert; the ``mlp_width`` of the model by default.
    shared, shared_width
        Experts that every token meets, and their hidden units; ``width`` by default.
    shared_gate
        Whether one more vector a layer weighs the shared experts.
    dense_layers
        First layers, which keep a plain perceptron of ``mlp_width``.
    """

    count: int
    active: int
    width: int | None = None
    shared: int = 0
    shared_width: int | None = None
    shared_gate: bool = False
    dense_layers: int = 0

    def __post_init__(self) -> None:
        whole(self, "count")
        whole(self, "active")
        whole(self, "width", optional=True)
        whole(self, "shared", 0)
        whole(self, "shared_width", optional=True)
        whole(self, "dense_layers", 0)
        flag(self, "shared_gate")
        if self.active > self.count:
            raise InputError(
                f"active = {self.active}: a token cannot meet more than the {self.count} experts "
                "there are"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderModel:
    """A decoder-only transformer.

    Attributes
    ----------
    width, depth, heads
        Residual stream, layers, query heads.
    vocabulary, context
        Symbols, and tokens of one training sequence.
    kv_heads
        Heads of keys and values: ``heads`` by default, 1 for multi-query attention.
    head_width
        Units of a head; ``width / heads`` by default.
    mlp_width, gated
        Hidden units, four times ``width`` by default, and whether a third matrix gates them.
    attention_bias, mlp_bias, head_bias
        Biases: of attention ``none``, ``qkv`` or ``all`` (with the output).
    norm, block_norms, final_norm, qk_norm
        ``layer`` (scale and shift), ``scale`` (RMS norm, or layer norm without bias) or ``none``;
        norms a block; one at the end; norms of queries and keys over one ``head`` or the ``width``.
    positions, position_slots
        ``learned`` (one vector a place, ``context`` places by default), ``rotary``, ``relative``
        (Transformer-XL: one more matrix and two biases a layer, and scores with positions) or
        ``none``.
    tied
        Whether the head is the token embedding.
    causal, window, windowed_layers
        Mask; most tokens that a query sees, itself included, in so many layers (all by default).
    experts
        See `Experts`; None for a dense model.

    Examples
    --------
    >>> from isoloss.runs.counting import count_model
    >>> gpt2 = DecoderModel(width=768, depth=12, heads=12, vocabulary=50257, context=1024,
    ...                     attention_bias="all", mlp_bias=True, norm="layer", positions="learned")
    >>> count_model(gpt2).N_total
    124439808
    """

    kind: ClassVar[str] = "decoder"
    width: int
    depth: int
    heads: int
    vocabulary: int
    context: int
    kv_heads: int | None = None
    head_width: int | None = None
    mlp_width: int | None = None
    gated: bool = False
    attention_bias: str = "none"
    mlp_bias: bool = False
    head_bias: bool = False
    norm: str = "scale"
    block_norms: int = 2
    final_norm: bool = True
    qk_norm: str = "none"
    positions: str = "rotary"
    position_slots: int | None = None
    tied: bool = True
    causal: bool = True
    window: int | None = None
    windowed_layers: int | None = None
    experts: Experts | None = None

    def __post_init__(self) -> None:
        for name in ("width", "depth", "heads", "vocabulary", "context"):
            whole(self, name)
        for name in ("kv_heads", "head_width", "mlp_width", "position_slots", "window"):
            whole(self, name, optional=True)
        whole(self, "block_norms", 0)
        whole(self, "windowed_layers", 0, optional=True)
        flag(self, "gated", "mlp_bias", "head_bias", "final_norm", "tied", "causal")
        one_of(self, "attention_bias", BIASES)
        one_of(self, "norm", NORMS)
        one_of(self, "qk_norm", QK_NORMS)
        one_of(self, "positions", POSITIONS)
        if self.head_width is None:
            divides("heads", self.heads, "width", self.width)
        divides("kv_heads", self.key_heads, "heads", self.heads)
        self._check_window()
        if self.experts is not None:
            if not isinstance(self.experts, Experts):
                raise InputError("experts: expected Experts, or a table of its fields")
            if self.experts.dense_layers > self.depth:
                raise InputError(
                    f"dense_layers = {self.experts.dense_layers}: there are {self.depth} layers"
                )

    def _check_window(self) -> None:
        if self.window is None and self.windowed_layers is not None:
            raise InputError("windowed_layers: give the window as well")
        if self.window is not None and not self.causal:
            raise InputError("window: only of causal attention")
        if (self.windowed_layers or 0) > self.depth:
            raise InputError(f"windowed_layers = {self.windowed_layers}: of {self.depth} layers")

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def head_units(self) -> int:
        """Units of one head."""
        return self.width // self.heads if self.head_width is None else self.head_width

    @property
    def attention_width(self) -> int:
        """Units of all query heads."""
        return self.heads * self.head_units

    @property
    def hidden(self) -> int:
        """Hidden units of a dense perceptron."""
        return 4 * self.width if self.mlp_width is None else self.mlp_width


def decoder_terms(model: DecoderModel, masked: str) -> tuple[Term, ...]:
    """List the terms of one sequence of ``context`` tokens."""
    d, v, t = model.width, model.vocabulary, model.context
    held = v * d
    terms = [Term(name="token embedding", group="embedding", parameters=held, active=held,
                  vocabulary=True)]  # fmt: skip
    if model.positions == "learned":
        slots = (t if model.position_slots is None else model.position_slots) * d
        terms.append(
            Term(name="positions", group="positions", parameters=slots, active=slots,
                 vocabulary=True)
        )  # fmt: skip
    terms += attention_terms(model, masked)
    terms += _perceptron_terms(model)
    terms.append(_norm_term(model))
    head = linear("head", d, v, calls=t, bias=model.head_bias, group="head", vocabulary=True)
    if model.tied:
        # The matrix was counted as embedding; as head it multiplies.
        own = v if model.head_bias else 0
        head = Term(name="head (tied)", group="head", parameters=own, active=own,
                    weights=head.weights, forward=head.forward, vocabulary=True)  # fmt: skip
    return (*terms, head)


def attention_terms(model: DecoderModel, masked: str) -> list[Term]:
    """List matrices of attention, scores and mixing of all layers."""
    d, t, depth = model.width, model.context, model.depth
    wide, narrow = model.attention_width, model.key_heads * model.head_units
    qkv = model.attention_bias != "none"
    terms = [
        linear("query", d, wide, calls=t, bias=qkv, copies=depth),
        linear("key and value", d, 2 * narrow, calls=t, bias=qkv, copies=depth),
    ]
    pairs = _twice_pairs_of_layers(model, masked)
    if model.positions == "relative":
        # The encodings are projected once for a whole batch, which counts nothing per token.
        held = depth * (d * wide + 2 * wide)
        terms.append(
            Term(name="relative positions", group="attention", parameters=held, active=held,
                 weights=depth * d * wide, forward=wide * pairs)
        )  # fmt: skip
    terms += [
        Term(name="scores", group="attention", forward=wide * pairs),
        Term(name="mixing", group="attention", forward=wide * pairs),
        linear(
            "attention output", wide, d, calls=t, bias=model.attention_bias == "all", copies=depth
        ),
    ]
    return terms


def _twice_pairs_of_layers(model: DecoderModel, masked: str) -> int:
    """Count pairs of query and key, over all layers, times two."""
    local = 0
    if model.window is not None:
        local = model.depth if model.windowed_layers is None else model.windowed_layers
    return local * twice_pairs(model.context, model.window, model.causal, masked) + (
        model.depth - local
    ) * twice_pairs(model.context, None, model.causal, masked)


def twice_pairs(context: int, window: int | None, causal: bool, masked: str) -> int:
    """Count pairs of query and key in one sequence, times two so that a half is whole.

    With a causal mask query t sees min(t, W) keys: ``T W - W (W - 1) / 2`` in all. ``half``
    leaves out the diagonal's half token, which makes it half a square without a window.
    """
    if not causal or masked == "all":
        return 2 * context**2
    w = context if window is None else min(window, context)
    return 2 * context * w - (w * (w - 1) if masked == "exact" else w * w)


def _perceptron_terms(model: DecoderModel) -> list[Term]:
    experts = model.experts
    plain = model.depth if experts is None else experts.dense_layers
    terms = mlp_terms("mlp", model, model.hidden, copies=plain) if plain else []
    if experts is None:
        return terms
    layers = model.depth - plain
    terms.append(linear("router", model.width, experts.count, calls=model.context, copies=layers,
                        group="router"))  # fmt: skip
    width = model.hidden if experts.width is None else experts.width
    for one in mlp_terms("expert", model, width, copies=layers):
        # Every expert is held, and a token meets the few that were picked for it.
        terms.append(
            Term(name=one.name, group=one.group, parameters=one.parameters * experts.count,
                 active=one.active * experts.active, weights=one.weights * experts.active,
                 forward=one.forward * experts.active)
        )  # fmt: skip
    if experts.shared:
        own = width if experts.shared_width is None else experts.shared_width
        terms += mlp_terms("shared expert", model, own, copies=layers * experts.shared)
    if experts.shared_gate:
        terms.append(linear("shared gate", model.width, 1, calls=model.context, copies=layers,
                            group="router"))  # fmt: skip
    return terms


def mlp_terms(name: str, model: DecoderModel, hidden: int, *, copies: int) -> list[Term]:
    """List the matrices of a perceptron, gated or plain, over ``copies`` layers."""
    d, t, bias = model.width, model.context, model.mlp_bias
    terms = [linear(f"{name} up", d, hidden, calls=t, bias=bias, copies=copies)]
    if model.gated:
        terms.append(linear(f"{name} gate", d, hidden, calls=t, bias=bias, copies=copies))
    return [*terms, linear(f"{name} down", hidden, d, calls=t, bias=bias, copies=copies)]


def _norm_term(model: DecoderModel) -> Term:
    places = model.depth * model.block_norms + model.final_norm
    units = places * model.width
    if model.qk_norm == "head":
        units += model.depth * 2 * model.head_units
    if model.qk_norm == "width":
        units += model.depth * (model.attention_width + model.key_heads * model.head_units)
    held = units * {"layer": 2, "scale": 1, "none": 0}[model.norm]
    return Term(name="norms", group="norm", parameters=held, active=held)
