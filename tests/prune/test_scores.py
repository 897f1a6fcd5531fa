import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.prune import (
    Scores,
    margin,
    score_aum,
    score_disagreement,
    score_el2n,
    score_forgetting,
    score_grand,
    score_influence,
    score_margin,
    score_memorization,
    score_misclassified,
    score_votes,
    scores_checks,
    softmax,
)


def outputs(seed=0, runs=3, n=40, classes=5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((runs, n, classes)) * 3, rng.integers(classes, size=n)


def test_el2n_is_the_length_of_the_error_and_a_mean_over_runs():
    z, y = outputs()
    p = softmax(z)
    each = np.linalg.norm(p - np.eye(5)[y], axis=2)
    found = score_el2n(p, y)
    np.testing.assert_allclose(found.values, each.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(
        found.columns["se"], each.std(axis=0, ddof=1) / np.sqrt(3), rtol=1e-6
    )
    assert found.direction == "high is hard"
    assert score_el2n(p[0], y).columns == {}


def test_el2n_ends_and_two_classes():
    certain = np.eye(3)[[0, 1, 2]]
    np.testing.assert_array_equal(score_el2n(certain, [0, 1, 2]).values, 0)
    np.testing.assert_allclose(score_el2n(certain, [1, 2, 0]).values, np.sqrt(2), rtol=1e-15)
    p = np.linspace(0, 1, 11)
    two = score_el2n(np.stack([p, 1 - p], axis=1), np.zeros(11))
    np.testing.assert_allclose(two.values, np.sqrt(2) * (1 - p), rtol=1e-12, atol=1e-15)


def test_blocks_do_not_show(monkeypatch):
    z, y = outputs()
    whole = score_el2n(softmax(z), y).values, margin(z, y)
    monkeypatch.setattr(scores_checks, "BLOCK", 35)
    np.testing.assert_array_equal(score_el2n(softmax(z), y).values, whole[0])
    np.testing.assert_array_equal(margin(z, y), whole[1])


@pytest.mark.parametrize("bias", [True, False])
def test_grand_is_the_gradient_of_the_last_layer(bias):
    rng = np.random.default_rng(1)
    n, width, classes = 12, 7, 4
    h, w = rng.standard_normal((n, width)), rng.standard_normal((width, classes))
    b = rng.standard_normal(classes) * bias
    y = rng.integers(classes, size=n)

    def loss(w, b, i):
        z = h[i] @ w + b
        return np.log(np.exp(z).sum()) - z[y[i]]

    # Complex steps would do; the loss is smooth and central differences reach 1e-8.
    step = 1e-5
    length = np.zeros(n)
    for i in range(n):
        squares = 0.0
        for place in np.ndindex(width, classes):
            d = np.zeros_like(w)
            d[place] = step
            squares += ((loss(w + d, b, i) - loss(w - d, b, i)) / (2 * step)) ** 2
        for k in range(classes if bias else 0):
            d = np.eye(classes)[k] * step
            squares += ((loss(w, b + d, i) - loss(w, b - d, i)) / (2 * step)) ** 2
        length[i] = np.sqrt(squares)
    p = softmax(h @ w + b)
    found = score_grand(p, y, hidden=h, bias=bias).values
    np.testing.assert_allclose(found, length, rtol=1e-7)
    by_length = score_grand(p, y, hidden=np.linalg.norm(h, axis=1)[:, None], bias=bias).values
    np.testing.assert_allclose(by_length, found, rtol=1e-13)
    el2n = score_el2n(p, y).values
    np.testing.assert_allclose(found, el2n * np.sqrt(bias + (h**2).sum(axis=1)), rtol=1e-13)


def test_logits_given_as_probabilities_are_refused():
    z, y = outputs()
    with pytest.raises(InputError, match=r"example \d+: sum to .*softmax"):
        score_el2n(z, y)
    with pytest.raises(InputError, match="softmax"):
        score_margin(z, y, of="probabilities")


def reference_forgetting(correct):
    """Count in plain Python, as the definition reads."""
    times, n = correct.shape
    events = [sum(correct[t, i] and not correct[t + 1, i] for t in range(times - 1))
              for i in range(n)]  # fmt: skip
    return np.array(events, dtype=float), ~correct.any(axis=0)


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_forgetting_counts_and_knows_what_was_never_learned(seed, times, n):
    correct = np.random.default_rng(seed).random((times, n)) < 0.4
    events, never = reference_forgetting(correct)
    for rule, value in (("presentations", times), ("inf", np.inf), ("zero", 0)):
        found = score_forgetting(correct, never_learned=rule)
        np.testing.assert_array_equal(found.values, np.where(never, value, events))
        np.testing.assert_array_equal(found.columns["never_learned"], never)
        np.testing.assert_array_equal(found.columns["events"], events)


def test_never_learned_ranks_above_every_count_unless_asked_otherwise():
    correct = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1], [1, 0, 1]])
    assert score_forgetting(correct).values.argmax() == 1
    assert score_forgetting(correct, never_learned="zero").values.argmax() == 0


