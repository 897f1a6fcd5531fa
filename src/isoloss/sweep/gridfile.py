"""Grids of runs: from a TOML file, or a dict of the same form, to specs."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from isoloss.errors import InputError
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.gridvalues import axis_values, settle
from isoloss.sweep.shapes import MODELS
from isoloss.sweep.spec import RunSpec, by_name, spec_from

MAX_RUNS = 20_000
MAX_BYTES = 1 << 20
"""Of a grid file."""

_TABLES = ("model", "data")
_BLOCKS = ("grid", "zip")

Flat = dict[str, Any]
"""Fields of a block under one name each: ``D``, ``model.width``."""


def grid(
    config: Mapping[str, Any], *, max_runs: int = MAX_RUNS, source: str = "grid"
) -> list[RunSpec]:
    """List the runs that a grid stands for; equal runs once, in the order of the grid.

    Parameters
    ----------
    config
        Fields of `RunSpec`, with tables ``model`` and ``data``. A list is an axis: the runs are the
        product of all axes. A text is an expression of other fields by their bare names, as in
        ``"0.256 / width"``; a table ``{"by": "width", "12": 2, "16": 3}`` looks a value up; a table
        ``{"from": 256, "to": 65536, "count": 9}`` is an axis of equal ratios. Results for whole
        numbers are rounded. Under ``grid`` and ``zip`` stand lists of blocks whose fields take the
        place of those above; the runs of all blocks add up. Lists in a ``zip`` block go together.
    max_runs
        More are refused before they are made.
    source
        What errors call the grid.

    Raises
    ------
    InputError
        With the place, the field, its value and what to do.

    Examples
    --------
    >>> specs = grid({"batch": 32, "lr": "0.1 / width", "D": [1000, 2000], "seed": [0, 1],
    ...               "model": {"kind": "mlp", "width": [8, 16]}, "data": {"name": "mnist1d"}})
    >>> len(specs), specs[-1].D, specs[-1].model.width, specs[-1].lr
    (8, 2000, 16, 0.00625)
    """
    blocks = _blocks(config, source)
    plans = [(where, *_axes(flat, zipped, where)) for where, flat, zipped in blocks]
    count = sum(math.prod(len(points) for points in axes) for _, _, axes in plans)
    if count > max_runs:
        sizes = " x ".join(str(len(p)) for _, _, axes in plans[:1] for p in axes)
        raise InputError(
            f"{source}: {count:,} runs, more than {max_runs:,}"
            + (f" ({sizes})" if len(plans) == 1 else "")
            + "; shorten a list, couple lists in a [[zip]] block, or raise max_runs"
        )
    specs: dict[RunSpec, None] = {}
    for where, fixed, axes in plans:
        for choice in product(*axes):
            moved = {k: v for part in choice for k, v in part.items()}
            specs.setdefault(_spec(fixed | moved, moved, where))
    try:
        by_name(spec for spec in specs if spec.data.files)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    return list(specs)


def read_grid(config: str | Path, *, max_runs: int = MAX_RUNS) -> list[RunSpec]:
    """Read a grid from a TOML file, or by the name of one that ships with the package.

    Raises
    ------
    InputError
        When there is no such grid, or as `grid` does.

    Examples
    --------
    >>> len(read_grid("stdlib"))
    113
    """
    name = str(config)
    built_in = built_in_grids()
    if name in built_in:
        text = built_in[name]
    else:
        path = Path(config)
        if not path.is_file():
            raise InputError(
                f"{name}: no such file, and no built-in grid of that name "
                f"({', '.join(built_in)}); write a grid as docs/sweeps.md says"
            )
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{name}: larger than {MAX_BYTES} bytes; this is no grid")
        try:
            text = path.read_text(encoding="utf8")
        except UnicodeDecodeError:
            raise InputError(f"{name}: not UTF-8 text; this is no grid") from None
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{name}: not valid TOML: {error or 'nested too deep'}") from None
    return grid(table, max_runs=max_runs, source=name)


def built_in_grids() -> dict[str, str]:
    """Texts of the grids that ship with the package, by name."""
    folder = files("isoloss.sweep") / "grids"
    found = {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    return dict(sorted(found.items()))


def _blocks(config: Mapping[str, Any], source: str) -> list[tuple[str, Flat, tuple[str, ...]]]:
    """Name, fields, and zipped fields of each block, the common fields filled in."""
    common = _flat({k: v for k, v in config.items() if k not in _BLOCKS}, source)
    found = []
    for kind in _BLOCKS:
        given = config.get(kind, [])
        if not (isinstance(given, list) and all(isinstance(b, Mapping) for b in given)):
            raise InputError(f"{source}: {kind} = {_short(given)}: write blocks, [[{kind}]]")
        for i, block in enumerate(given, 1):
            where = f"{source}: [[{kind}]] {i}"
            own = _flat(block, where)
            lists = tuple(k for k, v in own.items() if isinstance(v, list))
            found.append((where, _over(common, own), lists if kind == "zip" else ()))
    return found or [(source, common, ())]


def _over(common: Flat, own: Flat) -> Flat:
    """Fields of a block over the common ones; another kind of model drops the common shape."""
    kept = dict(common)
    if own.get("model.kind", kept.get("model.kind")) != kept.get("model.kind"):
        kept = {k: v for k, v in kept.items() if not k.startswith("model.")}
    return kept | own


def _flat(table: Mapping[str, Any], where: str) -> Flat:
    known = {f.name for f in fields(RunSpec)} - set(_TABLES)
    flat: Flat = {}
    for key, value in table.items():
        if key in _TABLES:
            if not isinstance(value, Mapping):
                raise InputError(f"{where}: {key} = {_short(value)}: write a table, [{key}]")
            inner = _known(key, value)
            for name, entry in value.items():
                if name not in inner:
                    raise InputError(
                        f"{where}: {key}.{name}: unknown field; fields of {key} are "
                        f"{', '.join(sorted(inner))}"
                    )
                flat[f"{key}.{name}"] = entry
        elif key in known:
            flat[key] = value
        else:
            raise InputError(
                f"{where}: {key} = {_short(value)}: unknown field; fields are "
                f"{', '.join(sorted(known | set(_TABLES)))}" + _hint(key)
            )
    return flat


def _known(table: str, value: Mapping[str, Any]) -> set[str]:
    if table == "data":
        return {f.name for f in fields(DataSpec)}
    kind = value.get("kind")
    kinds = [MODELS[kind]] if isinstance(kind, str) and kind in MODELS else list(MODELS.values())
    return {"kind"} | {f.name for k in kinds for f in fields(k)}


def _hint(key: str) -> str:
    for table, shape in (("model", _known("model", {})), ("data", _known("data", {}))):
        if key in shape:
            return f"; write {table}.{key}"
    return ""


def _axes(flat: Flat, zipped: tuple[str, ...], where: str) -> tuple[Flat, list[list[Flat]]]:
    """Fields that are fixed, and the points of each axis."""
    values = {k: axis_values(k, v, where) for k, v in flat.items()}
    fixed = {k: flat[k] for k, v in values.items() if v is None}
    moving = {k: v for k, v in values.items() if v is not None}
    axes = [[{k: v} for v in moving[k]] for k in moving if k not in zipped]
    if zipped:
        lengths = {k: len(moving[k]) for k in zipped}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{k} has {n}" for k, n in lengths.items())
            raise InputError(f"{where}: {told}; lists of a [[zip]] block must be equally long")
        axes.append([dict(zip(zipped, row, strict=True)) for row in zip(
            *(moving[k] for k in zipped), strict=True)])  # fmt: skip
    return fixed, axes


def _spec(flat: Flat, moved: Iterable[str], where: str) -> RunSpec:
    settled = settle(flat, where)
    tables: dict[str, Any] = {k: v for k, v in settled.items() if "." not in k}
    for table in _TABLES:
        tables[table] = {
            k.removeprefix(f"{table}."): v for k, v in settled.items() if k.startswith(f"{table}.")
        }
    try:
        return spec_from(tables)
    except InputError as error:
        at = ", ".join(f"{k} = {settled[k]}" for k in sorted(moved))
        raise InputError(f"{where}: {error}" + (f" (in the run of {at})" if at else "")) from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
