"""Scores of a pool: what they are, that they see the pool alone, what they cost."""

from dataclasses import replace

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.prune import score_el2n, softmax
from isoloss.study.pilot_embeddings import EMBEDDINGS, embed
from isoloss.study.pilot_scores import FIXED, GROUPS, METRICS, Scoring, score_pool
from isoloss.sweep import DataSpec, Mlp, RunSpec, load_data
from isoloss.sweep.recorded import train_recorded
from study.pilots_made import SCORING, blobs

torch = pytest.importorskip("torch")

EVERY = replace(SCORING, neighbours=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load_data(blobs(tmp_path_factory.mktemp("blobs")))


@pytest.fixture(scope="module")
def scored(data):
    rows = np.arange(0, 400, 2)
    return rows, score_pool(data, rows, METRICS, scoring=EVERY, seed=1)


def test_every_metric_scores_the_pool_and_nothing_else(scored):
    rows, found = scored
    assert set(found) == set(METRICS) == {m for group in GROUPS.values() for m in group}
    for name, one in found.items():
        assert one.scores.ids.tolist() == rows.tolist()
        assert one.scores.metric == name
        assert np.isfinite(one.scores.values).all()
        assert one.flops > 0
        assert one.cpu_seconds > 0
    assert set(FIXED) <= set(METRICS)


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_what_lies_outside_the_pool_changes_no_score(data, scored, part):
    rows, found = scored
    x, y = getattr(data, f"{part}_x").copy(), getattr(data, f"{part}_y").copy()
    outside = np.setdiff1d(np.arange(len(x)), rows) if part == "train" else np.arange(len(x))
    x[outside] = 1e6
    y[outside] = (y[outside] + 1) % 3
    other = replace(data, **{f"{part}_x": x, f"{part}_y": y})
    again = score_pool(other, rows, METRICS, scoring=EVERY, seed=1)
    for name in METRICS:
        np.testing.assert_array_equal(again[name].scores.values, found[name].scores.values, name)


def test_labels_of_the_pool_do_change_scores_but_not_those_without_labels(data, scored):
    rows, found = scored
    y = data.train_y.copy()
    y[rows] = (y[rows] + (rows % 4 == 0)) % 3
    again = score_pool(replace(data, train_y=y), rows, METRICS, scoring=EVERY, seed=1)
    for name in METRICS:
        same = np.array_equal(again[name].scores.values, found[name].scores.values)
        assert same == (name in ("prototypes", "density")), name


def test_wrong_labels_are_hard(data):
    rows = np.arange(400)
    y = data.train_y.copy()
    wrong = np.arange(0, 400, 10)
    y[wrong] = (y[wrong] + 1) % 3
    names = ("el2n", "grand", "margin", "aum", "misclassified", "class-means")
    long = replace(SCORING, lr=0.01, epochs=6, subsets=40, subset_epochs=6, width=16)
    found = score_pool(replace(data, train_y=y), rows, names, scoring=long)
    bad = np.zeros(400, dtype=bool)
    bad[wrong] = True
    for name, one in found.items():
        values = one.scores.values
        # A random order would put one over the other half of the time.
        above = (values[bad][:, None] > values[~bad]).mean()
        assert above > 0.6, (name, above)


def test_el2n_is_that_of_networks_trained_by_hand(data):
    rows = np.arange(200)
    found = score_pool(data, rows, ["el2n"], scoring=SCORING, seed=4)["el2n"]
    seeds = np.random.default_rng([4, 31]).integers(1 << 31, size=2).tolist()
    part = replace(data, train_x=data.train_x[rows], train_y=data.train_y[rows])
    specs = [
        RunSpec(model=Mlp(width=8), data=DataSpec(name="given"), D=200, batch=16, passes=3.0,
                lr=SCORING.lr, seed=s)
        for s in seeds
    ]  # fmt: skip
    out = np.empty((2, 200, 3))

    def look(seen):
        for where, logits, _ in seen.blocks():
            out[seen.members, where] = logits

    train_recorded(specs, part, steps=[round(specs[0].updates / 3)], on_look=look)
    p = np.stack([softmax(part) for part in out])
    np.testing.assert_allclose(found.scores.values, score_el2n(p, part.train_y).values, rtol=1e-6)


def test_costs_grow_with_networks_and_are_those_of_each_score_alone(data):
    rows = np.arange(200)
    one = score_pool(data, rows, ["el2n", "forgetting"], scoring=SCORING)
    two = score_pool(data, rows, ["el2n"], scoring=replace(SCORING, networks=4))
    assert two["el2n"].flops == pytest.approx(2 * one["el2n"].flops)
    # One of three passes, and one look in place of three.
    assert one["forgetting"].flops == pytest.approx(3 * one["el2n"].flops)
    alone = score_pool(data, rows, ["el2n"], scoring=SCORING)
    assert alone["el2n"].flops == one["el2n"].flops


def test_a_recorded_network_is_the_one_that_trains_alone(data):
    from isoloss.sweep.train import train

    spec = RunSpec(model=Mlp(width=8), data=DataSpec(name="given"), D=150, batch=16, passes=4.0,
                   lr=0.01, seed=3)  # fmt: skip
    seen = []

    def look(found):
        for rows, logits, hidden in found.blocks():
            assert hidden.shape[2] == 8
            seen.append((rows, logits[0]))

    told = train_recorded([spec], data, steps=[spec.updates], on_look=look)
    wrong = sum((z.argmax(1) != data.train_y[rows]).sum() for rows, z in seen)
    as_test = replace(data, test_x=data.train_x, test_y=data.train_y)
    row = train(spec, as_test)
    assert row["error"] == pytest.approx(wrong / 400, abs=1e-9)
    assert row["flops"] == told.flops
    assert len(told.members[0]) == 150


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_embeddings_are_of_the_rows_and_repeat(kind):
    x = np.random.default_rng(0).standard_normal((90, 1, 10, 10)).astype(np.float32)
    one, two = (embed(x, kind, components=7, seed=2) for _ in range(2))
    assert len(one.rows) == 90
    np.testing.assert_array_equal(one.rows, two.rows)
    assert np.isfinite(one.rows).all()
    if kind != "pixels":
        assert one.rows.shape[1] == 7
        assert one.flops > 0


def test_principal_parts_are_those_of_an_svd():
    x = np.random.default_rng(1).standard_normal((80, 5)) @ np.diag([5, 4, 3, 2, 1])
    made = embed(x, components=3).rows
    left = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0][:, :3] * 80**0.5
    np.testing.assert_allclose(np.abs(made), np.abs(left), atol=1e-4)


