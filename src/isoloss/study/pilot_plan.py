"""Which pilots are asked for: kinds, sizes and settings, refused before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from isoloss.errors import InputError
from isoloss.study.pilot_network import TEXT_NETWORK, Network
from isoloss.study.pilot_scoring import FIXED, METRICS, Scoring, check_metrics
from isoloss.study.pilot_text import TEXT_METRICS, TextScoring
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.shapes import Transformer

POLICIES = ("random", "hard", "easy")
LEAST_POOL = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One kind of pilot: all but pool and seed."""

    metric: str
    policy: str
    keep: float


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


def settings(
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


def cells_of(
    metrics: Iterable[str] | None, policies: Sequence[str], keeps: Sequence[float], *, text: bool
) -> list[Cell]:
    """List the kinds of pilots, from the least share to the whole pool."""
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
            cells.append(Cell(metric="", policy="random", keep=keep))
        for metric in names:
            mine = [FIXED[metric]] if metric in FIXED else [p for p in policies if p != "random"]
            cells += [Cell(metric=metric, policy=p, keep=keep) for p in mine]
    return [*cells, Cell(metric="", policy="random", keep=1.0)]


def check_numbers(seeds: Sequence[int], class_floor: float, noise_guard: float, name: str) -> None:
    """Refuse seeds, shares and names that are none."""
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


def sizes_of(pools: Sequence[int], examples: int) -> list[int]:
    """Give the sizes of pools, rising; halvings of all examples where none are given."""
    if not pools:
        halves = [examples // 2**i for i in range(6)]
        pools = [size for size in halves if size >= LEAST_POOL] or [examples]
    for size in pools:
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= examples:
            raise InputError(
                f"pool = {size!r}: must be a whole number, at most the {examples} training examples"
            )
    return sorted(set(pools))
