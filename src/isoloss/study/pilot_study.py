"""The measured study of pruning: which experiments it has, and what is read off their tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from isoloss.errors import InputError
from isoloss.study.pilot_table import pilot_means, read_pilots
from isoloss.sweep.data.spec import DataSpec

Rows = list[dict[str, Any]]

_DATA = "fashion-mnist"
_TEN = (
    "el2n", "grand", "margin", "forgetting", "aum", "memorization", "misclassified",
    "disagreement", "class-means", "moderate", "prototypes", "density",
)  # fmt: skip
_THREE = ("el2n", "forgetting", "prototypes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Arguments of `isoloss.study.pilots.train_pilots`, and what they are for.

    Attributes
    ----------
    what
        For people.
    data, arguments
        What is trained on; the rest.
    """

    what: str
    data: DataSpec
    arguments: dict[str, Any] = field(default_factory=dict)


EXPERIMENTS: dict[str, Experiment] = {
    "metrics": Experiment(
        what="twelve scores on all of Fashion-MNIST, the hard kept",
        data=DataSpec(name=_DATA),
        arguments={"metrics": _TEN, "policies": ("random", "hard"), "pools": (55_000,)},
    ),
    "abundance": Experiment(
        what="hard and easy from 1,718 to 55,000 examples",
        data=DataSpec(name=_DATA), arguments={"metrics": _THREE},
    ),
    "noise": Experiment(
        what="the same where a fifth of the labels is drawn anew",
        data=DataSpec(name=_DATA, label_noise=0.2),
        arguments={"metrics": ("el2n", "prototypes"), "pools": (27_500,)},
    ),
    "noise-guard": Experiment(
        what="the fifth with the highest score never kept",
        data=DataSpec(name=_DATA, label_noise=0.2),
        arguments={
            "metrics": ("el2n",), "policies": ("random", "hard"), "pools": (27_500,),
            "noise_guard": 0.2,
        },
    ),
    "floor": Experiment(
        what="the twelve scores with a class floor of a half",
        data=DataSpec(name=_DATA),
        arguments={
            "metrics": _TEN, "policies": ("random", "hard"), "pools": (55_000,),
            "keeps": (0.2, 0.4), "class_floor": 0.5,
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
    from isoloss.study.pilots import train_pilots

    if name not in EXPERIMENTS:
        raise InputError(f"experiment {name!r}: must be one of {', '.join(EXPERIMENTS)}")
    asked = EXPERIMENTS[name]
    return train_pilots(asked.data, out, name=f"pruning-{name}", **asked.arguments, **how)
