"""What the numbers themselves warn about before any fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.runs.rows import clean, group_rows

SEVERITIES = ("info", "warning")
MESSAGE_LIMIT = 1000

DATA_CODES = frozenset(
    {
        "REPLICATES",
        "IDENTICAL_LOSS",
        "CONFOUNDED_N_D",
        "CONSTANT_AXIS",
        "FEW_RUNS",
        "NARROW_COMPUTE",
        "UNITS_N",
        "UNITS_D",
        "LARGE_LOSS",
    }
)
"""Codes of the notes that follow from the columns alone; a selection computes them afresh."""

_OUTCOMES = re.compile(
    r"(^|_)(loss|losses|nll|perplexity|ppl|bpb|bpc|accuracy|acc|score|error|stderr|std|sem|se|"
    r"time|timestamp|runtime|duration|walltime|seconds|minutes|hours|throughput|mfu|loss_.*|"
    r"joules|energy|watts|kwh)$"
)


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of the runs should know.

    Attributes
    ----------
    code
        Stable reason code in capitals.
    severity
        ``"info"`` or ``"warning"``.
    message
        One or two sentences, with the remedy where there is one.
    """

    code: str
    severity: str
    message: str

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise InputError(f"severity = {self.severity!r}: must be one of {SEVERITIES}")
        object.__setattr__(self, "code", clean(self.code))
        object.__setattr__(self, "message", clean(self.message, MESSAGE_LIMIT))


def is_setting(column: str) -> bool:
    """Whether a column can tell two configurations apart, judged by its name.

    The seed is chance; losses, scores and timings are outcomes. Anything else was chosen before
    the run, as far as its name says.

    Examples
    --------
    >>> [is_setting(c) for c in ("N", "batch_size", "seed", "train_loss", "gpu/hours")]
    [True, True, False, False, False]
    """
    if column in ("seed", "loss"):
        return False
    return _OUTCOMES.search(re.sub(r"[^a-z0-9]+", "_", column.casefold()).strip("_")) is None


def configuration_ids(
    columns: Mapping[str, Array], axes: Iterable[str] = ()
) -> npt.NDArray[np.int64]:
    """Group id per row of rows equal in every setting; axes of a law are settings by any name."""
    known = set(axes)
    settings = [columns[name] for name in sorted(columns) if name in known or is_setting(name)]
    rows = len(next(iter(columns.values())))
    return group_rows(settings) if settings else np.zeros(rows, dtype=np.int64)


def data_notes(columns: Mapping[str, Array]) -> tuple[Note, ...]:
    """Warn of designs that hide an effect, on noise, and on magnitudes that look like a slip."""
    notes: list[Note] = []
    if "loss" in columns:
        notes += _replicates(columns)
    notes += _design(columns)
    notes += _magnitudes(columns)
    return tuple(notes)


def _replicates(columns: Mapping[str, Array]) -> list[Note]:
    ids = configuration_ids(columns)
    counts = np.bincount(ids)
    repeated = counts > 1
    if not repeated.any():
        return []
    runs = int(counts[repeated].sum())
    text = f"{int(repeated.sum())} configurations are repeated ({runs} runs)"
    loss = columns["loss"]
    if (loss > 0).all():
        log = np.log(loss)
        inner = log - (np.bincount(ids, log) / counts)[ids]
        spread = float(np.sqrt(inner @ inner / (runs - repeated.sum())))
        text += f"; the pooled spread of their loss is {100 * spread:.3g} %"
    notes = [Note("REPLICATES", "info", text)]
    twins = np.bincount(group_rows([ids.astype(np.float64), loss]))
    if (twins > 1).any():
        notes.append(
            Note(
                "IDENTICAL_LOSS",
                "warning",
                f"{int(twins[twins > 1].sum())} runs share configuration and loss to the last "
                "digit with another run; if they are copies, drop them: they make noise look small",
            )
        )
    return notes


def _design(columns: Mapping[str, Array]) -> list[Note]:
    notes = []
    rows = len(next(iter(columns.values())))
    if rows < 10:
        notes.append(
            Note("FEW_RUNS", "warning", f"{rows} runs: most laws need 10 or more to be told apart")
        )
    axes = [a for a in ("N", "D", "U") if a in columns] or [a for a in ("C",) if a in columns]
    constant = [a for a in axes if _is_constant(columns[a])]
    for axis in constant:
        values = columns[axis]
        notes.append(
            Note(
                "CONSTANT_AXIS",
                "warning",
                f"{axis} takes {np.unique(values).size} distinct values from {values.min():.3g} to "
                f"{values.max():.3g}: too few to learn its exponent; vary it more",
            )
        )
    if "N" in columns and "D" in columns and not {"N", "D"} & set(constant):
        notes += _confounding(columns["N"], columns["D"])
    if "C" in columns and (compute := columns["C"]).min() > 0:
        decades = float(np.log10(compute.max()) - np.log10(compute.min()))
        if decades < 1:
            notes.append(
                Note(
                    "NARROW_COMPUTE",
                    "warning",
                    f"C spans {decades:.2f} decades: too short a lever to extrapolate from; "
                    "add smaller runs",
                )
            )
    return notes


def _is_constant(values: Array) -> bool:
    low, high = float(values.min()), float(values.max())
    return np.unique(values).size < 3 or (low > 0 and high / low < 1.5)


def _confounding(N: Array, D: Array) -> list[Note]:
    if min(N.min(), D.min()) <= 0:
        return []
    x, y = np.log(N), np.log(D)
    correlation = float(np.corrcoef(x, y)[0, 1])
    ratio = y - x
    if abs(correlation) <= 0.99 and float(np.ptp(ratio)) > np.log(1.01):
        return []
    what = "D grows with N" if correlation > 0 else "D falls as N grows (one compute budget)"
    return [
        Note(
            "CONFOUNDED_N_D",
            "warning",
            f"{what} in lockstep (correlation of logs {correlation:.4f}): the effects of N and D "
            "cannot be separated; add runs off this line",
        )
    ]


def _magnitudes(columns: Mapping[str, Array]) -> list[Note]:
    notes = []
    for axis in ("N", "D"):
        if axis in columns and float(columns[axis].max()) < 10:
            text = f"{axis} is below 10 in every run; if it is in millions or billions, say so: "
            notes.append(Note(f"UNITS_{axis}", "warning", text + f"--units {axis}=1e6"))
    if not notes and "N" in columns and "D" in columns:
        notes += _odd_ratio(columns["N"], columns["D"])
    if "loss" in columns and float(columns["loss"].max()) > 100:
        notes.append(
            Note(
                "LARGE_LOSS",
                "warning",
                f"the largest loss is {columns['loss'].max():.4g}; is it a perplexity or a sum? "
                "laws expect a mean loss",
            )
        )
    return notes


def _odd_ratio(N: Array, D: Array) -> list[Note]:
    """Note a factor of a million between N and D that no training run has."""
    if min(N.min(), D.min()) <= 0:
        return []
    decades = float(np.median(np.log10(D) - np.log10(N)))
    if -4 <= decades <= 5:
        return []
    axis = "N" if decades > 0 else "D"
    text = (
        f"the median D/N is about 1e{decades:.0f}; if {axis} is in millions or billions, "
        f"say so: --units {axis}=1e6"
    )
    return [Note(f"UNITS_{axis}", "warning", text)]
