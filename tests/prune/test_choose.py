"""A number of clusters by stability: planted ones are found, and the command goes on with it."""

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError
from isoloss.prune import choose_clusters, fit_kmeans, read_prototype_scores
from isoloss.prune.kmeans_choose import rand_index


def planted(k, rows=3000, dim=24, seed=0):
    rng = np.random.default_rng(seed)
    middle = 4 * rng.standard_normal((k, dim))
    x = middle[rng.integers(k, size=rows)] + 0.6 * rng.standard_normal((rows, dim))
    return x.astype(np.float32)


@pytest.mark.parametrize("k", [4, 12])
@pytest.mark.parametrize("geometry", ["cosine", "euclidean"])
def test_planted_clusters_are_counted(k, geometry):
    found = choose_clusters(planted(k), [2, 4, 8, 12, 24, 48], geometry=geometry)
    assert found.k == k
    at = found.ks.tolist().index(k)
    assert found.agreement[at] > 0.85
    assert found.overlap[at] > 0.55
    assert found.agreement[-1] < 0.8


def test_where_there_are_no_clusters_nothing_is_stable():
    x = np.random.default_rng(3).standard_normal((3000, 24)).astype(np.float32)
    assert choose_clusters(x, [8, 32]).agreement.max() < 0.3


def test_rand_index_by_counting_pairs():
    rng = np.random.default_rng(4)
    a, b = rng.integers(4, size=60), rng.integers(3, size=60)
    b[:30] = a[:30] % 3
    i, j = np.triu_indices(60, 1)
    one, two = a[i] == a[j], b[i] == b[j]
    expected = one.sum() * two.sum() / one.size
    index = ((one & two).sum() - expected) / ((one.sum() + two.sum()) / 2 - expected)
    assert rand_index(a, b) == pytest.approx(index, abs=1e-12)
    assert rand_index(a, (a + 1) % 4) == 1
    assert rand_index(np.zeros(5, dtype=int), np.zeros(5, dtype=int)) == 1


def test_the_same_however_it_is_asked(tmp_path):
    x = planted(8)
    np.save(tmp_path / "x.npy", x)
    found = choose_clusters(x)
    assert found.k == 8
    assert found.to_dict() == choose_clusters(tmp_path / "x.npy").to_dict()
    assert f"k = {found.k}" in found.summary()
    by_name = fit_kmeans(x, "stable")
    assert by_name.centroids.tobytes() == fit_kmeans(x, found.k).centroids.tobytes()
    result = call("prune", "score", tmp_path / "x.npy", "--k", "auto", "--passes", "60",
                  "--out", tmp_path / "out")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "adjusted Rand index" in result.stderr
    assert set(read_prototype_scores(tmp_path / "out").clusters) == set(range(8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": [1]}, "ks = 1"),
        ({"ks": [31]}, "from 2 to 30"),
        ({"ks": []}, "from 2 to 30"),
        ({"keep": 1.0}, "keep = 1.0"),
        ({"geometry": "flat"}, "geometry = 'flat'"),
        ({}, "two clusters need 32"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(InputError, match=message):
        choose_clusters(planted(2, rows=90), **change)
