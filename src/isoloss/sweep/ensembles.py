"""Ensembles: networks that differ in their seed, alone and averaged, at one width or at several.

The mean of the predictions of K networks keeps what they have in common and loses what their
seeds add. So the loss of the mean prediction is the limit against which the excess of one network
is measured, and together with the mean predictions of other widths it says whether width changes
more than noise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.sweep.data.table import Data
from isoloss.sweep.ledger import append_row, ended, read_ledger
from isoloss.sweep.shapes import of_width
from isoloss.sweep.spec import RunSpec
from isoloss.sweep.tasks import data_of
from isoloss.sweep.train import trained
from isoloss.theory.width import WidthConsistency, width_consistency

POINTS = 2000
"""Test examples on which predictions of widths are compared: more add little and fill memory."""

_CHUNK = 1000


def ensemble(
    specs: Sequence[RunSpec], data: Data, *, device: str = "cpu"
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    r"""Train networks that differ in seed and width alone, and compare them with their means.

    Parameters
    ----------
    specs
        Runs of classes or numbers, three seeds or more at each width, as many at each.
    data
        What they learn from.
    device
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    members
        A row of the ledger for each network, with ``ensemble_loss`` and ``ensemble_error`` of the
        mean prediction of all networks of its width; under squared loss also
        ``ensemble_distance``, the squared distance of its outputs from that mean, mean over
        examples of the sum over outputs.
    means
        A row for each width and number of members k, a power of two or all: ``loss``, ``error``
        and ``sem`` of means of k, over ``groups`` of different members; ``mean_loss`` of one.
        Where there are three widths or more also ``bias2`` and ``variance`` of its width, and in
        ``widths`` the whole comparison, as `isoloss.theory.width_consistency` gives it with the
        widest as reference, on the first `POINTS` test examples.

    Raises
    ------
    InputError
        Where specs differ in more, seeds are few or differ in number, data are text, or a run
        diverged.

    Notes
    -----
    Outputs are averaged under squared loss, probabilities under cross-entropy. Under squared loss
    the excess of single networks over the mean of K is (1 - 1/K) of the variance over seeds, and
    the mean of their distances; distances vary less, for they know nothing of the targets.
    """
    groups = _by_width(specs)
    if data.kind == "text":
        raise InputError("data: are text; ensembles are of classes and numbers")
    squared = specs[0].loss == "squared" or data.kind == "numbers"
    found: dict[int, tuple[list[dict[str, Any]], Array]] = {}
    for width, mine in groups.items():
        rows, outputs = [], []
        for spec in mine:
            module, row = trained(spec, data, device=device)
            if row["status"] != "done":
                raise InputError(f"run {spec.name}: {row['reason']}; lower lr")
            rows.append(row)
            outputs.append(_outputs(module, data.test_x, device))
        found[width] = (rows, np.stack(outputs))
    seen = [out[:, :POINTS].reshape(len(out), -1) for _, out in found.values()]
    compared = width_consistency(seen, list(found)) if len(found) > 2 else None
    members, means = [], []
    for place, (rows, made) in enumerate(found.values()):
        given = made if squared else _shares(made)
        loss, wrong = _losses(given.mean(0), data.test_y, squared=squared, kind=data.kind)
        known = {"ensemble_loss": loss} | ({} if wrong is None else {"ensemble_error": wrong})
        for row, distance in zip(rows, _distances(given), strict=True):
            more_of_one = {"ensemble_distance": distance} if squared else {}
            members.append(row | known | more_of_one)
        more = _of_width(compared, place)
        for k in _counts(len(rows)):
            told = _means(given, data, k, squared=squared)
            means.append(_mean_row(rows, k, told | more))
    return members, means


def run_ensembles(
    specs: Sequence[RunSpec], ledger: Path, *, device: str = "cpu",
    on_family: Callable[[int, int], None] | None = None,
) -> None:  # fmt: skip
    """Train every ensemble that the ledger does not hold yet, and append its rows.

    Specs that are equal but for seed and width make one family, which trains in one go: an
    interrupt costs one family. ``on_family`` is called with the families done and their number.
    """
    families: dict[str, list[RunSpec]] = {}
    for spec in specs:
        families.setdefault(_family(spec), []).append(spec)
    ledger.parent.mkdir(parents=True, exist_ok=True)
    over = {row["run"] for row in read_ledger(ledger) if ended(row)}
    for number, mine in enumerate(families.values(), 1):
        if any(spec.name not in over for spec in mine) or _name(mine) not in over:
            members, means = ensemble(mine, data_of(mine[0].data), device=device)
            for row in (*members, *means):
                append_row(ledger, row)
            # Only now is the family whole.
            append_row(ledger, {"run": _name(mine), "status": "done", "kind": "family"})
        if on_family:
            on_family(number, len(families))


def _by_width(specs: Sequence[RunSpec]) -> dict[int, list[RunSpec]]:
    if not specs:
        raise InputError("specs: none")
    groups: dict[int, list[RunSpec]] = {}
    for spec in sorted(specs, key=lambda s: (s.model.width, s.seed)):
        if _family(spec) != _family(specs[0]):
            raise InputError("specs: members of an ensemble may differ in seed and width alone")
        groups.setdefault(spec.model.width, []).append(spec)
    for width, mine in groups.items():
        if len({s.seed for s in mine}) < max(3, len(mine)):
            raise InputError(f"specs: width {width} has {len(mine)} runs; three seeds or more, "
                             "each once, are needed")  # fmt: skip
    return groups


def _family(spec: RunSpec) -> str:
    """Everything but seed and width."""
    alike = replace(spec, seed=0, model=of_width(spec.model, _LIKE))
    return json.dumps(alike.to_dict(), sort_keys=True)


_LIKE = 8


def _name(specs: Sequence[RunSpec]) -> str:
    names = "\n".join(sorted(spec.name for spec in specs))
    return f"family-{hashlib.sha256(names.encode()).hexdigest()[:12]}"


def _outputs(module: torch.nn.Module, x: Any, device: str) -> Array:
    with torch.no_grad():
        parts = [
            module(torch.from_numpy(np.ascontiguousarray(x[i : i + _CHUNK])).to(device))
            for i in range(0, len(x), _CHUNK)
        ]
    return np.asarray(torch.cat(parts).double().cpu().numpy())


def _shares(outputs: Array) -> Array:
    """Probabilities of classes."""
    away = np.exp(outputs - outputs.max(-1, keepdims=True))
    return np.asarray(away / away.sum(-1, keepdims=True))


def _distances(given: Array) -> list[float]:
    """Squared distance of each member's outputs (member, point, output) from their mean."""
    mean = given.mean(0)
    return [float(((one - mean) ** 2).sum(1).mean()) for one in given]


