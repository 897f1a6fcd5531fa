"""Which law is fitted when none is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isoloss.errors import LawError
from isoloss.fit import fit
from isoloss.fit.prepare import as_law, choose_law
from isoloss.runs import read_runs

X = np.geomspace(1e7, 1e10, 16)
LOSS = 1.8 + 400 * X**-0.35


def chosen(columns: dict[str, Any], **options: Any) -> tuple[str, tuple[str, ...], str]:
    mapping = {a: a for a in columns if a != "loss"}
    runs = read_runs(columns | {"loss": LOSS}, columns=mapping, flops=options.pop("flops", "6ND"))
    law, why = choose_law(runs, **options)
    return law.name, law.axes, why


@pytest.mark.parametrize("axis", ["N", "D", "C", "U", "x", "width"])
def test_one_resource(axis: str) -> None:
    name, axes, why = chosen({axis: X})
    assert (name, axes) == ("power_floor", (axis,))
    assert why.startswith(f"{axis} is the only")


def test_numbers_that_were_not_used_are_named() -> None:
    _, _, why = chosen({"D": X, "width": np.arange(16), "lr": X, "depth": np.ones(16)})
    assert why == "D is the only resource in the runs (columns not used: width)"


def test_both() -> None:
    assert chosen({"N": X, "D": X[::-1]})[:2] == ("chinchilla", ("N", "D"))
    assert "repetition" in chosen({"N": X, "D": X[::-1], "U": X / 100})[2]
    assert "repetition" not in chosen({"N": X, "D": X[::-1], "U": X[::-1]})[2]


def test_an_axis_that_stands_still_is_named_with_the_remedy() -> None:
    name, _, why = chosen({"N": np.full(16, 7e7), "D": X})
    assert name == "chinchilla"
    assert why.endswith("N is 7e+07 in every run: for a law of D alone, --axis D")
    assert chosen({"N": X, "D": np.full(16, 7e7)})[2].endswith("--axis N")
    assert "--axis" not in chosen({"N": X, "D": X[::-1]})[2]


def test_an_axis_that_was_asked_for() -> None:
    assert chosen({"N": X, "D": X[::-1]}, axis="N")[:2] == ("power_floor", ("N",))


@pytest.mark.parametrize(
    "columns", [{"D": X, "U": X}, {"N": X, "C": X}, {"width": X, "depth": X[::-1]}]
)
def test_several_but_not_both_is_a_question(columns: dict[str, Any]) -> None:
    with pytest.raises(LawError, match=r"but not N and D both: .*--axis"):
        chosen(columns, flops="given" if "C" in columns else "6ND")


def test_fit_follows_the_columns_and_says_so() -> None:
    for law in (None, "auto"):
        result = fit({"D": X, "loss": LOSS}, law, draws=0)
        assert result.parameters["alpha"] == pytest.approx(0.35, abs=1e-6)
        assert "taken because D is the only resource" in result.summary()
    named = fit({"D": X, "loss": LOSS}, "power_floor", draws=0)
    assert (named.law_reason, named.to_dict()["law_reason"]) == ("", None)
    assert named.theta.tolist() == result.theta.tolist()


def test_a_law_of_one_resource_asks_which() -> None:
    runs = read_runs({"A": X, "B": X, "loss": LOSS}, columns={"A": "A", "B": "B"})
    with pytest.raises(LawError, match="power needs x; the runs have loss, A, B; say which"):
        fit(runs, "power")
    assert as_law("power", axes=("U", "loss")).axes == ("U",)
