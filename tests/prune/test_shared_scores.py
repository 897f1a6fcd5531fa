"""Scores that others published, where the shared data folder lies beside the repository."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from isoloss.prune import score_votes, select

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
GOLDEN = tomllib.loads((ROOT / "tests" / "golden" / "pruning_scores.toml").read_text("utf8"))
pytestmark = pytest.mark.skipif(
    not SHARED.exists(), reason="the shared data folder is not beside the repository"
)


@pytest.fixture(scope="module")
def cifar10():
    with np.load(SHARED / "cscores-structural-regularity/cifar10-cscores-orig-order.npz") as file:
        return file["scores"], file["labels"]


def test_every_end_of_c_scores_unbalances_classes_and_a_floor_mends_it(cifar10):
    scores, labels = cifar10
    known = GOLDEN["cscores_cifar10"]
    assert scores.mean() == pytest.approx(known["mean"], abs=1e-8)
    for policy, share, key in (
        ("hard", 0.2, "hardest_fifth_classes"), ("hard", 0.5, "hardest_half_classes"),
        ("easy", 0.2, "easiest_fifth_classes"),
    ):  # fmt: skip
        found = select(-scores, share, policy=policy, labels=labels)
        kept = [k for _, k in found.classes.values()]
        assert [min(kept), max(kept)] == pytest.approx(known[key], abs=1)
        held = select(-scores, share, policy=policy, labels=labels, class_floor=0.5)
        kept = [k for _, k in held.classes.values()]
        assert min(kept) >= share * 50_000 / 10 * 0.5
        assert sum(kept) == share * 50_000


def test_row_order_changes_nothing_in_fifty_thousand(cifar10):
    scores, labels = cifar10
    ids = np.arange(50_000)
    order = np.random.default_rng(0).permutation(50_000)
    for policy in ("hard", "middle", "stratified", "random"):
        how = {"policy": policy, "class_floor": 0.5, "noise_guard": 0.02, "seed": 2}
        one = select(-scores, 0.3, ids=ids, labels=labels, **how)
        other = select(-scores[order], 0.3, ids=ids[order], labels=labels[order], **how)
        assert one.reason.tobytes() == other.reason.tobytes()


def test_entropy_of_human_votes():
    counts = np.load(SHARED / "cifar10h-soft-labels" / "cifar10h-counts.npy")
    known = GOLDEN["cifar10h"]
    assert counts.sum() == known["votes"]
    assert score_votes(counts).values.mean() == pytest.approx(known["mean_entropy"], abs=5e-7)
