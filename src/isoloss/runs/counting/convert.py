"""Tables of runs from one convention to another, where the models can be described."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.runs.columns import squash
from isoloss.runs.counting.conventions import Convention, get_convention
from isoloss.runs.counting.count import Model
from isoloss.runs.counting.decoder import DecoderModel
from isoloss.runs.counting.describe import model_from
from isoloss.runs.notes import Note
from isoloss.runs.table import Runs

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "width": ("width", "d_model", "n_embd", "hidden_size", "model_dim"),
    "depth": ("depth", "n_layer", "n_layers", "num_layers", "num_hidden_layers", "layers"),
    "heads": ("heads", "n_head", "n_heads", "num_heads", "num_attention_heads"),
    "kv_heads": ("kv_heads", "n_kv_heads", "num_key_value_heads"),
    "head_width": ("head_width", "head_dim", "kv_size"),
    "mlp_width": ("mlp_width", "d_ff", "ffw_size", "intermediate_size"),
    "vocabulary": ("vocabulary", "vocab_size", "n_vocab"),
    "context": ("context", "seq_len", "n_ctx", "context_length", "max_position_embeddings"),
}
"""Columns that say what a decoder is made of, by the names people use."""


def describe_runs(runs: Runs, **constants: Any) -> tuple[DecoderModel, ...]:
    """Describe the decoder of every run, from the columns of the table and constants.

    Parameters
    ----------
    runs
        With columns such as ``width``, ``depth``, ``heads`` and ``context``, or their usual names.
    constants
        Fields of `DecoderModel` that are the same in all runs and that the table lacks, such as
        ``vocabulary=256, positions="learned"``.

    Raises
    ------
    InputError
        A field that is neither column nor constant, given twice, or not whole.

    Examples
    --------
    >>> from isoloss.runs import embedded_runs
    >>> models = describe_runs(embedded_runs(), vocabulary=256, positions="learned")
    >>> models[0].width, models[-1].width
    (12, 192)
    """
    unknown = sorted(set(constants) - {f.name for f in fields(DecoderModel)})
    if unknown:
        known = ", ".join(f.name for f in fields(DecoderModel))
        raise InputError(f"{unknown[0]}: not a field of a decoder; its fields: {known}")
    columns = _columns(runs, constants)
    made: dict[tuple[Any, ...], DecoderModel] = {}
    models = []
    for i in range(len(runs)):
        key = tuple(values[i] for values in columns.values())
        if key not in made:
            try:
                # By way of a dictionary, so that a missing field is an error with a name.
                one = model_from({"kind": "decoder", **dict(zip(columns, key, strict=True)),
                                  **constants})  # fmt: skip
            except InputError as error:
                raise InputError(
                    f"run {runs.names[i]!r}: {error}; add a column of that name or give a constant"
                ) from None
            assert isinstance(one, DecoderModel)
            made[key] = one
        models.append(made[key])
    return tuple(models)


def _columns(runs: Runs, constants: Mapping[str, Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name, aliases in _ALIASES.items():
        wanted = {squash(a) for a in aliases}
        hits = [c for c in runs.columns if squash(c) in wanted]
        if len(hits) > 1:
            raise InputError(f"columns {', '.join(hits)} all look like {name}; drop all but one")
        if not hits:
            continue
        if name in constants:
            raise InputError(f"{name} is the column {hits[0]!r} and a constant; give one of them")
        values = runs[hits[0]]
        bad = np.flatnonzero((values != np.floor(values)) | (values > 2.0**53))
        if bad.size:
            raise InputError(f"{hits[0]}[{bad[0]}] = {values[bad[0]]:g}: must be a whole number")
        found[name] = [int(v) for v in values]
    return found


def convert_runs(runs: Runs, models: Sequence[Model], convention: str | Convention) -> Runs:
    """Count N and C of every run anew in one convention; D stays what it is.

    Parameters
    ----------
    runs
        With a column D.
    models
        Description of each run's model, such as from `describe_runs`.
    convention
        Name in `CONVENTIONS`, or one of your own.

    Returns
    -------
    Runs
        With N and C replaced, what they count in its `Conventions`, and a note.

    Raises
    ------
    InputError
        No D, another number of models than runs, or a convention of another family.

    Examples
    --------
    >>> from isoloss.runs import embedded_runs
    >>> runs = embedded_runs()
    >>> models = describe_runs(runs, vocabulary=256, positions="learned")
    >>> kaplan = convert_runs(runs, models, "kaplan")
    >>> float(kaplan["N"][0]), kaplan.conventions.N, kaplan.conventions.C
    (3516.0, 'parameters without embeddings and head', '6 N D')
    """
    chosen = get_convention(convention)
    if len(models) != len(runs):
        raise InputError(f"models: {len(models)} descriptions for {len(runs)} runs; give one each")
    D = runs["D"]
    sizes, rates = _rates(models, chosen)
    words = replace(runs.conventions, N=chosen.N, C=chosen.C)
    told = Note("CONVENTION", "info", f"N and C counted as {chosen.name}: {chosen.source}")
    return Runs(
        columns=dict(runs.columns) | {"N": sizes, "C": rates * D},
        names=runs.names,
        rows=runs.rows,
        conventions=words,
        source=runs.source,
        refused=runs.refused,
        notes=(*(n for n in runs.notes if n.code not in ("DERIVED_N", "DERIVED_C")), told),
    )


def _rates(models: Sequence[Model], convention: Convention) -> tuple[Array, Array]:
    known: dict[Model, tuple[float, float]] = {}
    for model in models:
        if model not in known:
            pair = float(convention.size(model)), float(convention.flops_per_unit(model))
            if not all(math.isfinite(v) and v > 0 for v in pair):
                raise InputError(f"{convention.name}: N and C of {model!r} are not positive")
            known[model] = pair
    table = np.array([known[m] for m in models], dtype=np.float64)
    return table[:, 0], table[:, 1]
