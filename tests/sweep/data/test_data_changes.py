import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.prune import select, write_selection
from isoloss.sweep import Data, DataSpec, load_data
from isoloss.sweep.data.changes import GROUPS, changed, groups
from isoloss.sweep.data.selection import read_selection

N = 2500


def toy(kind="classes", n=N):
    rng = np.random.default_rng(0)
    parts = {}
    for part, rows in (("train", n), ("valid", 1100), ("test", 1300)):
        parts[f"{part}_x"] = rng.standard_normal((rows, 6), dtype=np.float32)
        parts[f"{part}_y"] = (
            rng.integers(10, size=rows) if kind == "classes"
            else rng.standard_normal((rows, 2), dtype=np.float32)
        )  # fmt: skip
    return Data(kind=kind, **parts, outputs=10 if kind == "classes" else 2, digest="d" * 64)


def change(data, name="given", **fields):
    return changed(DataSpec(name=name, **fields), data)


def same(a, b, names):
    return all(getattr(a, n).tobytes() == getattr(b, n).tobytes() for n in names)


X = ("train_x", "valid_x", "test_x")
Y = ("train_y", "valid_y", "test_y")


def test_nothing_asked_for_nothing_done():
    data = toy()
    assert change(data) is data
    # A seed alone changes nothing, and so not the digest.
    assert change(data, seed=5) is data


def test_every_change_changes_the_digest_in_its_own_way(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(100))
    np.save(tmp_path / "b.npy", np.arange(101))
    asked = [
        {}, {"superclasses": 2}, {"superclasses": 5}, {"superclasses": 2, "seed": 1},
        {"input_noise": 0.1}, {"input_noise": 0.2}, {"label_noise": 0.1},
        {"input_noise": 0.1, "label_noise": 0.1}, {"selection": str(tmp_path / "a.npy")},
        {"selection": str(tmp_path / "b.npy")},
    ]  # fmt: skip
    data = toy()
    assert len({change(data, **fields).digest for fields in asked}) == len(asked)


def test_the_digest_does_not_know_where_a_selection_lies(tmp_path):
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.arange(100))
    data = toy()
    digests = {change(data, selection=str(tmp_path / f"{n}.npy")).digest for n in "ab"}
    assert len(digests) == 1


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 10**9))
def test_random_groups_are_as_equal_as_they_can_be(classes, k, seed):
    spec = DataSpec(name="given", superclasses=k, seed=seed)
    if k > classes:
        with pytest.raises(InputError, match=f"the data have {classes} classes"):
            groups(spec, classes)
        return
    counts = np.bincount(groups(spec, classes), minlength=k)
    assert counts.size == k
    assert counts.max() - counts.min() <= 1


def test_merged_labels_are_functions_of_the_labels():
    data = toy()
    merged = change(data, superclasses=3, seed=4)
    of = groups(DataSpec(name="given", superclasses=3, seed=4), 10)
    assert merged.outputs == 3
    for name in Y:
        assert (getattr(merged, name) == of[getattr(data, name)]).all()
    assert same(merged, data, X)
    assert any("classes merged" in note for note in merged.notes)
    others = {tuple(groups(DataSpec(name="given", superclasses=3, seed=s), 10)) for s in range(9)}
    assert len(others) > 5


def test_stated_groups_hold_every_class_once():
    for (name, k), stated in GROUPS.items():
        assert len(stated) == k
        assert sorted(c for _, members in stated for c in members) == list(range(10))
        of = groups(DataSpec(name=name, superclasses=k, grouping="stated"), 10)
        assert set(of) == set(range(k))
    with pytest.raises(InputError, match="no groups of mnist1d are stated"):
        groups(DataSpec(name="mnist1d", superclasses=2, grouping="stated"), 10)
    vehicles = groups(DataSpec(name="cifar10", superclasses=2, grouping="stated"), 10)
    assert np.flatnonzero(vehicles == 0).tolist() == [0, 1, 8, 9]