def _losses(mean: Array, y: Any, *, squared: bool, kind: str) -> tuple[float, float | None]:
    """Loss and share of wrong classes of a prediction (point, output)."""
    wrong = float((mean.argmax(1) != y).mean()) if kind == "classes" else None
    if squared:
        goal = np.eye(mean.shape[1])[y] if kind == "classes" else np.asarray(y).reshape(mean.shape)
        return float(((mean - goal) ** 2).sum(1).mean()), wrong
    return float(-np.log(np.maximum(mean[np.arange(len(y)), y], 1e-300)).mean()), wrong


def _counts(seeds: int) -> list[int]:
    """Powers of two below the number of members, and all."""
    return [k for k in (2**i for i in range(20)) if k < seeds] + [seeds]


def _means(given: Array, data: Data, k: int, *, squared: bool) -> dict[str, Any]:
    """Losses of means over disjoint groups of k members."""
    starts = range(0, len(given) - k + 1, k)
    told = [
        _losses(given[i : i + k].mean(0), data.test_y, squared=squared, kind=data.kind)
        for i in starts
    ]
    loss = np.array([t[0] for t in told])
    sem = float(loss.std(ddof=1) / len(loss) ** 0.5) if len(loss) > 1 else None
    wrong = [t[1] for t in told if t[1] is not None]
    found = {"loss": float(loss.mean()), "sem": sem, "groups": len(loss)}
    return found | ({"error": float(np.mean(wrong))} if wrong else {})


def _mean_row(rows: Sequence[dict[str, Any]], k: int, told: dict[str, Any]) -> dict[str, Any]:
    first = rows[0]
    names = "\n".join(row["run"] for row in rows)
    digest = hashlib.sha256(names.encode()).hexdigest()[:12]
    shared = ("spec", "N", "D", "steps", "torch", "numpy", "python", "isoloss", "data")
    return {
        "run": f"mean-w{first['spec']['model']['width']}-k{k}-{digest}", "status": "done",
        "kind": "mean", "members": k, "mean_loss": float(np.mean([row["loss"] for row in rows])),
        **{name: first[name] for name in shared}, **told,
    }  # fmt: skip


def _of_width(compared: WidthConsistency | None, place: int) -> dict[str, Any]:
    if compared is None:
        return {}
    return {
        "bias2": float(compared.bias2[0, place]),
        "variance": float(compared.variance[0, place]),
        "widths": {
            "bias": compared.bias[0].to_dict(), "scatter": compared.scatter[0].to_dict(),
            "reference": compared.reference,
        },
    }  # fmt: skip
