"""Ensembles: members, means of some of them, and the comparison of widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from isoloss.errors import InputError
from isoloss.sweep import DataSpec, Mlp, RunSpec, load_data, read_ledger
from isoloss.sweep.ensembles import ensemble, run_ensembles
from isoloss.sweep.train import trained

DATA = DataSpec(name="teacher", dimension=3, teacher_width=8, teacher_depth=1, examples=256)


def specs(**more: object) -> list[RunSpec]:
    base = {
        "data": DATA, "D": 128, "steps": 30, "batch": 16, "lr": 0.01, "loss": "squared",
        "width_rule": "mup", "base_width": 4, "subset": 0,
    }  # fmt: skip
    return [
        RunSpec(**(base | {"model": Mlp(width=w), "seed": s} | more))  # type: ignore[arg-type]
        for w in (4, 8, 16)
        for s in range(4)
    ]


Made = tuple[list[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def made() -> Made:
    return ensemble(specs(), load_data(DATA))


def test_members_are_rows_as_training_alone_gives_them(made: Made) -> None:
    members, _ = made
    alone = trained(specs()[5], load_data(DATA))[1]
    row = next(r for r in members if r["run"] == alone["run"])
    assert row["loss"] == alone["loss"]
    assert len(members) == 12


def test_the_excess_over_the_mean_is_the_variance(made: Made) -> None:
    """Squared loss: mean loss minus loss of the mean of K is (1 - 1/K) of the variance."""
    data = load_data(DATA)
    members, means = made
    for width in (4, 8, 16):
        mine = [r for r in members if r["spec"]["model"]["width"] == width]
        excess = np.mean([r["loss"] for r in mine]) - mine[0]["ensemble_loss"]
        (told,) = [r for r in means if r["spec"]["model"]["width"] == width and r["members"] == 4]
        assert told["loss"] == mine[0]["ensemble_loss"]
        assert excess == pytest.approx(np.mean([r["ensemble_distance"] for r in mine]), rel=1e-5)
        # The comparison sees the first 2,000 test examples alone.
        assert excess == pytest.approx(0.75 * told["variance"], rel=0.15)
        few = type(data)(**{f: getattr(data, f) for f in data.__slots__} | {
            "test_x": data.test_x[:2000], "test_y": data.test_y[:2000]})  # fmt: skip
        outputs = np.stack([
            trained(s, few)[0](_tensor(few.test_x)).detach().numpy()
            for s in specs() if s.model.width == width
        ])  # fmt: skip
        assert told["variance"] == pytest.approx(outputs.var(axis=0, ddof=1).mean(), rel=1e-4)


def _tensor(x: np.ndarray) -> object:
    import torch

    return torch.from_numpy(x)


def test_means_of_more_members_lose_less_and_count_their_groups(made: Made) -> None:
    _, means = made
    mine = sorted(
        (r for r in means if r["spec"]["model"]["width"] == 4), key=lambda r: r["members"]
    )
    assert [(r["members"], r["groups"]) for r in mine] == [(1, 4), (2, 2), (4, 1)]
    losses = [r["loss"] for r in mine]
    # Convex loss: the mean of all is below the mean of pairs, which is below single ones.
    assert losses[0] >= losses[1] >= losses[2]
    assert losses[0] == pytest.approx(mine[0]["mean_loss"], rel=1e-5)
    assert mine[0]["sem"] > 0
    assert mine[2]["sem"] is None


def test_probabilities_are_averaged_under_cross_entropy() -> None:
    data = DataSpec(name="perceptron", dimension=4, examples=256)
    mine = specs(data=data, loss="auto")[:4]
    members, means = ensemble(mine, load_data(data))
    last = means[-1]
    assert last["members"] == 4
    assert 0 < last["loss"] <= np.mean([r["loss"] for r in members])
    assert 0 <= last["error"] <= 1
    assert "variance" not in last


def test_a_family_is_trained_once_and_whole(tmp_path: Path) -> None:
    ledger = tmp_path / "ledgers" / "ledger.jsonl"
    mine = [s for s in specs() if s.model.width < 16]
    told: list[tuple[int, int]] = []
    run_ensembles(mine, ledger, on_family=lambda i, n: told.append((i, n)))
    before = ledger.read_text()
    run_ensembles(mine, ledger)
    assert ledger.read_text() == before
    assert told == [(1, 1)]
    lines = before.splitlines(keepends=True)
    ledger.write_text("".join(lines[:5]))
    run_ensembles(mine, ledger)
    assert {r["run"] for r in read_ledger(ledger)} >= {s.name for s in mine}
    assert sum(r.get("kind") == "family" for r in read_ledger(ledger)) == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: [], "none"),
        (lambda s: s[:2], "three seeds"),
        (lambda s: [*s, s[0]], "each once"),
        (lambda s: [*s[:3], RunSpec(model=Mlp(width=4), data=DATA, D=64, steps=30, batch=16,
                                    lr=0.01, seed=9)], "seed and width alone"),
    ],
)  # fmt: skip
def test_what_is_no_ensemble_is_said(change: object, word: str) -> None:
    with pytest.raises(InputError, match=word):
        ensemble(change(specs()), load_data(DATA))  # type: ignore[operator]


def test_a_member_that_diverges_is_said() -> None:
    with pytest.raises(InputError, match="lower lr"):
        ensemble(specs(lr=1e30, optimiser="sgd", clip=1e30)[:4], load_data(DATA))
