"""Reference numbers, spectra made from their tables, and what hypothesis draws."""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from isoloss.theory import Spectrum, from_modes, power_law

GOLDEN: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[1] / "golden" / "theory.toml").read_text("utf8")
)
EXACT = 6e-7
"""Half a unit of the seventh digit, the last one printed."""

near = partial(pytest.approx, rel=1e-6, abs=0.0)
"""Relative closeness alone: losses may be far below the default absolute tolerance."""


def spectrum_of(name: str) -> Spectrum:
    found = GOLDEN
    for key in name.split("."):
        found = found[key]
    return power_law(**found["spectrum"])


exponents = st.floats(0.3, 3.0)
sizes = st.floats(0.7, 4.5).map(lambda v: float(10**v))
ridges = st.floats(-8.0, 4.0).map(lambda v: float(10**v))
noises = st.sampled_from([0.0, 1e-6, 0.1, 3.0])


@st.composite
def spectra(draw: Any, *, iid: bool | None = None, v0: bool = True) -> Spectrum:
    """Power laws and short explicit spectra."""
    off = draw(st.sampled_from([0.0, 0.0, 0.2])) if v0 else 0.0
    if draw(st.booleans()):
        b, M = draw(exponents), draw(st.sampled_from([10, 300, 10_000, 10**8]))
        if draw(st.booleans()) if iid is None else iid:
            return power_law(b=b, M=M, iid=True, v0=off)
        return power_law(b=b, a=draw(exponents), M=M, v0=off)
    lam = draw(st.lists(st.floats(1e-4, 10.0), min_size=3, max_size=12))
    if iid:
        return from_modes(lam, [v / len(lam) for v in lam], v0=off)
    v2 = draw(st.lists(st.floats(1e-3, 5.0), min_size=len(lam), max_size=len(lam)))
    return from_modes(lam, v2, v0=off)
