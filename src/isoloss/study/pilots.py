"""Pilots of pruning: score, select and train at several sizes, on data of your own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isoloss._core.serial import write_atomic
from isoloss.errors import InputError
from isoloss.study.pilot_embeddings import Embedded, embed
from isoloss.study.pilot_readings import PilotLaw, crossovers, frontier, pilot_laws
from isoloss.study.pilot_scores import (
    FIXED,
    METRICS,
    Scored,
    Scoring,
    check_metrics,
    score_pool,
)
from isoloss.study.pilot_store import Store
from isoloss.study.pilot_table import (
    SCORE_COLUMNS,
    pilot_csv,
    pilot_means,
    pilot_text,
    read_pilots,
)
from isoloss.study.pilot_text import TEXT_METRICS, TextScoring, score_text
from isoloss.sweep.data.catalogue import CATALOGUE
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.ledger import ended, read_ledger
from isoloss.sweep.shapes import Cnn, Mlp, Transformer
from isoloss.sweep.spec import RunSpec
from isoloss.sweep.speed import time_text

__all__ = [
    "Embedded", "Network", "PilotLaw", "Scored", "Scoring", "TextScoring", "TrainedPilots",
    "crossovers", "embed", "frontier", "pilot_laws", "pilot_means", "read_pilots", "score_pool",
    "score_text", "train_pilots",
]  # fmt: skip

POLICIES = ("random", "hard", "easy")
LEAST_POOL = 256
PIECE = 1024
"""Bytes of a piece of text."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What pilots train, and how long.

    Attributes
    ----------
    model
        Shape of the network; perceptrons train side by side. A `Transformer` of text.
    epochs
        Passes over what is kept; of ``match`` "steps", over the pool.
    match
        ``"epochs"``: compute falls with what is kept. ``"steps"``: every pilot of a pool takes as
        many steps as the unpruned one.
    batch, lr
        Examples, or blocks of text, a step; peak rate of AdamW, linear to zero.
    """

    model: Mlp | Cnn | Transformer = field(default_factory=lambda: Mlp(width=64))
    epochs: float = 10.0
    match: str = "epochs"
    batch: int = 32
    lr: float = 0.002

    def __post_init__(self) -> None:
        if self.match not in ("epochs", "steps"):
            raise InputError(f"match = {self.match!r}: write 'epochs' or 'steps'")
        if not isinstance(self.model, Mlp | Cnn | Transformer):
            raise InputError(
                f"model = {self.model!r}: pilots train an Mlp or a Cnn, or a Transformer on text"
            )
        if not 0 < self.epochs < 1e6:
            raise InputError(f"epochs = {self.epochs!r}: must be above 0 and below 1e6")

    def run(self, data: DataSpec, D: int, pool: int, seed: int, *, piece: int = 1) -> RunSpec:
        """Say what one pilot is; of text, D and the pool are so many pieces of so many bytes."""
        unit = self.model.context if isinstance(self.model, Transformer) else 1
        each = self.batch * unit
        steps = int(pool * piece * self.epochs) // each if self.match == "steps" else 0
        return RunSpec(
            model=self.model, data=data, D=D * piece, batch=self.batch, lr=self.lr, steps=steps,
            passes=float(self.epochs), evaluations=1, seed=seed,
        )  # fmt: skip


TEXT_NETWORK = Network(
    model=Transformer(width=32, depth=1, heads=2, context=64), epochs=2.0, batch=16, lr=0.01
)
"""Of text, where no other is given."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """One kind of pilot: all but pool and seed."""

    metric: str
    policy: str
    keep: float


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
        Folder: ``NAME.csv``, ``NAME-scores.csv``, ``ledger.jsonl``, ``scores``, ``selections``.
    metrics
        Of `isoloss.study.pilot_scores.METRICS`, or for text of
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
        Without torch.

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
    cells = _cells(metrics, policies, keeps, text=text)
    _check_numbers(seeds, class_floor, noise_guard, name)
    how, scorer = _settings(network, scoring, text=text, piece=piece, class_floor=class_floor)
    piece, folder = piece if text else 0, Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out = {folder}: is a file; give a folder")
    held = data_of(spec)
    if held.kind not in ("classes", "text"):
        raise InputError(f"data: targets are {held.kind}; pilots of pruning need classes, or text")
    store = Store(folder.absolute(), held, scorer, device, piece)
    sizes = _sizes(pools, store.units)
    # The smallest pilot is the one that may be too small: told before anything is scored.
    least = max(1, round(min(cell.keep for cell in cells) * sizes[0]))
    how.run(spec, least, sizes[0], seeds[0], piece=piece or 1)
    folder.mkdir(parents=True, exist_ok=True)
    needed = [cell.metric for cell in cells if cell.metric]
    _score(store, sizes, seeds, list(dict.fromkeys(needed)), on_step)
    plan: list[tuple[RunSpec, dict[str, Any]]] = []
    costs: dict[tuple[str, int, int], dict[str, Any]] = {}
    for size in sizes:
        for cell in cells:
            for seed in seeds:
                path, count = store.selection(
                    size, seed, cell.keep, metric=cell.metric, policy=cell.policy,
                    class_floor=class_floor if cell.metric else 0.0,
                    noise_guard=noise_guard if cell.metric else 0.0,
                )  # fmt: skip
                score_flops = 0.0
                if cell.metric:
                    if (cell.metric, size, seed) not in costs:
                        scored = store.read(size, seed, cell.metric)
                        costs[cell.metric, size, seed] = {
                            "data": data_label(spec), "metric": cell.metric, "pool": size,
                            "seed": seed, "flops": scored.flops,
                            "cpu_seconds": scored.cpu_seconds,
                        }  # fmt: skip
                    score_flops = costs[cell.metric, size, seed]["flops"]
                kept = replace(spec, selection=str(path), piece=piece)
                run = how.run(kept, count, size, seed, piece=piece or 1)
                known = {
                    "data": data_label(spec), "metric": cell.metric, "policy": cell.policy,
                    "keep": cell.keep, "pool": size, "D": count, "seed": seed,
                    "score_flops": float(score_flops),
                }  # fmt: skip
                plan.append((run, known))
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


def data_label(spec: DataSpec) -> str:
    """Name of a data set and what was done to it.

    Examples
    --------
    >>> data_label(DataSpec(name="mnist1d", label_noise=0.1))
    'mnist1d label_noise=0.1'
    """
    changes = [f"{n}={getattr(spec, n):g}" for n in ("superclasses", "input_noise", "label_noise")
               if getattr(spec, n)]  # fmt: skip
    return " ".join([spec.name, *changes])


def _settings(
    network: Network | None, scoring: Scoring | TextScoring | None, *, text: bool, piece: int,
    class_floor: float,
) -> tuple[Network, Scoring | TextScoring]:  # fmt: skip
    """Fill in what pilots train and how they score, and refuse what does not go with the data."""
    if not text:
        how, scorer = network or Network(), scoring or Scoring()
        if isinstance(how.model, Transformer) or isinstance(scorer, TextScoring):
            raise InputError("data: have no text; Transformer and TextScoring are of text")
        return how, scorer
    how, scorer = network or TEXT_NETWORK, scoring or TextScoring()
    if not isinstance(how.model, Transformer) or not isinstance(scorer, TextScoring):
        raise InputError("data: are text; give a Transformer to train, and TextScoring")
    if class_floor:
        raise InputError(f"class_floor = {class_floor:g}: text has no classes; leave it out")
    for context in (how.model.context, scorer.model.context):
        if isinstance(piece, bool) or not isinstance(piece, int) or piece < 1 or piece % context:
            raise InputError(
                f"piece = {piece!r}: must be a multiple of the {context} bytes that a network reads"
            )
    return how, scorer


def _cells(
    metrics: Iterable[str] | None, policies: Sequence[str], keeps: Sequence[float], *, text: bool
) -> list[_Cell]:
    if metrics is None:
        metrics = ("perplexity", "prototypes") if text else ("el2n", "forgetting", "prototypes")
    asked = [metrics] if isinstance(metrics, str) else metrics
    names = check_metrics(asked, TEXT_METRICS if text else METRICS)
    for policy in policies:
        if policy not in POLICIES:
            raise InputError(f"policy = {policy!r}: write of {', '.join(POLICIES)}")
    if not keeps:
        raise InputError("keeps: give one share at least")
    for keep in keeps:
        if not isinstance(keep, int | float) or not 0 < keep < 1:
            raise InputError(f"keep = {keep!r}: must be a share above 0 and below 1")
    cells = []
    for keep in sorted({float(keep) for keep in keeps}):
        if "random" in policies:
            cells.append(_Cell(metric="", policy="random", keep=keep))
        for metric in names:
            mine = [FIXED[metric]] if metric in FIXED else [p for p in policies if p != "random"]
            cells += [_Cell(metric=metric, policy=p, keep=keep) for p in mine]
    return [*cells, _Cell(metric="", policy="random", keep=1.0)]


def _check_numbers(seeds: Sequence[int], class_floor: float, noise_guard: float, name: str) -> None:
    if not seeds or any(isinstance(s, bool) or not isinstance(s, int) or s < 0 for s in seeds):
        raise InputError(f"seeds = {list(seeds)!r}: must be whole numbers of 0 or more")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"seeds = {list(seeds)!r}: one is given twice")
    if not 0 <= class_floor <= 1:
        raise InputError(f"class_floor = {class_floor!r}: must be a share from 0 to 1")
    if not 0 <= noise_guard < 1:
        raise InputError(f"noise_guard = {noise_guard!r}: must be at least 0 and below 1")
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise InputError(f"name = {name!r}: use letters, digits, -, _ and .")


def _sizes(pools: Sequence[int], examples: int) -> list[int]:
    if not pools:
        halves = [examples // 2**i for i in range(6)]
        pools = [size for size in halves if size >= LEAST_POOL] or [examples]
    for size in pools:
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= examples:
            raise InputError(
                f"pool = {size!r}: must be a whole number, at most the {examples} training examples"
            )
    return sorted(set(pools))


def _score(
    store: Store, sizes: Sequence[int], seeds: Sequence[int], metrics: Sequence[str],
    on_step: Callable[[str], None] | None,
) -> None:  # fmt: skip
    todo = [(n, s, lack) for n in sizes for s in seeds if (lack := store.lacking(n, s, metrics))]
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


def _rows(plan: Sequence[tuple[RunSpec, dict[str, Any]]], ledger: Path) -> tuple[Rows, list[str]]:
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
