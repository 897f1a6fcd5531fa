"""Grids of runs, and the embedded study's own grid."""

from __future__ import annotations

from isoloss.runs import transformer_counts
from isoloss.sweep.spec import CONTEXT, VOCABULARY, RunSpec

SHAPES: dict[int, tuple[int, int]] = {
    12: (2, 1),
    16: (2, 1),
    24: (2, 2),
    32: (2, 2),
    40: (3, 2),
    48: (3, 3),
    64: (3, 4),
    96: (4, 6),
    128: (5, 8),
    160: (5, 10),
    192: (6, 12),
}
"""Width to (depth, heads)."""

LR_AT_WIDTH_1 = 0.256
"""Peak rate times width. Best of a scan at both ends of the grid; see the ledger's docs."""


def spec_for(width: int, D: float, *, seed: int = 0) -> RunSpec:
    """Spec of the embedded study: the learning rate falls as one over the width."""
    depth, heads = SHAPES[width]
    return RunSpec(
        width=width, depth=depth, heads=heads, D=round(D), lr=LR_AT_WIDTH_1 / width, seed=seed
    )


def spec_cost(spec: RunSpec) -> float:
    """Training FLOPs of a run, all terms."""
    counts = transformer_counts(
        width=spec.width, depth=spec.depth, vocabulary=VOCABULARY, context=CONTEXT
    )
    return float(counts.flops) * spec.tokens


def stdlib_grid() -> list[RunSpec]:
    """Return the embedded study's runs: a grid with repeated seeds, then the large hidden runs."""
    million = 1_000_000
    horizons = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0]
    specs = [spec_for(w, d * million) for w in (12, 16, 24, 32, 40, 48, 64) for d in horizons]
    specs += [
        spec_for(w, d * million, seed=s) for w in (12, 24, 40) for d in (1.0, 4.0) for s in (1, 2)
    ]
    specs += [spec_for(96, d * million) for d in (1.0, 1.5, 2.0)]
    specs += [spec_for(64, d * million, seed=1) for d in (1.0, 3.0)]
    hidden = [(128, 8.0), (160, 8.0), (192, 5.0)]
    return specs + [spec_for(w, d * million) for w, d in hidden]
