"""The 27 nonlinear sets of NIST from both starts: certified digits, and no ``ok`` without them."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoloss.errors import FitError
from isoloss.fit import Regression, regress
from isoloss.fit.engine import Solutions, minimise

PATH = Path(__file__).parents[3] / "shared" / "data" / "nist-strd" / "nist_strd_nonlinear.json"
REGRESS = sys.modules["isoloss.fit.regress"]
NAMES = [
    *("Bennett5", "BoxBOD", "Chwirut1", "Chwirut2", "DanWood", "ENSO", "Eckerle4", "Gauss1"),
    *("Gauss2", "Gauss3", "Hahn1", "Kirby2", "Lanczos1", "Lanczos2", "Lanczos3", "MGH09"),
    *("MGH10", "MGH17", "Misra1a", "Misra1b", "Misra1c", "Misra1d", "Nelson", "Rat42", "Rat43"),
    *("Roszman1", "Thurber"),
]
# Its residuals are below the rounding of its responses: standard errors cannot have digits.
NO_ERRORS = "Lanczos1"

pytestmark = pytest.mark.skipif(
    not PATH.exists(), reason="the shared data folder is not beside the repository"
)


@lru_cache
def sets() -> dict[str, dict[str, Any]]:
    return {s["name"]: s for s in json.loads(PATH.read_text("utf8"))}


def run(name: str, start: str | None, **options: Any) -> Regression:
    one = sets()[name]
    x, y = np.array(one["x"]), np.array(one["y"])
    columns = {"x": x, "y": y} if x.ndim == 1 else {"x1": x[:, 0], "x2": x[:, 1], "y": np.log(y)}
    if start is not None:
        options["start"] = {f"b{i + 1}": v for i, v in enumerate(one[start])}
    return regress(columns, one["model"].split("=")[-1], **options)


def digits(found: dict[str, float], certified: list[float]) -> float:
    """Log relative error of the worst: the number of correct digits."""
    values = np.array([found[f"b{i + 1}"] for i in range(len(certified))])
    gap = np.abs(values - certified) / np.abs(certified)
    return float(np.min(-np.log10(np.maximum(gap, 1e-11))))


def right(found: Regression, name: str, *, started: bool) -> bool:
    """Whether the digits that ``ok`` promises are there."""
    one = sets()[name]
    if not started:
        # Terms may change names where nothing says which is which: the sum of squares may not.
        return bool(abs(found.rss / one["rss"] - 1) < 1e-9)
    return (
        digits(found.parameters, one["certified"]) >= 6
        and digits(found.standard_errors, one["certified_sd"]) >= 4
    )


def test_all_sets_are_there() -> None:
    assert sorted(sets()) == sorted(NAMES)


@pytest.mark.parametrize("start", ["start1", "start2"])
@pytest.mark.parametrize("name", NAMES)
def test_certified_digits_from_both_starts(name: str, start: str) -> None:
    one = sets()[name]
    found = run(name, start)
    assert digits(found.parameters, one["certified"]) >= 6
    if name == NO_ERRORS:
        assert [r.code for r in found.reasons] == ["ROUNDING"]
        return
    assert digits(found.standard_errors, one["certified_sd"]) >= 4
    assert found.rss == pytest.approx(one["rss"], rel=1e-8)
    assert found.residual_sd == pytest.approx(one["residual_sd"], rel=1e-8)
    assert found.freedom == one["df"]
    assert found.status == "ok", found.summary()


@pytest.mark.parametrize("name", NAMES)
def test_without_a_start_an_ok_is_right(name: str) -> None:
    found = run(name, None)
    assert found.status != "ok" or right(found, name, started=False), found.summary()


def first_order(*args: Any, **options: Any) -> Solutions:
    return minimise(*args, **options | {"newton": False})


CRIPPLES: dict[str, dict[str, Any]] = {
    "1 step": {"max_iterations": 1},
    "3 steps": {"max_iterations": 3},
    "10 steps": {"max_iterations": 10},
    "one start": {"search": False},
    "first order": {"engine": first_order},
}
SLOW: dict[str, dict[str, Any]] = {
    "one start, 1 step": {"search": False, "max_iterations": 1},
    "one start, 3 steps": {"search": False, "max_iterations": 3},
    "one start, 10 steps": {"search": False, "max_iterations": 10},
    "one start, first order": {"search": False, "engine": first_order},
    "first order, 3 steps": {"engine": first_order, "max_iterations": 3},
    "first order, 10 steps": {"engine": first_order, "max_iterations": 10},
}


@pytest.mark.parametrize(
    "how", [*CRIPPLES, *(pytest.param(k, marks=pytest.mark.slow) for k in SLOW)]
)
@pytest.mark.parametrize("name", NAMES)
def test_a_crippled_engine_never_says_ok_without_the_digits(
    name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dict((CRIPPLES | SLOW)[how])
    monkeypatch.setattr(REGRESS, "minimise", options.pop("engine", minimise))
    for start in ("start1", "start2", None):
        if start is None and "search" in options:
            continue
        try:
            found = run(name, start, **options)
        except FitError:
            continue
        assert found.status != "ok" or right(found, name, started=start is not None), (
            start,
            found.summary(),
        )
        if "search" in options:
            assert found.status != "ok"
