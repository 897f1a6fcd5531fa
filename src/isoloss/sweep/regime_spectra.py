"""What spectra and dimensions of features say of the exponents in data, before any D is varied."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isoloss.errors import InputError
from isoloss.spectra import (
    data_exponents,
    intrinsic_dimension,
    measure_spectrum,
    predict_curve,
    spectral_exponent,
    target_exponent,
)
from isoloss.sweep.data.load import load_data
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.network_features import network_features
from isoloss.sweep.shapes import Mlp, Model

COLUMNS = ("data", "model", "features", "route", "alpha_D", "low", "high", "dimension", "rows")

_ROWS, _NEAR = 4000, 4000
_SIZES = 2.0 ** np.arange(8, 12)
_CASES: tuple[tuple[str, Model, int], ...] = (
    ("fashion-mnist", Mlp(width=64), 8_192),
    ("mnist1d", Mlp(width=64), 8_192),
)
"""Data, network, and examples that it is trained on before its last layer is read. Narrow last
layers, of 16 channels, have too few modes for an exponent."""


def spectral_routes(*, on_step: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
    """Exponents in data by every route, on three kinds of features of each set and network.

    ``inputs`` themselves; ``last``, the last hidden layer after training; ``tangent``, the
    projected gradient of the network at its start. Routes are those of
    `isoloss.spectra.data_exponents`; the curve is predicted at seven D, 256 to 2,000, with the
    ridge of least loss. Labels are one-hot, so losses are squared errors.
    """
    found: list[dict[str, Any]] = []
    for name, model, train in _CASES:
        data = DataSpec(name=name)
        for of in ("inputs", "last", "tangent"):
            if of == "inputs":
                whole = load_data(data)
                x = np.concatenate([whole.test_x, whole.valid_x])[:_ROWS]
                y = np.concatenate([whole.test_y, whole.valid_y])[:_ROWS]
                x = x.reshape(len(x), -1)
            elif of == "last":
                x, y, _ = network_features(data, model, train=train, rows=_ROWS)
            else:
                x, y, _ = network_features(data, model, of="tangent", width=320, rows=_ROWS)
            found += _routes(name, model.kind, of, x, y)
            if on_step:
                on_step(f"{name} {model.kind}: {of}")
    return found


def _routes(name: str, kind: str, of: str, x: Any, y: Any) -> list[dict[str, Any]]:
    measured = measure_spectrum(x, np.eye(int(y.max()) + 1)[y])
    sizes = np.geomspace(_SIZES[0], min(_SIZES[-1], len(x) / 2), 7).round()
    routes = data_exponents(
        spectral_exponent(measured), target=target_exponent(measured),
        curve=predict_curve(measured, sizes), sizes=measured.sizes,
        dimension=(near := intrinsic_dimension(x[:_NEAR])),
    )  # fmt: skip
    return [
        {
            "data": name, "model": kind, "features": of, "route": r.name, "alpha_D": r.value,
            "low": r.interval.low, "high": r.interval.high, "dimension": near.value,
            "rows": len(x),
        }
        for r in routes
    ]  # fmt: skip


def dimensions_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Dimension of the trained last layer by ``data model``."""
    return {
        f"{row['data']} {row['model']}": float(row["dimension"])
        for row in rows
        if row["features"] == "last"
    }


def routes_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV of `spectral_routes`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([f"{v:.5g}" if isinstance(v := row[c], float) else v for c in COLUMNS])
    return text.getvalue()


def read_routes(text: str, *, source: str = "table") -> list[dict[str, Any]]:
    """Rows that `routes_table` wrote.

    Raises
    ------
    InputError
        When columns are missing or a cell is no number.
    """
    reader = csv.DictReader(io.StringIO(text))
    if missing := [c for c in COLUMNS if c not in (reader.fieldnames or ())]:
        raise InputError(f"{source}: no column {missing[0]!r}; give a table that the command wrote")
    rows = []
    for number, row in enumerate(reader, 2):
        told: dict[str, Any] = dict(row)
        for name in COLUMNS[4:]:
            try:
                told[name] = float(row[name])
            except (TypeError, ValueError):
                raise InputError(
                    f"{source}, line {number}: {name} = {row[name]!r}: is no number"
                ) from None
        rows.append(told)
    return rows


def routes_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Table for people: a line for each set of features, a column for each route."""
    names = ("curve", "target", "spectrum", "4/d", "2/d")
    heads = "".join(f"{n:<22}" for n in names)
    lines = [f"{'data':<15}{'model':<7}{'features':<10}{'d':>6}  {heads}".rstrip()]
    groups: dict[Any, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["model"], row["features"]), {})[row["route"]] = row
    for (data, model, of), routes in groups.items():
        d = next(iter(routes.values()))["dimension"]
        cells = "".join(f"{_cell(routes.get(n)):<22}" for n in names)
        lines.append(f"{data:<15}{model:<7}{of:<10}{d:>6.1f}  {cells}".rstrip())
    return "\n".join(lines)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or not np.isfinite(row["alpha_D"]):
        return "-"
    return f"{row['alpha_D']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
