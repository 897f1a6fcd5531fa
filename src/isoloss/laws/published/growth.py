"""Growth of the best size and data with compute: the three approaches of Hoffmann et al."""

from __future__ import annotations

from collections.abc import Mapping

from isoloss._core.interval import Interval
from isoloss.laws.published.entry import Published

_NO_AMPLITUDE = "A was not printed"


def _approach(number: int, what: str, exponent: float, low: float, high: float,
              caveat: str) -> Published:  # fmt: skip
    unit = "parameters" if what == "N" else "tokens"
    return Published(
        law="growth",
        parameters={"alpha": exponent},
        axis="C",
        measures=f"best {what}, in {unit}; C in FLOPs, 6 N D",
        source=f"Hoffmann et al. 2022, arXiv:2203.15556, table 2, approach {number}",
        caveat=f"{_NO_AMPLITUDE}; {caveat}",
        intervals={
            "alpha": Interval(
                low=low, high=high, level=0.8, method="10th to 90th percentile of a bootstrap"
            )
        },
    )


_ONE = "least loss of training curves over sizes, for 1,500 budgets"
_TWO = "parabolas in log N at nine budgets, 6e18 to 3e21 FLOPs"
_THREE = (
    "the interval does not hold the exponent printed beside it, and is too narrow for 400 runs "
    "(Besiroglu et al. 2024); with alpha = .3392 and beta = .2849 the growth of N is .4565, with "
    "these rounded to .34 and .28 .4516, in the replication .513"
)
HOFFMANN: Mapping[str, Published] = {
    "hoffmann-2022-approach-1-size": _approach(1, "N", 0.50, 0.488, 0.502, _ONE),
    "hoffmann-2022-approach-1-data": _approach(
        1, "D", 0.50, 0.501, 0.512, _ONE + "; the interval does not hold the exponent as rounded"
    ),
    "hoffmann-2022-approach-2-size": _approach(2, "N", 0.49, 0.462, 0.534, _TWO),
    "hoffmann-2022-approach-2-data": _approach(2, "D", 0.51, 0.483, 0.529, _TWO),
    "hoffmann-2022-approach-3-size": _approach(3, "N", 0.46, 0.454, 0.455, _THREE),
    "hoffmann-2022-approach-3-data": _approach(3, "D", 0.54, 0.542, 0.543, _THREE),
}
"""N_opt and D_opt against C."""