def test_input_noise_is_on_all_parts_independent_and_of_its_size():
    data = toy()
    noisy = change(data, input_noise=0.5, seed=2)
    assert same(noisy, data, Y)
    added = [getattr(noisy, n) - getattr(data, n) for n in X]
    for part in added:
        n = part.size
        assert abs(part.mean(dtype=np.float64)) < 4 * 0.5 / np.sqrt(n)
        assert abs(part.std(dtype=np.float64) - 0.5) < 4 * 0.5 / np.sqrt(2 * n)
    assert abs(np.corrcoef(added[0][:1000].ravel(), added[2][:1000].ravel())[0, 1]) < 4 / 77
    rows = {row.tobytes() for part in added for row in np.round(part, 4)}
    assert len(rows) == sum(map(len, added))


def test_noise_of_an_example_does_not_hang_on_the_others():
    few, many = toy(n=1500), toy(n=1500)
    many = Data(
        kind="classes", train_x=np.concatenate([few.train_x] * 2), outputs=10, digest="e" * 64,
        train_y=np.concatenate([few.train_y] * 2), valid_x=few.valid_x, valid_y=few.valid_y,
        test_x=few.test_x, test_y=few.test_y,
    )  # fmt: skip
    a, b = (change(d, input_noise=0.3, label_noise=0.4) for d in (few, many))
    assert a.train_x.tobytes() == b.train_x[:1500].tobytes()
    assert a.train_y.tobytes() == b.train_y[:1500].tobytes()


def test_label_noise_is_on_training_alone_and_of_its_share():
    data = toy()
    noisy = change(data, label_noise=0.3)
    assert same(noisy, data, (*X, "valid_y", "test_y"))
    wrong = (noisy.train_y != data.train_y).mean()
    share = 0.3 * 0.9
    assert abs(wrong - share) < 4 * np.sqrt(share * (1 - share) / N)
    # A larger share keeps the smaller one's examples among its own.
    more = change(data, label_noise=0.6)
    hit = noisy.train_y != data.train_y
    assert (more.train_y[hit] == noisy.train_y[hit]).all()
    assert (change(data, label_noise=1).train_y == data.train_y).mean() < 0.15


def test_label_noise_on_numbers_is_in_units_of_the_targets():
    data = toy("numbers")
    scaled = Data(
        kind="numbers", train_x=data.train_x, train_y=data.train_y * np.float32([1, 100]),
        valid_x=data.valid_x, valid_y=data.valid_y, test_x=data.test_x, test_y=data.test_y,
        outputs=2, digest="f" * 64,
    )  # fmt: skip
    added = change(scaled, label_noise=2).train_y - scaled.train_y
    for column, unit in enumerate(scaled.train_y.std(axis=0)):
        size = added[:, column].std() / unit
        assert abs(size - 2) < 4 * 2 / np.sqrt(2 * N)
    with pytest.raises(InputError, match="no classes"):
        change(data, superclasses=2)
    with pytest.raises(InputError, match="at most 1"):
        change(toy(), label_noise=2)


def test_noise_on_falling_latents_is_in_units_of_their_root_mean_square():
    fields = {"dimension": 100, "exponent": 1.0, "examples": 1000}
    clean = load_data(DataSpec(name="spectrum", **fields))
    noisy = load_data(DataSpec(name="spectrum", input_noise=1.0, **fields))
    size = (noisy.train_x - clean.train_x).std(dtype=np.float64)
    assert size == pytest.approx(np.sqrt((np.arange(1, 101.0) ** -2).mean()), rel=0.01)


def test_a_selection_takes_rows_after_noise(tmp_path):
    data = toy()
    whole = change(data, input_noise=0.3, label_noise=0.3)
    rows = np.sort(np.random.default_rng(1).permutation(N)[:700])
    path = str(tmp_path / "kept.npy")
    np.save(path, rows)
    part = change(data, input_noise=0.3, label_noise=0.3, selection=path)
    assert part.train_x.tobytes() == whole.train_x[rows].tobytes()
    assert part.train_y.tobytes() == whole.train_y[rows].tobytes()
    assert same(part, whole, ("valid_x", "test_x"))
    assert f"700 of {N} training examples selected" in part.notes