def test_forgetting_counts_own_presentations_only():
    # Right, not shown, wrong: one event. Not shown, then wrong: none.
    correct = np.array([[1, 1], [0, 0], [0, 0]])
    shown = np.array([[1, 0], [0, 1], [1, 1]])
    found = score_forgetting(correct, presented=shown)
    assert found.columns["events"].tolist() == [1, 0]
    assert found.columns["presentations"].tolist() == [2, 2]
    assert found.columns["never_learned"].tolist() == [False, True]
    with pytest.raises(InputError, match="never looked at"):
        score_forgetting(correct, presented=np.array([[1, 0], [1, 0], [1, 0]]))


def test_margins_and_their_area():
    z, y = outputs(runs=6)
    own = z[:, np.arange(40), y]
    others = np.where(np.eye(5, dtype=bool)[y], -np.inf, z).max(axis=2)
    np.testing.assert_allclose(margin(z, y), own - others, rtol=1e-13)
    np.testing.assert_allclose(margin(z[2], y), (own - others)[2], rtol=1e-13)
    aum = score_aum(margin(z, y), of="logits")
    np.testing.assert_allclose(aum.values, -(own - others).mean(axis=0), rtol=1e-12)
    total = score_aum(margin(softmax(z), y), of="probabilities", reduce="sum")
    assert (np.abs(total.values) <= 6).all()
    assert "probabilities" in total.definition
    assert "logits" in aum.definition
    np.testing.assert_allclose(score_margin(z, y, of="logits").values, aum.values, rtol=1e-12)
    # Above zero is misclassified.
    wrong = z[0].argmax(axis=1) != y
    np.testing.assert_array_equal(score_margin(z[0], y, of="logits").values > 0, wrong)


def test_memorization_of_a_known_model_lies_within_its_errors():
    rng = np.random.default_rng(5)
    runs, n = 2000, 60
    outside = rng.uniform(0.05, 0.9, n)
    gain = rng.uniform(0, 1, n) * (1 - outside)
    masks = rng.random((runs, n)) < 0.7
    correct = rng.random((runs, n)) < outside + gain * masks
    found = score_memorization(masks, correct)
    z = (found.values - gain) / found.columns["se"]
    assert np.abs(z).max() < 4
    assert 0.7 < z.std() < 1.3
    direct = [correct[masks[:, i], i].mean() - correct[~masks[:, i], i].mean() for i in range(n)]
    np.testing.assert_allclose(found.values, direct, rtol=1e-12)
    np.testing.assert_array_equal(found.columns["inside"], masks.sum(axis=0))
    np.testing.assert_array_equal(found.columns["outside"], (~masks).sum(axis=0))


def test_a_share_of_one_in_few_runs_is_not_certain():
    found = score_memorization([[1], [1], [0], [0]], [[1], [1], [0], [0]])
    assert found.values[0] == 1
    assert found.columns["se"][0] == pytest.approx(np.sqrt(2 * (3 / 4) * (1 / 4) / 2))


