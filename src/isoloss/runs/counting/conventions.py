"""What published work calls N and C: each a function of the same description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from isoloss.errors import InputError
from isoloss.runs.counting.count import Model, count_model
from isoloss.runs.counting.decoder import DecoderModel

Number = int | float


def exact_flops(model: Model) -> Number:
    """Count every product once, attention over the keys that are seen; times three."""
    return count_model(model).flops


def ledger_flops(model: Model) -> Number:
    """Count as `exact_flops`, but half a square for a causal mask, as sweeps write it."""
    return count_model(model, masked="half").flops


def kaplan_flops(model: Model) -> Number:
    """6 N, N without embeddings: Kaplan et al. 2020, arXiv:2001.08361, eq. 2.2, section 2.1."""
    return 6 * count_model(decoder_of(model)).N_active_non_embedding


def kaplan_attention_flops(model: Model) -> Number:
    """3 (2 N + 2 n_layer n_ctx d_attn): Kaplan et al. 2020, arXiv:2001.08361, table 1."""
    m = decoder_of(model)
    return kaplan_flops(m) + 6 * m.depth * m.context * m.attention_width


def hoffmann_flops(model: Model) -> Number:
    """Forward times three: Hoffmann et al. 2022, arXiv:2203.15556, appendix F as its text says.

    Embedding look-up and head as products, attention as a full square with its softmax, two
    matrices in the perceptron.
    """
    m = decoder_of(model)
    return hoffmann_table_flops(m) + 12 * m.vocabulary * m.width


def hoffmann_table_flops(model: Model) -> Number:
    """As `hoffmann_flops` without embedding and head: what gives the ratios of its table A4."""
    m = decoder_of(model)
    d, t, wide = m.width, m.context, m.attention_width
    attention = 2 * 4 * d * wide + 4 * t * wide + 3 * m.heads * t
    return 3 * m.depth * (attention + 4 * d * m.hidden)


def porian_flops(model: Model) -> Number:
    """6 N, N of matrices and head: Porian et al. 2024, arXiv:2406.19146, section 3 (data: n)."""
    return 6 * porian_size(model)


def porian_attention_flops(model: Model) -> Number:
    """As `porian_flops`, and causal attention: the same paper's ``attention`` counts."""
    m = decoder_of(model)
    return porian_flops(m) + 6 * m.depth * m.context * m.attention_width


def six_nd_flops(model: Model) -> Number:
    """6 N, N all parameters: the usual rule of thumb, with embeddings."""
    return 6 * count_model(model).N_active


def palm_flops(model: Model) -> Number:
    """6 N + 12 L H Q T: Chowdhery et al. 2022, arXiv:2204.02311, appendix B (for MFU)."""
    m = decoder_of(model)
    return six_nd_flops(m) + 12 * m.depth * m.attention_width * m.context


def six_nd_attention_flops(model: Model) -> Number:
    """6 N + 6 L H Q T: as `palm_flops` with attention halved for the causal mask."""
    m = decoder_of(model)
    return six_nd_flops(m) + (6 if m.causal else 12) * m.depth * m.attention_width * m.context


def deepseek_flops(model: Model) -> Number:
    """M = 72 L d^2 + 12 L d T: Bi et al. 2024 (DeepSeek LLM), arXiv:2401.02954, eq. 2."""
    m = decoder_of(model)
    return 72 * m.depth * m.width**2 + 12 * m.depth * m.width * m.context


def megatron_flops(model: Model) -> Number:
    """72 L d^2 (1 + T/6d + V/12Ld): Korthikanti et al. 2022, arXiv:2205.05198, appendix A."""
    m = decoder_of(model)
    return deepseek_flops(m) + 6 * m.vocabulary * m.width


def porian_size(model: Model) -> int:
    """Weights of the blocks' matrices and of the head."""
    m = decoder_of(model)
    return count_model(m).block_weights + m.vocabulary * m.width


def decoder_of(model: Model) -> DecoderModel:
    """Refuse a model that formulas of language models do not speak of."""
    if not isinstance(model, DecoderModel):
        raise InputError(
            f"this convention is of decoder-only transformers, not of a {model.kind}; use 'exact' "
            "or '6nd'"
        )
    return model


def _total(model: Model) -> Number:
    return count_model(model).N_active


