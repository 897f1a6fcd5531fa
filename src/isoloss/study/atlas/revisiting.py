"""M1 to M4 on 92 learning curves: how far off the held-out points are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import IsolossError
from isoloss.fit import fit
from isoloss.laws import get_law
from isoloss.runs import Runs
from isoloss.runs.atlas import ReleasedTable
from isoloss.runs.atlas.revisiting import LAWS
from isoloss.study.atlas.rows import AtlasRow

FAMILY = "revisiting"
_WORDS = {
    "IC": "image classification",
    "NMT": "translation",
    "LM": "language models",
    "BB": "BIG-bench",
}


def compare(tables: Mapping[str, ReleasedTable]) -> list[AtlasRow]:
    """Median over curves of the root mean square error of log loss, by domain and law."""
    rows: list[AtlasRow] = []
    for name, table in tables.items():
        if name.endswith("-reference"):
            continue
        ours = errors(table.runs)
        beside = tables.get(f"{name}-reference")
        domain = name.removeprefix("revisiting-")
        for j, law in enumerate(LAWS):
            theirs = None if beside is None else float(np.median(beside.runs[law]))
            rows.append(
                AtlasRow(
                    family=FAMILY,
                    table=f"{_WORDS.get(domain, domain)}, {len(ours)} curves",
                    quantity=f"median error of held-out log losses, {law}",
                    theirs=theirs,
                    ours=float(np.median(ours[:, j])),
                    note="theirs by running the upstream code; ours by lsq of log loss, the law "
                    "as it is in the catalogue"
                    if not rows
                    else "",
                )
            )
    return rows


def errors(runs: Runs) -> Array:
    """Error of each law on each curve, (curves, 4); infinite where a law could not be fitted."""
    curves = np.unique(runs["curve"])
    found = np.full((len(curves), len(LAWS)), np.inf)
    for i, curve in enumerate(curves):
        part = runs.select(runs["curve"] == curve)
        used = part["fitted"] == 1
        if used.all() or not used.any():
            continue
        kept, hidden = part.select(used), part.select(~used)
        fitted = Runs(columns={a: kept[a] for a in ("D", "loss")})
        for j, name in enumerate(LAWS):
            law = get_law(name, axis="D")
            try:
                theta = fit(fitted, law, objective="lsq", draws=0).theta
            except IsolossError:
                continue
            miss = np.log(law(theta, {"D": hidden["D"]}) / hidden["loss"])
            found[i, j] = np.sqrt(np.mean(miss**2))
    return found
