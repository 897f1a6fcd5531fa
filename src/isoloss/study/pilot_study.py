"""The measured study of pruning: which experiments it has, and what is read off their tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isoloss.errors import InputError
from isoloss.study.pilot_readings import PilotLaw, crossovers, frontier, pilot_laws
from isoloss.study.pilot_table import pilot_means, pilot_text, read_pilots
from isoloss.sweep.data.spec import DataSpec

Rows = list[dict[str, Any]]

_DATA = "fashion-mnist"
_TEN = (
    "el2n", "grand", "forgetting", "aum", "memorization", "disagreement", "class-means", "moderate",
    "prototypes", "density",
)  # fmt: skip
_TWO = ("el2n", "prototypes")
_WIDTH, _EPOCHS, _RATE = 32, 6.0, 0.004
"""Of the networks that are compared: small, so that all of it takes minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Arguments of `isoloss.study.pilots.train_pilots`, and what they are for.

    Attributes
    ----------
    what
        For people.
    data, arguments
        What is trained on; the rest.
    match
        What pruned and unpruned runs have alike.
    embedding
        Of prototypes.
    """

    what: str
    data: DataSpec
    match: str = "epochs"
    embedding: str = "pca"
    arguments: dict[str, Any] = field(default_factory=dict)


EXPERIMENTS: dict[str, Experiment] = {
    "metrics": Experiment(
        what="ten scores on all of Fashion-MNIST, the hard kept",
        data=DataSpec(name=_DATA),
        arguments={"metrics": _TEN, "policies": ("random", "hard"), "pools": (55_000,)},
    ),
    "abundance": Experiment(
        what="hard and easy from 1,718 to 55,000 examples",
        data=DataSpec(name=_DATA), arguments={"metrics": _TWO},
    ),
    "steps": Experiment(
        what="as many steps as the whole pool gets, whatever is kept",
        data=DataSpec(name=_DATA), match="steps",
        arguments={"metrics": _TWO, "policies": ("random", "hard"), "pools": (13_750,)},
    ),
    **{
        kind: Experiment(
            what=f"prototypes in another embedding: {kind}",
            data=DataSpec(name=_DATA), embedding=kind,
            arguments={
                "metrics": ("prototypes",), "policies": ("random", "hard"), "pools": (13_750,),
            },
        )
        for kind in ("pixels", "convolutions", "autoencoder")
    },
    "noise": Experiment(
        what="the same where a fifth of the labels is drawn anew",
        data=DataSpec(name=_DATA, label_noise=0.2),
        arguments={"metrics": _TWO, "pools": (13_750,)},
    ),
    "noise-guard": Experiment(
        what="the fifth with the highest score never kept",
        data=DataSpec(name=_DATA, label_noise=0.2),
        arguments={
            "metrics": ("el2n",), "policies": ("random", "hard"), "pools": (13_750,),
            "noise_guard": 0.2,
        },
    ),
    "floor": Experiment(
        what="the ten scores with a class floor of a half",
        data=DataSpec(name=_DATA),
        arguments={
            "metrics": _TEN, "policies": ("random", "hard"), "pools": (55_000,),
            "keeps": (0.2,), "class_floor": 0.5,
        },
    ),
    "text": Experiment(
        what="pieces of 1,024 bytes of the standard library's source",
        data=DataSpec(name="stdlib"),
        arguments={
            "metrics": ("perplexity", "prototypes"), "pools": (256, 1024), "keeps": (0.3, 0.6),
        },
    ),
}  # fmt: skip
"""In the order in which they run: what one has scored or trained serves the next."""


def run_experiment(name: str, out: Path, **how: Any) -> Any:
    """Train what an experiment lacks, and write ``out/pruning-NAME.csv``.

    Parameters
    ----------
    name
        Of `EXPERIMENTS`.
    out
        Folder that all experiments share.
    how
        ``executor``, ``workers``, ``device``, ``on_step`` and ``on_event`` of `train_pilots`.

    Raises
    ------
    InputError
        For an unknown name, or data that cannot be loaded.
    """
    from isoloss.study.pilots import TEXT_NETWORK, Network, Scoring, TextScoring, train_pilots
    from isoloss.sweep.shapes import Mlp

    if name not in EXPERIMENTS:
        raise InputError(f"experiment {name!r}: must be one of {', '.join(EXPERIMENTS)}")
    asked = EXPERIMENTS[name]
    network = Network(model=Mlp(width=_WIDTH), epochs=_EPOCHS, lr=_RATE, match=asked.match)
    scoring: Scoring | TextScoring = Scoring(embedding=asked.embedding)
    if asked.data.name == "stdlib":
        network, scoring = TEXT_NETWORK, TextScoring()
    return train_pilots(
        asked.data, out, name=f"pruning-{name}", network=network, scoring=scoring,
        **asked.arguments, **how,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PruningStudy:
    """What the tables of a folder say.

    Attributes
    ----------
    rows
        Pilots by experiment.
    means
        Means over seeds by experiment, as `pilot_means` gives them.
    frontier, laws, crossings
        Of ``abundance``: the best way to have so many examples, the power laws of it and of random
        sets, and the pools from which on hard beats chance and easy.
    """

    rows: dict[str, Rows]
    means: dict[str, Rows]
    frontier: Rows = field(default_factory=list)
    laws: list[PilotLaw] = field(default_factory=list)
    crossings: Rows = field(default_factory=list)

    def __repr__(self) -> str:
        count = sum(len(rows) for rows in self.rows.values())
        return f"PruningStudy({', '.join(self.rows)}; {count} rows)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, without the rows."""
        return {
            "schema": 1, "means": self.means, "frontier": self.frontier,
            "laws": [law.to_dict() for law in self.laws], "crossings": self.crossings,
        }  # fmt: skip

    def summary(self) -> str:
        """All tables for people."""
        parts = []
        for name, rows in self.rows.items():
            parts.append(f"{name}: {EXPERIMENTS[name].what}\n{pilot_text(rows)}")
            if name in ("metrics", "floor"):
                parts.append(worst_text(rows))
        if self.frontier:
            parts.append(_frontier_text(self.frontier))
        parts += [_law_text(law) for law in self.laws]
        if self.crossings:
            parts.append(_crossing_text(self.crossings))
        return "\n\n".join(parts)


