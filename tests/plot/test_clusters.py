import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plot.clusters import cluster_series, draw_clusters
from isoloss.plot.save import svg_bytes
from isoloss.prune import (
    fit_kmeans,
    read_clusters,
    score_prototypes,
    tabulate_clusters,
    write_prototype_scores,
)

RNG = np.random.default_rng(0)
MIDDLE = RNG.standard_normal((6, 5))
OF = RNG.integers(5, size=300)
FAR = RNG.random(300)


def test_the_table_is_what_a_loop_counts():
    kept = FAR > 0.5
    found = tabulate_clusters(MIDDLE, OF, FAR, kept=kept)
    for i in range(5):
        mine = np.equal(OF, i)
        assert found.counts[i] == mine.sum()
        assert found.distance[i] == pytest.approx(FAR[mine].mean())
        assert found.kept[i] == pytest.approx(kept[mine].mean())
        others = [np.linalg.norm(MIDDLE[i] - MIDDLE[j]) for j in range(6) if j != i]
        assert found.apart[i] == pytest.approx(min(others))
    assert found.counts[5] == 0
    assert np.isnan(found.distance[5])
    assert np.isnan(found.kept[5])


def test_places_are_principal_axes_whatever_the_rotation():
    turned = np.linalg.qr(RNG.standard_normal((5, 5)))[0]
    a = cluster_series(tabulate_clusters(MIDDLE, OF, FAR))
    b = cluster_series(tabulate_clusters(MIDDLE @ turned, OF, FAR))
    for axis in ("x", "y"):
        assert np.allclose(np.abs(a[axis]), np.abs(b[axis]))
    away = MIDDLE - MIDDLE.mean(axis=0)
    sizes = np.linalg.eigvalsh(away.T @ away)[::-1]
    assert np.allclose(a["explained"], sizes[:2] / sizes.sum())
    assert np.isclose((a["x"] ** 2).sum(), sizes[0])


def test_the_largest_and_the_oddest_are_named():
    middle = [[0.0, 0], [1.0, 0], [0.0, 1], [30.0, 0], [1.0, 1], [0.5, 2]]
    of = np.repeat(np.arange(6), [50, 5, 4, 1, 3, 2])
    series = cluster_series(tabulate_clusters(middle, of, np.ones(65)))
    assert series["largest"][:2] == [0, 1]
    assert series["oddest"][0] == 3


def test_dots_have_places_areas_and_colours_of_the_series():
    kept = np.zeros(300, bool)
    table = tabulate_clusters(MIDDLE, OF, FAR, kept=kept)
    ax = draw_clusters(table)
    dots = ax.collections[0]
    order = np.argsort(-table.counts, kind="stable")[:5]
    series = cluster_series(table)
    assert series["colour"] == "kept"
    assert np.allclose(dots.get_offsets(), np.c_[series["x"], series["y"]][order])
    assert np.allclose(dots.get_sizes() / dots.get_sizes()[0],
                       table.counts[order] / table.counts.max())  # fmt: skip
    assert (np.asarray(dots.get_array()) == 0).all()
    assert dots.get_clim() == (0, 1)
    assert svg_bytes(ax) == svg_bytes(draw_clusters(table))
    by_distance = draw_clusters(table, colour="complexity").collections[0]
    assert np.allclose(by_distance.get_array(), (table.apart * table.distance)[order])


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("dim", [1, 3])
def test_one_cluster_or_one_dimension(k, dim):
    middle = np.arange(k * dim, dtype=float).reshape(k, dim)
    table = tabulate_clusters(middle, np.arange(4) % k, np.ones(4))
    series = cluster_series(table)
    assert np.allclose(series["y"], 0)
    assert svg_bytes(draw_clusters(table))


def test_hostile_names_are_text():
    names = ["<script>", "$\\frac{", "\x1b\u202e", "n" * 500, "é", "中"]
    ax = draw_clusters(tabulate_clusters(MIDDLE, OF, FAR, names=names))
    page = svg_bytes(ax)
    assert b"<script" not in page
    assert b"\x1b" not in page


def test_a_folder_gives_the_same_as_its_parts(tmp_path):
    rows = RNG.standard_normal((120, 4)).astype(np.float32)
    clusters = fit_kmeans(rows, 5)
    write_prototype_scores(rows, clusters, tmp_path / "s")
    found = read_clusters(tmp_path / "s")
    parts = score_prototypes(rows, clusters)
    again = tabulate_clusters(clusters.centroids, parts.clusters, parts.scores)
    assert np.array_equal(found.counts, again.counts)
    assert np.allclose(found.distance, again.distance)
    assert np.array_equal(found.centroids, np.asarray(clusters.centroids, dtype=float))
    damaged = (tmp_path / "s" / "centroids.npy").read_bytes()
    (tmp_path / "s" / "centroids.npy").write_bytes(damaged[:-1] + b"\x01")
    with pytest.raises(InputError, match="damaged"):
        read_clusters(tmp_path / "s")
    (tmp_path / "s" / "centroids.npy").unlink()
    with pytest.raises(InputError, match=r"centroids\.npy"):
        read_clusters(tmp_path / "s")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (([1.0, 2.0], OF, FAR), "k x dim"),
        (([[np.nan]], [0], [1.0]), "finite"),
        ((MIDDLE, OF + 2, FAR), "for 6 centroids"),
        ((MIDDLE, OF - 1, FAR), "for 6 centroids"),
        ((MIDDLE, OF, FAR[:-1]), "for each row"),
        ((MIDDLE, OF, FAR * np.inf), "finite"),
    ],
)
def test_mistakes_are_told(parts, said):
    with pytest.raises(InputError, match=said):
        tabulate_clusters(*parts)
    with pytest.raises(InputError, match="a selection"):
        cluster_series(tabulate_clusters(MIDDLE, OF, FAR), colour="kept")
    with pytest.raises(InputError, match="write one of"):
        cluster_series(tabulate_clusters(MIDDLE, OF, FAR), colour="red")
