"""From the description of a model to its counts."""

from __future__ import annotations

from isoloss.errors import InputError
from isoloss.runs.counting.decoder import MASKED, DecoderModel, decoder_terms
from isoloss.runs.counting.terms import ModelCounts
from isoloss.runs.counting.vision import (
    ConvModel,
    MlpModel,
    VitModel,
    conv_terms,
    mlp_model_terms,
    vit_terms,
)

Model = DecoderModel | VitModel | MlpModel | ConvModel


def count_model(model: Model, *, masked: str = "exact") -> ModelCounts:
    r"""Count parameters and FLOPs of a model, term by term.

    A product of a weight with a number is two FLOPs, training three times the forward pass.
    Where the first layer needs no gradient of its inputs (images, vectors) a training step does
    one product less there; that is not taken off.

    Parameters
    ----------
    model
        `DecoderModel`, `VitModel`, `MlpModel` or `ConvModel`.
    masked
        How the scores of attention that a causal mask hides are counted. ``exact``: not at all, so
        that a token meets (T + 1)/2 keys on average. ``half``: half a square, T/2 keys. ``all``:
        the whole square, as a kernel computes that skips nothing; so do tools that trace.

    Raises
    ------
    InputError
        For something that is no description, or another word for ``masked``.

    References
    ----------
    Kaplan et al. 2020, arXiv:2001.08361, section 2.1 (forward 2, backward 4); Chowdhery et al.
    2022, arXiv:2204.02311, appendix B (attention).

    Examples
    --------
    >>> llama = DecoderModel(width=4096, depth=32, heads=32, vocabulary=32000, context=4096,
    ...                      mlp_width=11008, gated=True, tied=False)
    >>> counts = count_model(llama)
    >>> counts.N_total, counts.flops
    (6738415616, 42864476160)
    >>> counts.flops_of("attention") / counts.flops
    0.0751...
    """
    if masked not in MASKED:
        raise InputError(f"masked = {masked!r}: must be one of {', '.join(MASKED)}")
    if isinstance(model, DecoderModel):
        return ModelCounts(kind=model.kind, terms=decoder_terms(model, masked), unit="token",
                           units=model.context, masked=masked)  # fmt: skip
    if isinstance(model, VitModel):
        terms = vit_terms(model)
    elif isinstance(model, MlpModel):
        terms = mlp_model_terms(model)
    elif isinstance(model, ConvModel):
        terms = conv_terms(model)
    else:
        raise InputError(
            f"model: expected DecoderModel, VitModel, MlpModel or ConvModel, got "
            f"{type(model).__name__}; model_from reads a dictionary"
        )
    return ModelCounts(kind=model.kind, terms=terms, unit="example", units=1, masked=masked)