def test_convolutions_are_those_of_torch():
    x = np.random.default_rng(3).standard_normal((5, 2, 9, 8)).astype(np.float32)
    filters = np.random.default_rng([0, 41]).standard_normal((72, 64))
    filters = filters - filters.mean(axis=0)
    filters /= np.linalg.norm(filters, axis=0)
    weight = torch.tensor(filters.T.reshape(64, 2, 6, 6), dtype=torch.float32)
    out = torch.nn.functional.conv2d(torch.tensor(x), weight, stride=2).clamp(min=0).numpy()
    from isoloss.study.pilot_embeddings import _convolved

    made, flops = _convolved(x, 0)
    assert out.shape == (5, 64, 2, 2)
    expected = np.concatenate([out[:, :, a, b] for a in (0, 1) for b in (0, 1)], axis=1)
    np.testing.assert_allclose(made, expected, atol=1e-5)
    assert flops == 2 * 5 * 4 * 72 * 64


@pytest.mark.parametrize(
    ("change", "piece"),
    [
        ({"metrics": ["el2m"]}, "did you mean 'el2n'"),
        ({"rows": np.arange(20)}, "two batches"),
    ],
)
def test_pools_of_no_use_are_refused(data, change, piece):
    given = {"rows": np.arange(100), "metrics": ["el2n"]} | change
    with pytest.raises(InputError, match=piece):
        score_pool(data, given["rows"], given["metrics"], scoring=SCORING)


@pytest.mark.parametrize(
    ("change", "piece"),
    [
        ({"networks": 0}, "networks"), ({"early": 11}, "early"), ({"share": 1.0}, "share"),
        ({"embedding": "vit"}, "embedding"), ({"subsets": 2}, "subsets"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(change, piece):
    with pytest.raises(InputError, match=piece):
        Scoring(**change)
