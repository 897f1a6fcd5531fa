"""The experiments of the measured regimes: train, write tables, read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isoloss._core.serial import write_atomic
from isoloss.errors import InputError
from isoloss.sweep.experiment_tables import check_names, find_tables
from isoloss.sweep.regime_readings import (
    READERS,
    Reading,
    readings,
    readings_text,
    width_curves,
)
from isoloss.sweep.regime_table import (
    mean_table,
    read_mean_table,
    read_run_table,
    run_table,
)

Rows = list[dict[str, Any]]

SPECTRA = "spectra"
ENSEMBLES = ("variance-width", "ensembles")
CURVES = "width-curves"
EXPERIMENTS = (
    "teacher-data", "variance-data", "variance-width", "images-data", "images-squared", SPECTRA,
    "teacher-size", "images-size", "aspect", CURVES, "ensembles",
)  # fmt: skip
"""Names in the order in which they run; the grid of each is ``regimes-NAME``."""

_MOST = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regimes:
    """What the tables of a folder say.

    Attributes
    ----------
    readings
        Exponents of all experiments that have some.
    rows
        Runs by experiment.
    means
        Means of ensembles by experiment.
    curves
        Comparison of learning curves of many widths.
    routes
        Exponents that spectra and dimensions predict.
    """

    readings: list[Reading] = field(default_factory=list)
    rows: dict[str, Rows] = field(default_factory=dict)
    means: dict[str, Rows] = field(default_factory=dict)
    curves: Rows = field(default_factory=list)
    routes: Rows = field(default_factory=list)

    def __repr__(self) -> str:
        runs = sum(len(rows) for rows in self.rows.values())
        return f"Regimes({len(self.rows)} experiments, {runs} runs, {len(self.readings)} exponents)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, without the runs."""
        return {
            "exponents": [r.to_dict() for r in self.readings],
            "width_curves": self.curves,
            "ensembles": {name: list(rows) for name, rows in self.means.items()},
            "routes": self.routes,
            "cost": self.cost(),
        }

    def cost(self) -> dict[str, dict[str, float]]:
        """Count runs and CPU seconds by experiment."""
        return {
            name: {
                "runs": len(rows),
                "cpu_seconds": round(sum(row.get("cpu_seconds", 0.0) for row in rows), 1),
            }
            for name, rows in self.rows.items()
        }

    def summary(self) -> str:
        """All tables for people."""
        from isoloss.sweep.regime_spectra import routes_text

        parts = []
        if self.readings:
            parts.append(readings_text(self.readings))
        if self.routes:
            parts.append("exponents in data that features predict\n" + routes_text(self.routes))
        if self.curves:
            parts.append("learning curves of many widths\n" + _curves_text(self.curves))
        parts += [f"ensembles: {name}\n" + _means_text(rows) for name, rows in self.means.items()]
        if self.rows:
            told = [f"{n} {c['runs']} in {c['cpu_seconds']:.0f} s" for n, c in self.cost().items()]
            total = sum(c["cpu_seconds"] for c in self.cost().values())
            parts.append(f"runs and CPU seconds: {', '.join(told)}; {total:.0f} s in all")
        return "\n\n".join(parts)


def train_regime(
    name: str, out: Path, *, executor: Any = None, workers: int | None = None, device: str = "cpu",
    on_event: Callable[..., None] | None = None, on_step: Callable[[str], None] | None = None,
) -> None:  # fmt: skip
    """Train what an experiment lacks, and write its table into the folder.

    Ledgers stand in ``out/ledgers``; finished runs in them are not trained again.

    Raises
    ------
    InputError
        For an unknown name, or data that cannot be loaded.
    """
    check_names([name], EXPERIMENTS)
    (out / "ledgers").mkdir(parents=True, exist_ok=True)
    table = out / f"regimes-{name}.csv"
    if name == SPECTRA:
        from isoloss.sweep.regime_spectra import routes_table, spectral_routes

        if not table.exists():
            write_atomic(table, routes_table(spectral_routes(on_step=on_step)))
        return
    from isoloss.sweep.gridfile import read_grid
    from isoloss.sweep.ledger import read_ledger

    specs, ledger = read_grid(f"regimes-{name}"), out / "ledgers" / f"regimes-{name}.jsonl"
    if name in ENSEMBLES:
        from isoloss.sweep.ensembles import run_ensembles

        def told(done: int, total: int) -> None:
            if on_step:
                on_step(f"{done} of {total} families")

        run_ensembles(specs, ledger, device=device, on_family=told)
    else:
        from isoloss.sweep.pool import run_sweep

        run_sweep(specs, ledger, executor=executor, workers=workers, device=device,
                  on_event=on_event)  # fmt: skip
    rows = read_ledger(ledger)
    write_atomic(table, run_table(rows, curves=name == CURVES))
    if name in ENSEMBLES:
        write_atomic(out / f"regimes-{name}-means.csv", mean_table(rows))