def read_pruning(folder: Path, *, only: Sequence[str] = ()) -> PruningStudy:
    """Read the tables ``pruning-NAME.csv`` of a folder, and what is to be read off them.

    Parameters
    ----------
    folder
        Where the tables are; experiments without one are passed over.
    only
        Names; all by default.

    Raises
    ------
    InputError
        For an unknown name, a folder without any of the tables, or a table that is none.
    """
    for name in only:
        if name not in EXPERIMENTS:
            raise InputError(f"experiment {name!r}: must be one of {', '.join(EXPERIMENTS)}")
    rows = {
        name: read_pilots(path)
        for name in only or EXPERIMENTS if (path := folder / f"pruning-{name}.csv").is_file()
    }  # fmt: skip
    if not rows:
        raise InputError(f"{folder}: holds no table of {', '.join(only or EXPERIMENTS)}")
    sizes = rows.get("abundance", [])
    return PruningStudy(
        rows=rows, means={name: pilot_means(mine) for name, mine in rows.items()},
        frontier=frontier(sizes), laws=pilot_laws(sizes), crossings=crossovers(sizes),
    )  # fmt: skip


def worst_text(rows: Rows) -> str:
    """Lay out the error of the worst class, and the cost of scores in unpruned trainings."""
    means = pilot_means(rows)
    whole = next((m for m in means if m["keep"] == 1), None)
    keeps = sorted({m["keep"] for m in means if m["keep"] < 1})
    by = {(m["metric"], m["policy"], m["keep"]): m for m in means}
    head = "error of the worst class, %"
    if whole:
        head += f" (of all: {100 * whole['worst_error']:.1f})"
    lines = [head, f"{'kept by':<22}" + "".join(f"{k:>14.0%}" for k in keeps) + "  cost of score"]
    for metric, policy in dict.fromkeys((m["metric"], m["policy"]) for m in means):
        cells = [by.get((metric, policy, k)) for k in keeps]
        told = "".join(f"{_worst(c):>14}" for c in cells)
        cost = next((c["score_flops"] for c in cells if c), 0.0)
        price = f"{cost / whole['flops']:.2f} trainings" if whole and cost else "-"
        what = f"{metric} {policy}".strip()
        lines.append(f"{what:<22}{told}  {price}")
    return "\n".join(lines)


def _worst(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "-"
    se = cell["worst_error_se"]
    return f"{100 * cell['worst_error']:.1f}" + ("" if math.isnan(se) else f" ± {100 * se:.1f}")


def _frontier_text(rows: Rows) -> str:
    lines = [
        "the best way to have D examples, chosen by other seeds, errors in %",
        f"{'D':>7}{'by chance':>14}{'best':>14}{'gain':>14}  best on average, of so many",
    ]
    for r in rows:
        cells = [
            f"{100 * r[n]:.2f} ± {100 * r[f'{n}_se']:.2f}" for n in ("chance", "error", "gain")
        ]
        best = f"{r['metric']} {r['policy']}, {r['keep']:.0%} of {r['pool']}"
        lines.append(f"{r['D']:>7}" + "".join(f"{c:>14}" for c in cells) + f"  {best}, {r['of']}")
    return "\n".join(lines)


def _law_text(law: PilotLaw) -> str:
    said = "" if law.interval is None else f" [{law.interval.low:.3f}, {law.interval.high:.3f}]"
    return (
        f"{law.what}: error falls as D^-{law.exponent:.3f}{said} from D = {law.low} to {law.high}"
    )


def _crossing_text(rows: Rows) -> str:
    lines = [f"{'pool from which on':<24}{'hard > chance':>15}{'hard > easy':>15}"]
    for r in rows:
        cells = "".join(f"{_pool(r[n]):>15}" for n in ("hard_over_random", "hard_over_easy"))
        what = f"{r['metric']}, keep {r['keep']:.0%}"
        lines.append(f"{what:<24}{cells}")
    return "\n".join(lines)


def _pool(value: float) -> str:
    return "never" if math.isnan(value) else f"{value:.0f}"