def test_influence_is_the_largest_gain_in_any_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    runs, n, tests = 60, 15, 22
    masks, right = rng.random((runs, n)) < 0.6, rng.random((runs, tests)) < 0.5
    pairs = np.array([[right[masks[:, i], j].mean() - right[~masks[:, i], j].mean()
                       for j in range(tests)] for i in range(n)])  # fmt: skip
    for block in (1 << 21, 64):
        monkeypatch.setattr("isoloss.prune.scores_subsets.BLOCK", block)
        found = score_influence(masks, right)
        np.testing.assert_allclose(found.values, pairs.max(axis=1), atol=1e-12)
        np.testing.assert_array_equal(found.columns["test"], pairs.argmax(axis=1))
        total = score_influence(masks, right, reduce="sum-abs").values
        np.testing.assert_allclose(total, np.abs(pairs).sum(axis=1), rtol=1e-12)
    # With itself as the test set the pair of an example is its memorization.
    own = rng.random((runs, n)) < 0.5
    one = score_influence(masks, own[:, [3]])
    assert one.values[3] == pytest.approx(score_memorization(masks, own).values[3], abs=1e-12)
    assert one.columns["se"][3] == score_memorization(masks, own).columns["se"][3]


def test_an_example_of_all_subsets_has_no_estimate():
    with pytest.raises(InputError, match="example 1 is in 3 of 3 subsets"):
        score_memorization([[1, 1], [0, 1], [1, 1]], np.zeros((3, 2)))
    with pytest.raises(InputError, match="example 0 is in 0 of 2"):
        score_influence([[0, 1], [0, 0]], np.zeros((2, 4)))


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_votes_of_models_and_of_people_are_one_measure(seed, models, n):
    votes = np.random.default_rng(seed).integers(4, size=(models, n))
    counts = np.stack([(votes == k).sum(axis=0) for k in range(4)], axis=1)
    for measure in ("entropy", "minority"):
        a, b = score_disagreement(votes, measure=measure), score_votes(counts, measure=measure)
        np.testing.assert_allclose(a.values, b.values, atol=1e-12)
    assert (score_disagreement(votes).values >= 0).all()


def test_misclassified_counts_models():
    votes = np.array([[0, 1, 2], [0, 2, 2], [1, 2, 2]])
    assert score_misclassified(votes, [0, 1, 2]).values.tolist() == [1, 2, 0]


BAD = {
    "labels beyond the classes": lambda: score_el2n([[0.5, 0.5]], [2]),
    "labels between": lambda: score_el2n([[0.5, 0.5]], [0.5]),
    "one class": lambda: score_el2n([[1.0]], [0]),
    "not finite": lambda: margin([[np.nan, 1.0]], [0]),
    "texts": lambda: margin([["a", "b"]], [0]),
    "objects": lambda: score_votes(np.array([[{}]], dtype=object)),
    "no votes": lambda: score_votes([[0, 0]]),
    "hidden of another number": lambda: score_grand([[0.5, 0.5]], [0], hidden=np.ones((2, 3))),
    "hidden not finite": lambda: score_grand([[0.5, 0.5]], [0], hidden=[[np.inf]]),
    "not yes or no": lambda: score_forgetting([[2, 0]]),
    "unknown rule": lambda: score_forgetting([[1]], never_learned="none"),
    "areas not finite": lambda: score_aum([[np.nan]], of="logits"),
    "of neither": lambda: score_aum([[1.0]], of="odds"),
    "runs differ": lambda: score_memorization([[1, 0]], [[1, 0], [1, 0]]),
    "empty": lambda: score_disagreement(np.empty((0, 3), dtype=int)),
    "columns differ": lambda: Scores(metric="", definition="", source="", values=[1.0],
                                     columns={"se": np.ones(2)}),
    "ids differ": lambda: Scores(metric="", definition="", source="", values=[1.0], ids=[1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_in_words(kind):
    with pytest.raises(InputError):
        BAD[kind]()


def test_results_cannot_be_written_to_and_say_what_they_are():
    z, y = outputs()
    found = score_el2n(softmax(z), y)
    with pytest.raises(ValueError, match="read-only"):
        found.values[0] = 1
    told = found.to_dict()
    assert told["direction"] == "high is hard"
    assert told["source"] == "arXiv:2107.07075"
    assert told["rows"] == 40
    named = found.with_ids([f"x{i}" for i in range(40)])
    assert named.to_columns()["id"][3] == "x3"
    assert set(named.to_columns()) == {"id", "score", "label", "se"}