def _non_embedding(model: Model) -> Number:
    return count_model(decoder_of(model)).N_active_non_embedding


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Convention:
    """A way to count N and C.

    Attributes
    ----------
    name
        As on the command line.
    N
        What it calls the size of a model, in words; of experts those that a token meets.
    C
        Training FLOPs, in words.
    source
        Paper and place.
    size, flops_per_unit
        N of a model, and training FLOPs per token (per example where there are no tokens).
    decoders_only
        Whether it speaks of decoder-only transformers alone.
    """

    name: str
    N: str
    C: str
    source: str
    size: Callable[[Model], Number]
    flops_per_unit: Callable[[Model], Number]
    decoders_only: bool = True

    def __repr__(self) -> str:
        return f"Convention({self.name}: N = {self.N}; C = {self.C})"


_KAPLAN = "Kaplan et al. 2020, arXiv:2001.08361"
_HOFFMANN = "Hoffmann et al. 2022, arXiv:2203.15556"
_PORIAN = "Porian et al. 2024, arXiv:2406.19146"
ALL, BLOCKS, HEADED = (
    "all parameters, embeddings included",
    "parameters without embeddings and head",
    "weights of blocks and head, without the embedding",
)

_LIST = (
    Convention(name="exact", N=ALL, C="every product once, attention over visible keys, times 3",
               source="count_model(model)", size=_total, flops_per_unit=exact_flops,
               decoders_only=False),
    Convention(name="ledger", N=ALL, C="dense, head and causal attention halved, times 3",
               source="count_model(model, masked='half'): what sweeps write", size=_total,
               flops_per_unit=ledger_flops, decoders_only=False),
    Convention(name="kaplan", N=BLOCKS, C="6 N D", source=f"{_KAPLAN}, eq. 2.2 and section 2.1",
               size=_non_embedding, flops_per_unit=kaplan_flops),
    Convention(name="kaplan-attention", N=BLOCKS, C="6 N D + 6 L T d_attn D",
               source=f"{_KAPLAN}, table 1", size=_non_embedding,
               flops_per_unit=kaplan_attention_flops),
    Convention(name="hoffmann", N=ALL, C="forward with embedding, full attention, softmax, head, "
               "times 3", source=f"{_HOFFMANN}, appendix F, text", size=_total,
               flops_per_unit=hoffmann_flops),
    Convention(name="hoffmann-table", N=ALL, C="the same without embedding and head",
               source=f"{_HOFFMANN}, appendix F, table A4", size=_total,
               flops_per_unit=hoffmann_table_flops),
    Convention(name="porian", N=HEADED, C="6 N D", source=f"{_PORIAN}, section 3",
               size=porian_size, flops_per_unit=porian_flops),
    Convention(name="porian-attention", N=HEADED, C="6 N D + 6 L T d_attn D",
               source=f"{_PORIAN}, released data, param_count = attention", size=porian_size,
               flops_per_unit=porian_attention_flops),
    Convention(name="6nd", N=ALL, C="6 N D", source=f"{_HOFFMANN}, section 3.3 (FLOPs = 6 N D)",
               size=_total, flops_per_unit=six_nd_flops, decoders_only=False),
    Convention(name="6nd-attention", N=ALL, C="6 N D + 6 L H Q T D",
               source="Chowdhery et al. 2022, arXiv:2204.02311, appendix B, halved for the mask",
               size=_total, flops_per_unit=six_nd_attention_flops),
    Convention(name="palm", N=ALL, C="6 N D + 12 L H Q T D",
               source="Chowdhery et al. 2022, arXiv:2204.02311, appendix B", size=_total,
               flops_per_unit=palm_flops),
    Convention(name="deepseek", N="non-embedding FLOPs per token, M", C="M D",
               source="Bi et al. 2024, arXiv:2401.02954, eq. 2", size=deepseek_flops,
               flops_per_unit=deepseek_flops),
    Convention(name="megatron", N=ALL, C="72 L d^2 (1 + T/6d + V/12Ld) D",
               source="Korthikanti et al. 2022, arXiv:2205.05198, appendix A", size=_total,
               flops_per_unit=megatron_flops),
)  # fmt: skip

CONVENTIONS: Mapping[str, Convention] = MappingProxyType({c.name: c for c in _LIST})
"""Conventions by name; ``exact`` is what the others are compared with."""


def get_convention(name: str | Convention) -> Convention:
    """Find a convention by name.

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> get_convention("kaplan")
    Convention(kaplan: N = parameters without embeddings and head; C = 6 N D)
    """
    if isinstance(name, Convention):
        return name
    if name not in CONVENTIONS:
        raise InputError(f"convention = {repr(name)[:60]}: must be one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
