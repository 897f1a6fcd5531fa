"""From Kaplan's exponent to Chinchilla's, one correction at a time."""

from __future__ import annotations

from collections.abc import Mapping

from isoloss.fit import fit
from isoloss.runs.atlas import ReleasedTable
from isoloss.runs.atlas.porian import chain_name
from isoloss.study.atlas.rows import AtlasRow

FAMILY = "porian"
CHAINS = {
    "rw": (0.8353, 0.7065, 0.6020, 0.5715, 0.4969),
    "owt2": (0.8635, 0.6985, 0.6032, 0.5743, 0.5185),
}
_NAMES = {"rw": "RefinedWeb", "owt2": "OpenWebText2"}
_STEPS = ("Kaplan's set-up", "and the head counted", "and a short warm-up",
          "and a decay that ends with the run", "and tuned, at a constant rate")  # fmt: skip


def compare(tables: Mapping[str, ReleasedTable]) -> list[AtlasRow]:
    """Growth of the best size with the budget, weighted by its spread; ours is not weighted."""
    rows = []
    for dataset, chain in CHAINS.items():
        for step, theirs in enumerate(chain):
            table = tables.get(chain_name(dataset, step))
            if table is None or len(table.runs) < 4:
                continue
            weighted = fit(
                table.runs, "growth", axis="C", objective="lsq", noise="column:loss_se", draws=0
            )
            plain = fit(table.runs, "growth", axis="C", draws=0)
            rows.append(
                AtlasRow(
                    family=FAMILY,
                    table=_NAMES[dataset],
                    quantity=f"exponent of N, {_STEPS[step]}",
                    theirs=theirs,
                    same=weighted.parameters["alpha"],
                    ours=plain.parameters["alpha"],
                    note="the last column does without the spread of the optima"
                    if step == 0
                    else "",
                )
            )
    return rows
