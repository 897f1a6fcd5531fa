"""Verdicts put together by hand, so that every number drawn is known."""

import math

import numpy as np

from isoloss._core.interval import Interval
from isoloss.fit.certificate import Reason
from isoloss.prune.verdict_result import (
    BreakEven,
    Crossover,
    Curve,
    Estimate,
    FormShare,
    FrontierFinding,
    NextPilot,
    PolicyFinding,
    Question,
    Verdict,
    WorstClass,
)

D = np.geomspace(100, 3200, 31)
SLOPES = {"none": 0.5, "hard": 0.8, "easy": 0.3}
SHARES = {"none": 1.0, "hard": 0.3, "easy": 0.6}


def about(value, spread=0.1, method="made up"):
    low, high = (value - spread, value + spread) if math.isfinite(spread) else (-spread, spread)
    return Estimate(value=value, interval=Interval(low=low, high=high, level=0.9, method=method))


def curve(policy, keep=None):
    loss = 4 * D ** -SLOPES[policy]
    keep = SHARES[policy] if keep is None else keep
    return Curve(policy=policy, keep=keep, D=D, loss=loss, low=0.9 * loss, high=1.2 * loss)


def finding(policy, gain, spread=0.1):
    return PolicyFinding(
        policy=policy, finding="better" if gain > spread else "unsettled",
        keep=about(SHARES[policy], 0.05), D=3000.0, pool=3000 / SHARES[policy],
        loss=about(4 * 3000.0 ** -SLOPES[policy], 0.001), gain=about(gain, spread),
        gain_random=about(gain / 2), keeps=(0.3, 0.6),
        gains=(about(gain, spread), about(gain / 3, spread)),
        lossless=about(0.7), reach=2.5,
    )  # fmt: skip


def points(policies):
    return tuple(
        {
            "policy": p, "keep": k, "pool": n / k, "D": float(n), "runs": 3,
            "loss": 4 * n ** -SLOPES[p], "relative_error": 0.02,
        }
        for p in policies
        for k in ((1.0,) if p == "none" else (0.3, 0.6))
        for n in (100, 400, 1600)
    )  # fmt: skip


def verdict(*, policies=("hard", "easy"), spread=0.1, metric="el2n", data="digits", **changes):
    """A verdict for hard, every part of it there."""
    sizes = np.geomspace(100, 1600, 21)
    names = ("none", *policies)
    found = {
        "answer": "hard", "sentence": "Prune: keep the hardest.", "status": "ok", "reasons": (),
        "notes": ("nothing was held out",), "metric": metric, "data": data, "outcome": "error",
        "question": Question(pool=math.inf, D=3000.0, budget=6000.0, unit="seen", epochs=2.0,
                             tol=0.02, trainings=1.0),
        "level": 0.9, "keep": about(0.3), "loss": about(0.01), "gain": about(0.5, spread),
        "loss_none": about(0.07, 0.001), "multiplier": about(2.0),
        "policies": tuple(finding(p, 0.5 if p == "hard" else -0.2, spread) for p in policies),
        "crossovers": (
            Crossover(winner="hard", loser="random", keep=0.3, D=about(200.0, 20.0),
                      pool=about(600.0, 60.0), looked=(50.0, 9000.0), share_of_draws=1.0),
        ),
        "frontier": FrontierFinding(
            D=sizes, keep=np.full(21, 0.4), policy=("hard",) * 21, loss=3 * sizes**-0.8,
            exponent=about(0.8), unpruned=about(0.5), difference=about(0.3), growth=about(0.0),
            p=0.01, sentence="The frontier falls faster.",
        ),
        "break_even": BreakEven(trainings=about(0.4), compute=about(1e9, 1e8), unit="flops",
                                score=1.0, train=3.0, multiplier=about(1.5)),
        "worst_class": (
            WorstClass(policy="hard", keep=0.3, D=3000.0, ratio=about(1.1, 0.02),
                       sentence="worst class loses"),
        ),
        "next_pilots": (
            NextPilot(policy="hard", keep=0.3, D=3200.0, pool=10667.0, seeds=3, narrows_to=0.5,
                      sentence="keep the hardest 30 %"),
        ),
        "reach": 2.5,
        "forms": (
            FormShare(form="power, drift", weight=0.9, excluded=False, misfit=1.44,
                      discrepancy=0.03, parameters={"A": 1.0}),
            FormShare(form="chance, pool", weight=0.0, excluded=True, misfit=99.0, discrepancy=0.0,
                      parameters={"A": 2.0}),
        ),
        "curves": (*(curve(p) for p in names), *(curve(p, 0.9) for p in policies)),
        "points": points(names), "runs": 45, "source": "/home/someone/pilots.csv",
        "digest": "abc123",
    }  # fmt: skip
    return Verdict(**(found | changes))


def refused(**changes):
    """A verdict that is none: pilots and the reason."""
    empty = {
        "keep": None, "loss": None, "gain": None, "loss_none": None, "multiplier": None,
        "policies": (), "crossovers": (), "frontier": None, "break_even": None, "worst_class": (),
        "next_pilots": (), "forms": (), "curves": (), "answer": "no verdict", "status": "refused",
        "sentence": "No verdict.", "reasons": (Reason(code="ONE_SEED", message="0 runs repeat"),),
    }  # fmt: skip
    return verdict(**(empty | {"points": points(SHARES)} | changes))