@pytest.fixture(scope="module")
def chosen():
    score = np.random.default_rng(5).random(N)
    return select(score, 600)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", "ids"), ("a.csv", "ids"), ("a.jsonl", "ids"),
        ("a.npy", "dropped"), ("a.csv", "dropped"), ("a.jsonl", "dropped"),
        ("a.npy", "rows"), ("a.csv", "rows"), ("a.jsonl", "rows"),
        ("a.npy", "mask"), ("a.csv", "record"), ("a.jsonl", "record"), ("a", "shards"),
    ],
)  # fmt: skip
def test_every_form_that_prune_writes_is_read(tmp_path, chosen, name, content):
    path = write_selection(chosen, tmp_path / name, content=content, lengths=[1001, 0, N - 1001])
    rows, digest = read_selection(path, N)
    assert rows.tolist() == chosen.rows.tolist()
    np.save(tmp_path / "plain.npy", chosen.rows)
    assert read_selection(tmp_path / "plain.npy", N)[1] == digest
    with pytest.raises(InputError, match=f"was made of {N} examples, and there are 99"):
        read_selection(path, 99)


def test_a_file_other_than_its_record_says_is_refused(tmp_path, chosen):
    path = write_selection(chosen, tmp_path / "a.csv")
    path.write_text(path.read_text() + "2499\n")
    with pytest.raises(InputError, match="is not the file that"):
        read_selection(path, N)


@pytest.mark.parametrize(
    ("name", "content", "piece"),
    [
        ("a.csv", b"id\n3\n2500\n", "there are only rows 0 to 2499"),
        ("a.csv", b"id\n3\n-1\n", "must be a row"),
        ("a.csv", b"id\n3\n3.0\n", "must be a row"),
        ("a.csv", b"id\n3\n3\n", "named twice"),
        ("a.csv", b"id\nimage.png\n", "must be a row"),
        ("a.csv", b"id\n" + b"9" * 400, "must be a row"),
        ("a.csv", b"name\n3\n", "no column id"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"id\n", "no column id"),
        ("a.csv", b"id,kept\n3,maybe\n", "must be true or false"),
        ("a.csv", b"id,kept\n3,false\n", "keeps nothing"),
        ("a.csv", b"\xff\xfe\n", "is no text"),
        ("a.csv", b'id\n"3\n', "is no table"),
        ("a.jsonl", b"{\n", "is no JSON"),
        ("a.jsonl", b"[" * 100_000, "is no JSON"),
        ("a.jsonl", b"[3]\n", "must be an object"),
        ("a.jsonl", b'{"id": [1]}\n', "must be a row"),
        ("a.jsonl", b'{"id": true}\n', "must be a row"),
        ("a.txt", b"3\n", r"must end in \.npy"),
        ("a.npy", b"\x93NUMPY", "version|damaged"),
    ],
)
def test_selections_of_no_use_are_refused(tmp_path, name, content, piece):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=piece):
        read_selection(tmp_path / name, N)


@pytest.mark.parametrize(
    ("values", "piece"),
    [
        (np.array([0.5, 1.0]), "whole numbers"),
        (np.array([-1]), "only rows"),
        (np.array([2**63], np.uint64), "only rows"),
        (np.zeros((2, 2), int), "whole numbers"),
        (np.ones(7, bool), "a mask of"),
        (np.zeros(N, bool), "keeps nothing"),
        (np.array(["3"]), "whole numbers"),
    ],
)
def test_arrays_that_are_no_selection_are_refused(tmp_path, values, piece):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(InputError, match=piece):
        read_selection(tmp_path / "a.npy", N)


def test_an_absent_selection_and_shards_that_lie_are_refused(tmp_path, chosen):
    with pytest.raises(InputError, match="cannot be read"):
        read_selection(tmp_path / "absent.npy", N)
    place = write_selection(chosen, tmp_path / "s", content="shards", lengths=[N])
    manifest = place / "manifest.json"
    whole = manifest.read_text()
    for text, piece in (
        (whole.replace(str(N), "99999"), "has rows"),
        (whole.replace(str(N), str(N - 9)), "no bitmap"),
        (whole.replace('"kept": 600', '"kept": 601'), "not 601"),
        ("[]", "no manifest"),
        ('{"shards": 3}', "no manifest"),
        ('{"shards": []}', "a mask of"),
    ):
        manifest.write_text(text)
        with pytest.raises(InputError, match=piece):
            read_selection(place, N)
