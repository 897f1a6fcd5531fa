"""Descriptions of models from dictionaries and from files of JSON or TOML."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.counting.count import Model
from isoloss.runs.counting.decoder import DecoderModel, Experts
from isoloss.runs.counting.huggingface import from_huggingface
from isoloss.runs.counting.vision import ConvModel, Layer, MlpModel, VitModel

MAX_BYTES = 1 << 20
"""Of a description: real ones are a few kilobytes."""

KINDS: Mapping[str, type[Any]] = {
    kind.kind: kind for kind in (DecoderModel, VitModel, MlpModel, ConvModel)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model read from a file.

    Attributes
    ----------
    model
        Its description.
    source
        Name of the file.
    unknown
        Keys of a ``config.json`` that this reader does not know: they may change the counts.
    """

    model: Model
    source: str
    unknown: tuple[str, ...] = ()


def model_from(given: Mapping[str, Any]) -> Model:
    """Build a description from ``{"kind": "decoder", "width": 768, ...}``.

    Kinds are ``decoder``, ``vit``, ``mlp`` and ``conv``; fields are those of the class. Experts and
    layers are tables of their own.

    Raises
    ------
    InputError
        For an unknown kind or field, a missing field, or a value that breaks a rule.

    Examples
    --------
    >>> model_from({"kind": "mlp", "inputs": 784, "widths": [64, 64], "outputs": 10})
    MlpModel(inputs=784, widths=(64, 64), outputs=10, bias=True)
    """
    if not isinstance(given, Mapping):
        raise InputError(f"model: expected a table of fields, got {type(given).__name__}")
    rest = dict(given)
    kind = rest.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"kind = {repr(kind)[:60]}: must be one of {', '.join(KINDS)}")
    if rest.get("experts") is not None:
        rest["experts"] = _build(Experts, "experts", rest["experts"])
    if "layers" in rest and kind == "conv":
        layers = rest["layers"]
        if not isinstance(layers, (list, tuple)):
            raise InputError("layers: expected a list of tables")
        rest["layers"] = tuple(_build(Layer, f"layer {i}", x) for i, x in enumerate(layers, 1))
    made: Model = _build(KINDS[kind], kind, rest)
    return made


def _build(cls: type[Any], where: str, given: Any) -> Any:
    if isinstance(given, cls):
        return given
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: expected a table of fields, got {repr(given)[:60]}")
    known = [f.name for f in fields(cls)]
    unknown = [str(k)[:60] for k in given if k not in known]
    if unknown:
        raise InputError(f"{where}: unknown field {unknown[0]!r}; its fields: {', '.join(known)}")
    required = {f.name for f in fields(cls) if f.default is f.default_factory}
    if missing := sorted(required - set(given)):
        raise InputError(f"{where}: {', '.join(missing)} missing")
    return cls(**{str(k): v for k, v in given.items()})


def read_model(path: str | Path) -> ModelFile:
    """Read a description from a file: our JSON or TOML, or a ``config.json`` of Hugging Face.

    A ``config.json`` is told by its ``model_type``.

    Raises
    ------
    InputError
        No such file, a file too large or not JSON or TOML, or a description that breaks a rule.
    """
    text = _text(path)
    name = Path(path).name
    try:
        data = tomllib.loads(text) if name.lower().endswith(".toml") else json.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "TOML text" if name.lower().endswith(".toml") else "JSON text"
        reason = str(error)[:120] or "nested too deep"
        raise InputError(f"{name[:120]}: not valid {kind}: {reason}") from None
    if not isinstance(data, dict):
        raise InputError(f"{name[:120]}: expected one table of fields, got {type(data).__name__}")
    try:
        if "kind" not in data and "model_type" in data:
            model, unknown = from_huggingface(data)
            return ModelFile(model=model, source=name, unknown=unknown)
        return ModelFile(model=model_from(data), source=name)
    except InputError as error:
        raise InputError(f"{name[:120]}: {error}") from None


def _text(path: str | Path) -> str:
    shown = os.fspath(path)[-120:]
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown}: cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{shown}: larger than {MAX_BYTES:,} bytes; this is no description")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{shown}: not UTF-8 text; this is no description") from None
