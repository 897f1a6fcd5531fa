"""Pilots of pruning: score, select and train at several sizes, on data of your own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from isoloss._core.serial import write_atomic
from isoloss.errors import InputError
from isoloss.study.pilot_embeddings import Embedded, check_inputs, embed
from isoloss.study.pilot_network import Network
from isoloss.study.pilot_plan import (
    POLICIES,
    Cell,
    cells_of,
    check_numbers,
    data_label,
    settings,
    sizes_of,
)
from isoloss.study.pilot_readings import PilotLaw, crossovers, frontier, pilot_laws
from isoloss.study.pilot_scores import score_pool
from isoloss.study.pilot_scoring import GROUPS, Scored, Scoring
from isoloss.study.pilot_store import Store
from isoloss.study.pilot_table import (
    SCORE_COLUMNS,
    pilot_csv,
    pilot_means,
    pilot_text,
    read_pilots,
)
from isoloss.study.pilot_text import TextScoring, score_text
from isoloss.sweep.data.catalogue import CATALOGUE
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.ledger import ended, read_ledger
from isoloss.sweep.spec import RunSpec
from isoloss.sweep.speed import time_text

__all__ = [
    "Embedded", "Network", "PilotLaw", "Scored", "Scoring", "TextScoring", "TrainedPilots",
    "crossovers", "embed", "frontier", "pilot_laws", "pilot_means", "read_pilots", "score_pool",
    "score_text", "train_pilots",
]  # fmt: skip

PIECE = 1024
"""Bytes of a piece of text."""

Rows = list[dict[str, Any]]
Planned = tuple[RunSpec, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedPilots:
    """Rows of trained pilots.

    Attributes
    ----------
    rows
        With the columns of `isoloss.study.pilot_table.PILOT_COLUMNS`.
    scores
        What each score of each pool cost.
    failed
        Pilots without a result, and why.
    table
        File of the rows.
    """

    rows: Rows
    scores: Rows
    failed: list[str]
    table: Path

    def __repr__(self) -> str:
        return f"TrainedPilots({len(self.rows)} rows, {len(self.failed)} without result)"

    def means(self) -> Rows:
        """Means over seeds, as `pilot_means` gives them."""
        return pilot_means(self.rows)

    def summary(self) -> str:
        """Errors by pool, and what all of it took."""
        training = sum(row["cpu_seconds"] for row in self.rows)
        scoring = sum(row["cpu_seconds"] for row in self.scores)
        text = (
            f"{len(self.rows)} pilots in {time_text(training)} of one core; each score alone would "
            f"take {time_text(scoring)} in all"
        )
        if self.failed:
            text += f"; {len(self.failed)} without result, the first: {self.failed[0]}"
        return f"{pilot_text(self.rows)}\n\n{text}"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "schema": 1, "table": str(self.table), "pilots": len(self.rows), "failed": self.failed,
            "means": self.means(), "scores": self.scores,
        }  # fmt: skip


def train_pilots(
    data: DataSpec | str, out: str | Path, *,
    metrics: Iterable[str] | None = None,
    policies: Sequence[str] = POLICIES, keeps: Sequence[float] = (0.2, 0.4, 0.6, 0.8),
    pools: Sequence[int] = (), seeds: Sequence[int] = (0, 1, 2), class_floor: float = 0.0,
    noise_guard: float = 0.0, piece: int = PIECE, network: Network | None = None,
    scoring: Scoring | TextScoring | None = None,
    name: str = "pilots", executor: Any = None, workers: int = 1, device: str = "cpu",
    on_step: Callable[[str], None] | None = None, on_event: Callable[..., None] | None = None,
) -> TrainedPilots:  # fmt: skip
    """Train on all of several pools and on what scores keep of them, and write a table.

    A pool is a random subset of the training part, nested for a seed, as a curator would have it
    before the rest is collected: its scores come from networks and centroids that saw nothing
    else. A seed stands for all that is random: the pool, its scores, the selection, and the
    network, so that standard errors over seeds count all of these. Errors are of the test part,
    which nothing else looks at.

    A second start with the same folder goes on: scores and selections that are there are not made
    again, and runs in the ledger are not trained again. Several tables may share a folder.

    Parameters
    ----------
    data
        A data set of classes, or of text, by name, or its `DataSpec`.
    out
        Folder: ``NAME.csv``, ``NAME-scores.csv``, ``ledger.jsonl``, ``scores``, ``selections``,
        and ``embeddings`` of a pretrained network.
    metrics
        Of `isoloss.study.pilot_scoring.METRICS`, or for text of
        `isoloss.study.pilot_text.TEXT_METRICS`; EL2N, forgetting and prototypes, or perplexity and
        prototypes, by default. Metrics whose papers name a policy have that alone:
        ``moderate`` the middle, ``density`` the division over clusters, ``d2`` its first picks.
    policies
        Of ``"random"``, ``"hard"`` and ``"easy"``.
    keeps
        Shares of the pool, above 0 and below 1; the whole pool is always trained on.
    pools
        Sizes; all of the training part, and its halves down to a 32nd, by default.
    seeds
        Whole numbers.
    class_floor, noise_guard
        As `isoloss.prune.select` takes them; for all but ``"random"``. Text has no classes.
    piece
        Of text: bytes of a piece, the example that is kept or not; pools count pieces.
    network, scoring
        What pilots train; how scores are made.
    name
        Of the table.
    executor, workers, device
        As `isoloss.sweep.run_sweep` takes them.
    on_step
        Called with a few words before each step of scoring.
    on_event
        As `isoloss.sweep.run_sweep` takes it.

    Returns
    -------
    TrainedPilots
        Rows in the order of pool, share, metric, policy and seed.

    Raises
    ------
    InputError
        For data that cannot be loaded, numbers for targets, unknown metrics or policies, or numbers
        out of range.
    MissingExtra
        Without torch, or the package of a pretrained network that is asked for.

    References
    ----------
    Sorscher et al., arXiv:2206.14486.
    """
    from isoloss.sweep.pool import run_sweep
    from isoloss.sweep.tasks import data_of

    spec = DataSpec(name=data) if isinstance(data, str) else data
    if spec.selection is not None:
        raise InputError("data: has a selection already; give the data it was made of")
    text = CATALOGUE[spec.name].kind == "text"
    cells = cells_of(metrics, policies, keeps, text=text)
    check_numbers(seeds, class_floor, noise_guard, name)
    how, scorer = settings(network, scoring, text=text, piece=piece, class_floor=class_floor)
    piece, folder = piece if text else 0, Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out = {folder}: is a file; give a folder")
    held = data_of(spec)
    if held.kind not in ("classes", "text"):
        raise InputError(f"data: targets are {held.kind}; pilots of pruning need classes, or text")
    store = Store(folder.absolute(), held, scorer, device, piece)
    sizes = sizes_of(pools, store.units)
    # The smallest pilot is the one that may be too small: told before anything is scored.
    least = max(1, round(min(cell.keep for cell in cells) * sizes[0]))
    how.run(spec, least, sizes[0], seeds[0], piece=piece or 1)
    folder.mkdir(parents=True, exist_ok=True)
    needed = list(dict.fromkeys(cell.metric for cell in cells if cell.metric))
    _score(store, sizes, seeds, needed, on_step)
    chosen = {"class_floor": class_floor, "noise_guard": noise_guard}
    kinds = [(size, cell, seed) for size in sizes for cell in cells for seed in seeds]
    costs: dict[tuple[str, int, int], dict[str, Any]] = {}
    plan = [_planned(store, spec, how, *kind, costs, chosen) for kind in kinds]
    ledger = folder / "ledger.jsonl"
    run_sweep(
        [run for run, _ in plan], ledger, executor=executor, workers=workers, device=device,
        on_event=on_event,
    )  # fmt: skip
    rows, failed = _rows(plan, ledger)
    table = folder / f"{name}.csv"
    write_atomic(table, pilot_csv(rows))
    told = list(costs.values())
    write_atomic(folder / f"{name}-scores.csv", pilot_csv(told, SCORE_COLUMNS))
    return TrainedPilots(rows=rows, scores=told, failed=failed, table=table)


def _planned(
    store: Store, spec: DataSpec, how: Network, size: int, cell: Cell, seed: int,
    costs: dict[tuple[str, int, int], dict[str, Any]], chosen: dict[str, float],
) -> Planned:  # fmt: skip
    """Say what one pilot trains on, and what is known of it; keep what its score cost."""
    label, key = data_label(spec), (cell.metric, size, seed)
    path, count = store.selection(
        size, seed, cell.keep, metric=cell.metric, policy=cell.policy,
        **(chosen if cell.metric else {}),
    )  # fmt: skip
    if cell.metric and key not in costs:
        scored = store.read(size, seed, cell.metric)
        costs[key] = {
            "data": label, "metric": cell.metric, "pool": size, "seed": seed,
            "flops": scored.flops, "cpu_seconds": scored.cpu_seconds,
        }  # fmt: skip
    kept = replace(spec, selection=str(path), piece=store.piece)
    run = how.run(kept, count, size, seed, piece=store.piece or 1)
    return run, {
        "data": label, "metric": cell.metric, "policy": cell.policy, "keep": cell.keep,
        "pool": size, "D": count, "seed": seed,
        "score_flops": float(costs[key]["flops"]) if cell.metric else 0.0,
    }  # fmt: skip


def _score(
    store: Store, sizes: Sequence[int], seeds: Sequence[int], metrics: Sequence[str],
    on_step: Callable[[str], None] | None,
) -> None:  # fmt: skip
    todo = [(n, s, lack) for n in sizes for s in seeds if (lack := store.lacking(n, s, metrics))]
    # What cannot be embedded is told before networks train for the other scores.
    embedded = {name for _, _, lack in todo for name in lack} & set(GROUPS["embedding"])
    if embedded and isinstance(store.scoring, Scoring):
        check_inputs(store.scoring.embedding, store.data.features)
    total, done, started = sum(n for n, _, _ in todo), 0, time.monotonic()
    for number, (size, seed, lack) in enumerate(todo):
        left = ""
        if done:
            left = f", about {time_text((time.monotonic() - started) * (total - done) / done)} left"
        head = f"scores of pool {size}, seed {seed} ({number + 1} of {len(todo)}{left})"

        def step(text: str, head: str = head) -> None:
            if on_step:
                on_step(f"{head}: {text}")

        store.make(size, seed, lack, step)
        done += size


def _rows(plan: Sequence[Planned], ledger: Path) -> tuple[Rows, list[str]]:
    by = {row["run"]: row for row in read_ledger(ledger)}
    rows, failed = [], []
    for run, known in plan:
        row = by.get(run.name)
        if row is None or not ended(row) or row.get("status") == "diverged":
            failed.append(f"{run.name}: {(row or {}).get('reason', 'was not trained')}")
            continue
        errors = [e for e in row.get("class_errors") or () if e is not None and e == e]
        rows.append(known | {
            "loss": float(row["loss"]), "error": float(row.get("error", math.nan)),
            "worst_error": float(max(errors, default=math.nan)), "seen": int(row["seen"]),
            "flops": float(row["flops"]), "cpu_seconds": float(row["cpu_seconds"]),
        })  # fmt: skip
    return rows, failed
