"""What the tables of the measured regimes say: an exponent for each set of runs, beside theory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isoloss.errors import FitError, InputError
from isoloss.sweep.regime_lines import RegimeLine, regime_line
from isoloss.sweep.regime_ranges import interpolated_up_to

Rows = Sequence[Mapping[str, Any]]

PAPER_TEACHERS = {2: 1.21, 3: 0.93, 4: 0.74, 5: 0.69, 6: 0.61, 7: 0.56, 8: 0.48}
"""Exponents in data of students by dimension, read off a figure of arXiv:2102.06701 by eye."""

PAPER_CNN = {"mnist-5k": 0.40, "fashion-mnist": 0.21}
"""The same of a convolutional network of four layers, by data set; theirs of digits has 60,000."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """One exponent of one set of runs.

    Attributes
    ----------
    experiment, group
        Which table, and which of its runs.
    along
        ``D``, ``N`` or ``width``.
    law
        ``power``: the loss falls to zero; ``floor``: to a floor that is fitted; ``limit``: to a
        limit that is fitted; ``mean``: to the loss of the mean prediction.
    line
        The runs and the exponent.
    published
        What the paper's figure shows, or None.
    """

    experiment: str
    group: str
    along: str
    law: str
    line: RegimeLine
    published: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the interval holds what theory expects; ``open`` where it does not close."""
        if not self.line.exponent.closed:
            return "open"
        if self.line.expected is None:
            return ""
        return "holds" if self.line.expected in self.line.exponent.interval else "misses"

    def to_dict(self) -> dict[str, Any]:
        """One row of the table of exponents."""
        e = self.line.exponent
        return {
            "experiment": self.experiment, "group": self.group, "along": self.along,
            "from": e.low, "to": e.high, "law": self.law, "exponent": e.value,
            "low": e.interval.low, "high": e.interval.high, "profile_low": e.of_law.low,
            "profile_high": e.of_law.high, "floor": e.floor, "expected": self.line.expected,
            "published": self.published, "verdict": self.verdict, "points": e.points,
            "seeds": e.seeds, "runs": len(self.line.x), "misfit": e.misfit,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"Reading({self.experiment}, {self.group}, {self.law}: {self.line.exponent!r})"


def readings(
    name: str, rows: Rows, *, dimensions: Mapping[str, float] | None = None
) -> list[Reading]:
    """Exponents of one experiment.

    Parameters
    ----------
    name
        One of `READERS`.
    rows
        As `isoloss.sweep.regime_table.read_run_table` gives them.
    dimensions
        Intrinsic dimension by ``data model``: theory then expects 4 over it.

    Raises
    ------
    InputError
        For an unknown name, or when no exponent can be read.
    """
    if name not in READERS:
        raise InputError(f"experiment {name!r}: must be one of {', '.join(READERS)}")
    done = [row for row in rows if row.get("status", "done") == "done"]
    found = list(READERS[name](done, dict(dimensions or {})))
    if not found:
        raise InputError(f"{name}: no set of runs shows an exponent; train more of the grid")
    return found


def best_of_seeds(rows: Rows) -> list[Mapping[str, Any]]:
    """Keep, of runs that differ in the seed alone, the one of least validation loss."""
    kept: dict[Any, Mapping[str, Any]] = {}
    for row in rows:
        spec = row["spec"]
        key = (row["N"], row["D"], spec["data"]["name"], spec["data"]["dimension"],
               spec["data"]["seed"], spec["model"]["kind"], spec["model"]["depth"])  # fmt: skip
        if key not in kept or row["valid_loss"] < kept[key]["valid_loss"]:
            kept[key] = row
    return list(kept.values())


def _split(
    rows: Rows, *of: Callable[[Mapping[str, Any]], Any]
) -> dict[Any, list[Mapping[str, Any]]]:
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(f(row) for f in of), []).append(row)
    return groups


def _data(row: Mapping[str, Any]) -> str:
    return str(row["spec"]["data"]["name"])


