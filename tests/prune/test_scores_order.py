"""The order of ids: that of a plain sort, whatever way it is found in."""

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.prune import scores_order
from isoloss.prune.scores_ids import as_ids
from isoloss.prune.scores_order import canonical_order

N = 3000


def made(kind):
    rng = np.random.default_rng(7)
    shuffled = rng.permutation(N)
    return {
        "rising": np.arange(N) * 5 - 70,
        "dense": shuffled * 3 - 1000,
        "dense-unsigned": shuffled.astype(np.uint64) + np.uint64(2**63),
        "sparse": shuffled * (2**62 // N) - 2**61,
        "all-of-int64": np.concatenate([[2**63 - 1, -(2**63)], shuffled * 7]),
        "unsigned": (shuffled.astype(np.uint64) + np.uint64(1)) * np.uint64(2**63 // N * 2),
        "text": np.array([f"{v}" for v in shuffled]),
        "long-text": np.array([f"images/train/{v % 10:09d}/{v:07d}.jpg" for v in shuffled]),
        "pairs": rng.integers(2**64, size=(N, 2), dtype=np.uint64),
        "near-pairs": np.stack([shuffled // 30, shuffled], axis=1).astype(np.uint64),
        "bytes": np.array([bytes([v % 256, 255, v // 256 + 1]) for v in shuffled]),
        "letters": np.array([b"", b"b", b"a"]),
    }[kind]


KINDS = (
    "rising", "dense", "dense-unsigned", "sparse", "all-of-int64", "unsigned", "text", "long-text",
    "pairs", "near-pairs", "bytes", "letters",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_is_that_of_a_sort(kind):
    ids = as_ids(made(kind))
    order, ordered = canonical_order(ids)
    np.testing.assert_array_equal(ordered, np.sort(ids))
    assert ordered.dtype == ids.dtype
    if order is None:
        assert kind == "rising"
    else:
        np.testing.assert_array_equal(ids[order], ordered)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "letters"])
def test_an_id_that_is_there_twice_is_named(kind):
    ids = as_ids(made(kind)).copy()
    ids[2000] = ids[100]
    name = ids[100].decode("utf8", "backslashreplace") if ids.dtype.kind == "S" else str(ids[100])
    with pytest.raises(InputError, match="1 repeat, such as ") as caught:
        canonical_order(ids)
    assert name in str(caught.value)


def test_dense_ids_are_counted_and_sparse_ones_are_not(monkeypatch):
    called = []
    monkeypatch.setattr(scores_order, "_by_number", lambda key: called.append(1) or key.argsort())
    canonical_order(as_ids(made("dense")))
    assert not called
    canonical_order(as_ids(made("sparse")))
    assert called


def test_texts_become_the_bytes_that_numpy_gives():
    for texts in (
        np.array(["b", "", "abc", "a\x00c"]), np.array(["", ""]), np.array(["é", "abc"]),
        np.array(["ab", "c"], dtype="U9"), np.array(["ab", "c"], dtype=">U2"),
        np.array(["ab", "c", "d", "e"])[::2],
    ):  # fmt: skip
        found, wanted = as_ids(texts), np.char.encode(texts, "utf8")
        assert found.dtype == wanted.dtype
        assert found.tobytes() == wanted.tobytes()
