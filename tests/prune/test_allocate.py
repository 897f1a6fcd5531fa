import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.prune import ByCluster, allocate_clusters, select
from isoloss.prune.select_allocate import spread

GOLDEN = tomllib.loads(
    (Path(__file__).parents[1] / "golden" / "pruning_scores.toml").read_text("utf8")
)


def test_the_anchor():
    known = GOLDEN["dbp_anchor"]
    counts, exact, level = spread(known["wanted"], [1] * 4, known["sizes"], 100)
    np.testing.assert_allclose(exact, known["exact"], rtol=1e-12)
    assert counts.tolist() == known["counts"]
    assert level == pytest.approx(27.5)
    assert np.rint(exact).sum() != 100


@given(st.integers(0, 2**32), st.integers(1, 40), st.floats(0.01, 0.99))
@settings(max_examples=100, deadline=None)
def test_closed_form_obeys_the_conditions_of_the_optimum(seed, k, share):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 100, k)
    total = max(int(share * sizes.sum()), int(np.minimum(1, sizes - 1).sum()), 1)
    found = allocate_clusters(rng.standard_normal(k), sizes, total, temperature=0.5)
    x, low = found.exact, np.minimum(1, sizes - 1)
    assert found.counts.sum() == total
    assert x.sum() == pytest.approx(total, rel=1e-9)
    assert (found.counts >= low).all()
    assert (found.counts <= sizes).all()
    assert np.abs(found.counts - x).max() <= 1 + 1e-5
    # Gradient of the squares is one multiplier inside, not less at the floor, not more at the top.
    gradient = x - found.share * total
    tol = 1e-7 * (1 + total)
    inside = (x > low + tol) & (x < sizes - tol)
    np.testing.assert_allclose(gradient[inside], found.level, atol=tol)
    assert (gradient[(x <= low) & (sizes > low)] >= found.level - tol).all()
    assert (gradient[(x >= sizes) & (sizes > low)] <= found.level + tol).all()


def test_many_clusters_sum_exactly():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 20_000, 50_000)
    total = int(sizes.sum() * 0.3)
    found = allocate_clusters(rng.random(50_000), sizes, total)
    assert found.counts.sum() == total
    assert np.abs(found.counts - found.exact).max() < 1.00001


def test_nan_takes_the_mean_and_ends_are_refused():
    a = allocate_clusters([1.0, np.nan, 3.0], [50, 50, 50], 60).counts
    b = allocate_clusters([1.0, 2.0, 3.0], [50, 50, 50], 60).counts
    np.testing.assert_array_equal(a, b)
    for bad in (
        {"complexity": [np.inf, 1.0]}, {"complexity": [np.nan, np.nan]}, {"sizes": [0, 3]},
        {"sizes": [1.5, 3]}, {"budget": 90}, {"budget": 3, "floor": 5}, {"temperature": 0.0},
        {"floor": -1}, {"complexity": [1.0]},
    ):  # fmt: skip
        with pytest.raises(InputError):
            allocate_clusters(**{"complexity": [1.0, 2.0], "sizes": [20, 30], "budget": 10, **bad})


def test_by_cluster_keeps_the_farthest_of_each_and_floors_of_classes():
    rng = np.random.default_rng(1)
    clusters = np.repeat(["x", "y", "z"], [100, 50, 10])
    scores = rng.random(160)
    complexity = {"x": 0.1, "y": 0.2, "z": 0.4}
    found = select(scores, 60, clusters=clusters, policy=ByCluster(complexity))
    counts = allocate_clusters([0.1, 0.2, 0.4], [100, 50, 10], 60).counts
    assert [v[1] for v in found.clusters.values()] == counts.tolist()
    for name, count in zip("xyz", counts, strict=True):
        inside = np.flatnonzero(clusters == name)
        best = inside[np.argsort(-scores[inside])][:count]
        assert set(best) == set(found.rows[clusters[found.rows] == name])
    labels = np.where(np.arange(160) % 40 == 0, 1, 0)
    held = select(scores, 60, clusters=clusters, labels=labels, class_floor={1: 4},
                  policy=ByCluster(complexity))  # fmt: skip
    assert held.classes[1][1] == 4
    assert len(held) == 60
