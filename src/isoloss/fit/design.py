"""What the runs cannot identify, said before anything is fitted."""

from __future__ import annotations

import numpy as np

from isoloss.errors import FitError
from isoloss.fit.certificate import Reason
from isoloss.fit.prepare import Prepared
from isoloss.laws.law import is_resource


def design_reasons(data: Prepared) -> list[Reason]:
    """Doubts that follow from where the runs lie, whatever their losses.

    Raises
    ------
    FitError
        ``TOO_FEW_RUNS`` when there are fewer configurations than parameters.
    """
    # Runs of no weight are not there.
    law, x = data.law, {a: v[data.weights > 0] for a, v in data.x.items()}
    p = len(law.names)
    # The runs are sorted by their axes, so equal configurations lie side by side.
    new = np.any([v[1:] != v[:-1] for v in x.values()], axis=0)
    points = 1 + int(np.count_nonzero(new))
    if points < p:
        raise FitError(
            "TOO_FEW_RUNS",
            f"{points} distinct configurations cannot fix the {p} parameters of {law.name}; "
            "add runs, pin parameters or choose a smaller law",
        )
    reasons: list[Reason] = []
    if points < p + 2:
        reasons.append(
            Reason(
                code="FEW_CONFIGURATIONS",
                message=f"{points} distinct configurations for {p} parameters leave nothing "
                "to check the law with; add at least two",
            )
        )
    names = [a for a in law.axes if is_resource(a)]
    logs = {a: np.log(x[a]) for a in names}
    for a in names:
        low, high = x[a].min(), x[a].max()
        if low == high:
            others = [b for b in names if b != a]
            remedy = (
                f"fit power_floor over {others[0]}" if len(others) == 1 else "choose another law"
            )
            reasons.append(
                Reason(
                    code="UNIDENTIFIED",
                    message=f"{a} is the same in all runs, so its exponent cannot be known: "
                    f"{remedy}, or add runs at other {a}",
                    fatal=True,
                )
            )
        elif not ((x[a] > low) & (x[a] < high)).any() or np.ptp(logs[a]) < np.log(1.5):
            reasons.append(
                Reason(
                    code="NARROW_AXIS",
                    message=f"{a} hardly varies (factor {np.exp(np.ptp(logs[a])):.3g}); its "
                    "exponent rests on almost nothing: add runs at other values",
                )
            )
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            u, v = logs[a] - logs[a].mean(), logs[b] - logs[b].mean()
            norm = float(np.sqrt((u @ u) * (v @ v)))
            if norm > 0 and abs(float(u @ v)) / norm > 0.995:
                reasons.append(
                    Reason(
                        code="UNIDENTIFIED",
                        message=f"{a} and {b} rise together in all runs, so their effects cannot "
                        f"be told apart: forecasts hold on that line only, and no split of "
                        f"compute can be advised; add runs with another ratio of {b} to {a}",
                    )
                )
    return reasons