def read_regimes(folder: Path, *, only: Sequence[str] = ()) -> Regimes:
    """Read the tables of a folder, and every exponent in them.

    Parameters
    ----------
    folder
        Where ``regimes-NAME.csv`` are; experiments without a table are passed over.
    only
        Names; all by default.

    Raises
    ------
    InputError
        For an unknown name, a folder without any of the tables, or a table that is none.
    """
    here, wanted = find_tables(folder, "regimes", EXPERIMENTS, only)
    from isoloss.sweep.regime_spectra import dimensions_of, read_routes

    # Dimensions are what measured exponents are compared with, asked for or not.
    routes = read_routes(_text(here[SPECTRA]), source=str(here[SPECTRA])) if SPECTRA in here else []
    found = Regimes(routes=routes if SPECTRA in wanted else [])
    for name in wanted:
        if name == SPECTRA:
            continue
        rows = read_run_table(_text(here[name]), source=str(here[name]))
        found.rows[name] = rows
        if name in READERS:
            found.readings.extend(readings(name, rows, dimensions=dimensions_of(routes)))
        if name == CURVES:
            found.curves.extend(width_curves(rows))
        means = folder / f"regimes-{name}-means.csv"
        if name in ENSEMBLES and means.is_file():
            found.means[name] = read_mean_table(_text(means), source=str(means))
    return found


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST:
        raise InputError(f"{path}: more than {_MOST >> 20} MB; not a table of these regimes")
    try:
        return path.read_text("utf8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text in UTF-8") from None


def _curves_text(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"{'data':<15}{'step':>5}{'loss of widest':>16}{'gap of narrowest':>18}"
        f"{'gap of half':>13}  exponent of 1/width"
    ]
    for row in rows:
        power = "-"
        if row["exponent"] is not None:
            power = f"{row['exponent']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        lines.append(
            f"{row['data']:<15}{row['step']:>5}{row['widest']:>16.4f}"
            f"{100 * row['narrowest_gap']:>16.1f} %{100 * row['half_gap']:>11.1f} %"
            f"  {power} {row['verdict']}"
        )
    return "\n".join(lines)


def _means_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out a line for each width: losses by number of members, variance over seeds and bias."""
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["model"], row["width"]), []).append(row)
    lines = [
        f"{'data':<15}{'model':<6}{'width':>6}{'one':>9}{'two':>9}{'four':>9}{'all':>9}"
        f"{'variance':>11}{'bias^2':>11}  exponents of variance, bias"
    ]
    for (data, model, width), mine in groups.items():
        by = {int(row["members"]): row["loss"] for row in mine}
        losses = [by.get(1), by.get(2), by.get(4), by[max(by)]]
        first = mine[0]
        cells = "".join(f"{_number(v, '.4f'):>9}" for v in losses)
        powers = ", ".join(_power(first, name) for name in ("scatter", "bias"))
        lines.append(
            f"{data:<15}{model:<6}{width:>6g}{cells}{_number(first.get('variance'), '.3g'):>11}"
            f"{_number(first.get('bias2'), '.2g'):>11}  {powers}"
        )
    return "\n".join(lines)


def _number(value: float | None, how: str) -> str:
    return "-" if value is None else format(value, how)


def _power(row: Mapping[str, Any], name: str) -> str:
    if row.get(name) is None:
        return "-"
    return f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"