def _change(row: Mapping[str, Any]) -> str:
    return str(row["spec"]["data"]["change"])


def _model(row: Mapping[str, Any]) -> str:
    return str(row["spec"]["model"]["kind"])


def _depth(row: Mapping[str, Any]) -> int:
    return int(row["spec"]["model"]["depth"])


def _dimension(row: Mapping[str, Any]) -> int:
    return int(row["spec"]["data"]["dimension"] or 0)


def _read(
    experiment: str, group: str, rows: Rows, along: str, law: str, *, seed: str,
    expected: float | None = None, published: float | None = None, **policy: Any,
) -> Iterator[Reading]:  # fmt: skip
    """Yield the reading, or nothing where runs are too few."""
    try:
        line = regime_line(rows, along, label=group, seed=seed, expected=expected, **policy)
    except (InputError, FitError):
        return
    yield Reading(experiment=experiment, group=group, along=along, law=law, line=line,
                  published=published)  # fmt: skip


def _both(
    experiment: str, group: str, rows: Rows, along: str, *, seed: str, **more: Any
) -> Iterator[Reading]:
    """Read a power to zero, and one to a floor that is fitted."""
    yield from _read(experiment, group, rows, along, "power", seed=seed, floor=0.0, **more)
    yield from _read(experiment, group, rows, along, "floor", seed=seed, **more)


def _teacher_data(rows: Rows, _: Mapping[str, float]) -> Iterator[Reading]:
    for (d,), mine in sorted(_split(rows, _dimension).items()):
        x, y, train = ([row[k] for row in mine] for k in ("D", "loss", "train_loss"))
        yield from _both(
            "teacher-data", f"d = {d}", mine, "D", seed="data.seed", expected=4 / d,
            published=PAPER_TEACHERS.get(d), high=interpolated_up_to(x, y, train),
        )  # fmt: skip


def _teacher_size(rows: Rows, _: Mapping[str, float]) -> Iterator[Reading]:
    for (d,), mine in sorted(_split(best_of_seeds(rows), _dimension).items()):
        yield from _both("teacher-size", f"d = {d}", mine, "N", seed="data.seed", expected=4 / d)


def _variance_data(rows: Rows, _: Mapping[str, float]) -> Iterator[Reading]:
    for (data, model), mine in sorted(_split(rows, _data, _model).items()):
        yield from _read("variance-data", f"{data} {model}", mine, "D", "limit", seed="subset",
                         expected=1.0, weigh=True)  # fmt: skip


def _variance_width(rows: Rows, _: Mapping[str, float]) -> Iterator[Reading]:
    for (data, model), mine in sorted(_split(rows, _data, _model).items()):
        group = f"{data} {model}"
        far = [row["ensemble_loss"] for row in mine]
        yield from _read("variance-width", group, _by_distance(mine), "width", "mean", seed="seed",
                         expected=1.0, limit=far)  # fmt: skip
        yield from _read("variance-width", group, mine, "width", "limit", seed="seed",
                         expected=1.0, weigh=True)  # fmt: skip


def _by_distance(rows: Rows) -> Rows:
    """Losses that exceed the mean prediction's by the distance from it, where that is known.

    Under squared loss the mean of such losses over seeds is that of the losses, and they differ
    less: what one network's error has in common with the mean prediction's is gone.
    """
    if any(row.get("ensemble_distance") is None for row in rows):
        return rows
    return [{**row, "loss": row["ensemble_loss"] + row["ensemble_distance"]} for row in rows]


def _images_data(rows: Rows, dimensions: Mapping[str, float]) -> Iterator[Reading]:
    yield from _images("images-data", rows, dimensions)


def _images_squared(rows: Rows, dimensions: Mapping[str, float]) -> Iterator[Reading]:
    yield from _images("images-squared", rows, dimensions)


