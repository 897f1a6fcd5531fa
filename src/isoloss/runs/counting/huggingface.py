"""Descriptions from a ``config.json`` in the layout of Hugging Face; read, never executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.counting.decoder import DecoderModel, Experts

# Keys that change neither a weight nor a product that is counted.
_SILENT = frozenset((
    "architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "use_cache",
    "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "initializer_range",
    "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "rope_theta", "rope_scaling",
    "rope_parameters", "pretraining_tp", "hidden_act", "hidden_activation", "activation_function",
    "attention_dropout", "hidden_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop",
    "classifier_dropout", "output_router_logits", "router_aux_loss_coef", "router_jitter_noise",
    "rotary_pct", "rotary_emb_base", "use_parallel_residual", "partial_rotary_factor",
    "task_specific_params", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "reorder_and_upcast_attn",
    "scale_attn_by_inverse_layer_idx", "scale_attn_weights", "gradient_checkpointing",
    "attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar",
    "cache_implementation", "auto_map", "_name_or_path", "_attn_implementation", "norm_topk_prob",
    "output_attentions", "output_hidden_states", "return_dict", "id2label", "label2id",
    "num_labels", "clip_qkv",
))  # fmt: skip

_OWN: Mapping[str, frozenset[str]] = {"gpt2": frozenset((
    "n_embd", "n_layer", "n_head", "n_ctx", "n_positions", "n_inner", "vocab_size",
    "tie_word_embeddings",
))}  # fmt: skip
_SHARED = frozenset((
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "vocab_size", "intermediate_size", "max_position_embeddings", "tie_word_embeddings",
    "attention_bias", "mlp_bias", "sliding_window", "use_sliding_window", "max_window_layers",
    "layer_types", "num_local_experts", "num_experts", "num_experts_per_tok",
    "moe_intermediate_size", "shared_expert_intermediate_size", "decoder_sparse_step",
    "mlp_only_layers",
))  # fmt: skip
_NO_WINDOW = (None, False, 0)

_FAMILIES = ("llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma",
             "gemma2", "gpt2", "gpt_neox", "olmo2")  # fmt: skip


def from_huggingface(config: Mapping[str, Any]) -> tuple[DecoderModel, tuple[str, ...]]:
    """Translate a configuration; return the description and the keys that are not known.

    Raises
    ------
    InputError
        For another family, a missing key, a value of the wrong type, or a structure that is not
        counted here.

    Examples
    --------
    >>> model, unknown = from_huggingface({"model_type": "gpt2", "n_embd": 768, "n_layer": 12,
    ...     "n_head": 12, "n_positions": 1024, "vocab_size": 50257, "flavour": "plain"})
    >>> model.positions, unknown
    ('learned', ('flavour',))
    """
    family = config.get("model_type")
    if family not in _FAMILIES:
        raise InputError(
            f"model_type = {repr(family)[:60]}: the families read here are {', '.join(_FAMILIES)}; "
            "write a description with kind = 'decoder'"
        )
    known = _OWN.get(family, _SHARED)
    unknown = tuple(sorted(str(k)[:80] for k in config if k not in known | _SILENT))
    model = _gpt2(config) if family == "gpt2" else _block_family(family, config)
    return model, unknown


def _gpt2(config: Mapping[str, Any]) -> DecoderModel:
    context = _int(config, "n_positions", config.get("n_ctx"))
    return DecoderModel(
        width=_int(config, "n_embd"), depth=_int(config, "n_layer"), heads=_int(config, "n_head"),
        vocabulary=_int(config, "vocab_size"), context=context,
        mlp_width=_maybe(config, "n_inner"), attention_bias="all", mlp_bias=True, norm="layer",
        positions="learned", tied=_bool(config, "tie_word_embeddings", True),
    )  # fmt: skip


def _block_family(family: str, config: Mapping[str, Any]) -> DecoderModel:
    qwen2, gemma = family in ("qwen2", "qwen2_moe"), family.startswith("gemma")
    neox = family == "gpt_neox"
    bias = neox or _bool(config, "attention_bias", False)
    depth = _int(config, "num_hidden_layers")
    window, layers = _window(family, config, depth)
    qk = {"qwen3": "head", "qwen3_moe": "head", "olmo2": "width"}.get(family, "none")
    return DecoderModel(
        width=_int(config, "hidden_size"),
        depth=depth,
        heads=_int(config, "num_attention_heads"),
        kv_heads=_maybe(config, "num_key_value_heads"),
        head_width=256 if gemma and "head_dim" not in config else _maybe(config, "head_dim"),
        vocabulary=_int(config, "vocab_size"),
        context=_int(config, "max_position_embeddings"),
        mlp_width=_int(config, "intermediate_size"),
        gated=not neox,
        attention_bias="qkv" if qwen2 else "all" if bias else "none",
        mlp_bias=neox or _bool(config, "mlp_bias", False),
        norm="layer" if neox else "scale",
        block_norms=4 if family == "gemma2" else 2,
        qk_norm=qk,
        tied=_bool(config, "tie_word_embeddings", gemma),
        window=window,
        windowed_layers=layers,
        experts=_experts(family, config),
    )


def _window(family: str, config: Mapping[str, Any], depth: int) -> tuple[int | None, int | None]:
    """Window, and how many layers have it."""
    if config.get("sliding_window") in _NO_WINDOW:
        return None, None
    if family.startswith("qwen") and not _bool(config, "use_sliding_window", False):
        return None, None
    window = _int(config, "sliding_window")
    types = config.get("layer_types")
    if isinstance(types, list):
        return window, sum(kind == "sliding_attention" for kind in types)
    if family == "gemma2":  # every other layer, the first among them
        return window, (depth + 1) // 2
    if family.startswith("qwen"):  # from that layer on
        return window, max(0, depth - _int(config, "max_window_layers", depth))
    return window, None


def _experts(family: str, config: Mapping[str, Any]) -> Experts | None:
    if family == "mixtral":
        return Experts(
            count=_int(config, "num_local_experts"), active=_int(config, "num_experts_per_tok")
        )
    if family not in ("qwen2_moe", "qwen3_moe"):
        return None
    if config.get("decoder_sparse_step", 1) != 1 or config.get("mlp_only_layers"):
        raise InputError(
            "decoder_sparse_step, mlp_only_layers: dense layers among those of experts are not "
            "read; write a description with kind = 'decoder'"
        )
    shared = family == "qwen2_moe"
    return Experts(
        count=_int(config, "num_experts"),
        active=_int(config, "num_experts_per_tok"),
        width=_int(config, "moe_intermediate_size"),
        shared=1 if shared else 0,
        shared_width=_int(config, "shared_expert_intermediate_size") if shared else None,
        shared_gate=shared,
    )


def _int(config: Mapping[str, Any], key: str, default: Any = None) -> int:
    value = config.get(key, default)
    value = default if value is None else value
    if value is None:
        raise InputError(f"{key} is missing")
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{key} = {repr(value)[:60]}: must be a whole number")
    return value


def _maybe(config: Mapping[str, Any], key: str) -> int | None:
    return None if config.get(key) is None else _int(config, key)


def _bool(config: Mapping[str, Any], key: str, default: bool) -> bool:
    value = config.get(key, default)
    value = default if value is None else value
    if not isinstance(value, bool):
        raise InputError(f"{key} = {repr(value)[:60]}: must be true or false")
    return value
