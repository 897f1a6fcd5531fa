"""Curves drawn from a known law, and those of the published schedules where they lie at hand."""

from pathlib import Path

import numpy as np

from isoloss.laws.curve_law import curve_loss
from isoloss.laws.schedule import make_schedule
from isoloss.runs.curve import Curve

TRUE = {"L0": 2.5, "A": 0.6, "alpha": 0.47, "B": 450.0, "C": 2.5, "beta": 0.55, "gamma": 0.5}
RATES = {"peak": 3e-4, "floor": 3e-5, "warmup": 200}
PLANS = {
    "cosine": "cosine:6000",
    "constant": "constant:6000",
    "drop": "drop:2000:4000:9e-5",
    "wsd": "wsd:5000:6000",
    "linear": "wsd-linear:3000:6000",
}

SHARED = Path(__file__).parents[3] / "shared" / "data" / "multipowerlaw"
if not SHARED.is_dir():
    SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "multipowerlaw"
PUBLISHED_PLANS = {
    "cosine_24000": "cosine:24000", "constant_24000": "constant:24000",
    "wsdcon_9": "drop:8000:16000:9e-5", "wsdcon_3": "drop:8000:16000:3e-5",
    "wsdcon_18": "drop:8000:16000:1.8e-4", "cosine_72000": "cosine:72000",
    "constant_72000": "constant:72000", "wsd_20000_24000": "wsd:20000:24000",
    "wsdld_20000_24000": "wsd-linear:20000:24000",
}  # fmt: skip
PUBLISHED_RATES = {"peak": 3e-4, "floor": 3e-5, "warmup": 2160}


def schedule(name, **change):
    return make_schedule(PLANS[name], **(RATES | change))


def drawn(
    name, *, noise=0.0, seed=0, true=TRUE, law="multi-power", every=40, memory=0.7, factor=1.0
):
    """A curve of the law, with noise that neighbours share: autoregressive, of one memory."""
    plan = schedule(name)
    at = np.arange(240, len(plan), every)
    loss = factor * curve_loss(law, true, plan, at=at)
    rng = np.random.default_rng([seed, sorted(PLANS).index(name)])
    fresh = rng.standard_normal(at.size)
    alike = np.empty(at.size)
    state = fresh[0]
    for i, value in enumerate(fresh):
        state = memory * state + np.sqrt(1 - memory**2) * value if i else value
        alike[i] = state
    return Curve(at, loss * (1 + noise * alike), plan.rates[at], name=name)


def published(size, name):
    """A published curve and its schedule."""
    table = np.loadtxt(SHARED / f"csv_{size}__{name}.csv", delimiter=",", skiprows=1)
    plan = make_schedule(PUBLISHED_PLANS[name], **PUBLISHED_RATES)
    return Curve(table[:, 0], table[:, 2], table[:, 1], name=name), plan