def _images(name: str, rows: Rows, dimensions: Mapping[str, float]) -> Iterator[Reading]:
    for (data, model, change), mine in sorted(_split(rows, _data, _model, _change).items()):
        d = dimensions.get(f"{data} {model}")
        yield from _both(
            name, " ".join(filter(None, (data, model, change))), mine, "D", seed="seed",
            expected=None if d is None or change else 4 / d,
            published=PAPER_CNN.get(data) if model == "cnn" else None,
        )  # fmt: skip


def _images_size(rows: Rows, _: Mapping[str, float]) -> Iterator[Reading]:
    for (data, model), mine in sorted(_split(rows, _data, _model).items()):
        yield from _both("images-size", f"{data} {model}", mine, "N", seed="seed")


def _aspect(rows: Rows, _: Mapping[str, float]) -> Iterator[Reading]:
    for (data, depth), mine in sorted(_split(rows, _data, _depth).items()):
        width = mine[0]["spec"]["model"]["width"]
        yield from _both("aspect", f"{data} {depth} x {width}", mine, "D", seed="seed")


READERS: dict[str, Callable[[Rows, Mapping[str, float]], Iterator[Reading]]] = {
    "teacher-data": _teacher_data,
    "variance-data": _variance_data,
    "variance-width": _variance_width,
    "images-data": _images_data,
    "images-squared": _images_squared,
    "teacher-size": _teacher_size,
    "images-size": _images_size,
    "aspect": _aspect,
}
"""Experiments from whose table exponents are read."""


def width_curves(rows: Rows) -> list[dict[str, Any]]:
    """Compare learning curves of many widths: gaps to the widest, and how they fall with width.

    Returns
    -------
    list of dict
        A row for each data set and look: ``data``, ``step``, ``widest`` (mean loss of the widest),
        ``narrowest_gap`` and ``half_gap`` (gaps of the narrowest and of half the largest width,
        as shares of that loss), ``sem`` of the first, ``exponent`` of 1/width with ``low``,
        ``high``, and ``verdict``.

    Raises
    ------
    InputError
        When rows have no curves, or widths or seeds are too few.
    """
    from isoloss.theory.width import width_losses

    found = []
    for (data,), mine in _split(rows, _data).items():
        points = [
            (float(row["spec"]["model"]["width"]), float(step), float(loss))
            for row in mine
            for step, _, loss in row["curve"]
        ]
        if not points:
            raise InputError(f"{data}: rows have no curves; write the table with them")
        w, t, y = zip(*points, strict=True)
        told = width_losses(w, y, time=t)
        assert told.time is not None
        for k, power in enumerate(told.exponents):
            best = [loss for width, step, loss in points
                    if width == told.widest and step == told.time[k]]  # fmt: skip
            level = sum(best) / len(best)
            ends = power.interval
            found.append({
                "data": data, "step": int(told.time[k]), "widest": level,
                "narrowest_gap": float(told.gap[k, 0]) / level,
                "half_gap": float(told.gap[k, -1]) / level,
                "sem": float(told.sem[k, 0]) / level, "exponent": power.exponent,
                "low": None if ends is None else ends.low,
                "high": None if ends is None else ends.high, "verdict": power.verdict,
            })  # fmt: skip
    return found


def readings_text(found: Sequence[Reading]) -> str:
    """Table of exponents for people: 90 % intervals, and what theory and the paper have."""
    lines = [
        f"{'experiment':<15}{'runs':<34}{'along':<7}{'range':<16}{'law':<7}{'exponent':<23}"
        f"{'theory':>7}{'paper':>7}  verdict"
    ]
    for r in found:
        e = r.line.exponent
        span = f"{e.low:g} to {e.high:g}"
        value = f"{e.value:.2f} [{_end(e.interval.low)}, {_end(e.interval.high)}]"
        lines.append(
            f"{r.experiment:<15}{r.group:<34}{r.along:<7}{span:<16}{r.law:<7}{value:<23}"
            f"{_maybe(r.line.expected):>7}{_maybe(r.published):>7}  {r.verdict}".rstrip()
        )
    return "\n".join(lines)


def _end(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) and value < 100 else "inf"


def _maybe(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
