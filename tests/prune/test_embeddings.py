import struct
import tracemalloc

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.prune import check_embeddings, open_embeddings
from isoloss.prune.embeddings_check import check_ids
from prune.prune_made import BLOCK, blobs, shards


def test_rows_come_back_however_they_are_cut(tmp_path):
    x = blobs(500)
    opened = open_embeddings(shards(tmp_path / "a", x, [3, 200, 201]))
    assert (opened.rows, opened.dim, len(opened.parts)) == (500, 12, 4)
    assert np.array_equal(opened.read(1, 450), x[1:450])
    rows = np.array([0, 2, 3, 199, 200, 201, 499])
    assert np.array_equal(opened.take(rows), x[rows])
    piece = opened.cut(100, 300).cut(99, 150)
    assert np.array_equal(piece.read(0, piece.rows), x[199:250])
    assert piece.ids(0, piece.rows).tolist() == list(range(199, 250))
    assert opened.where(200) == "x2.npy row 0"


def test_shards_stand_in_the_order_of_their_names_with_digits_as_numbers(tmp_path):
    x = blobs(30)
    for name, row in (("s10", 2), ("s2", 1), ("s1", 0), ("t", 3)):
        np.save(tmp_path / f"{name}.npy", x[row * 5 : row * 5 + 5])
    given = [tmp_path / f"{n}.npy" for n in ("t", "s2", "s10", "s1")]
    for source in (given, given[::-1], tmp_path, [tmp_path]):
        assert np.array_equal(open_embeddings(source).read(0, 20), x[:20])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i1", "u2"])
def test_any_real_numbers_are_read(tmp_path, dtype):
    x = (10 * blobs(40)).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.asfortranarray(x))
    opened = open_embeddings(tmp_path)
    both = np.concatenate([x, x]).astype("f4")
    assert np.array_equal(opened.read(0, 80).astype("f4"), both)
    assert np.array_equal(opened.take(np.array([0, 39, 40, 79])), both[[0, 39, 40, 79]])
    assert check_embeddings(opened, geometry="euclidean").digest == (
        check_embeddings(open_embeddings(both), geometry="euclidean").digest
    )


def test_a_memory_map_and_an_array_are_read(tmp_path):
    x = blobs(40)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for source in (mapped, x, x.tolist()):
        assert np.array_equal(open_embeddings(source).read(5, 40).astype("f4"), x[5:])


def test_parquet_shards_with_ids(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    x = blobs(100)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(x[:60].ravel()), 12)
    varied = pa.array(x[60:].tolist(), pa.list_(pa.float32()))
    for name, column, ids in (("a", fixed, range(60)), ("b", varied, range(60, 100))):
        table = pa.table({"v": column, "uid": [f"k{i}" for i in ids]})
        parquet.write_table(table, tmp_path / f"{name}.parquet", row_group_size=17)
    opened = open_embeddings(tmp_path, column="v", id_column="uid")
    assert np.array_equal(opened.read(10, 95), x[10:95])
    assert np.array_equal(opened.take(np.array([3, 20, 59, 60, 99])), x[[3, 20, 59, 60, 99]])
    assert opened.ids(58, 62).tolist() == ["k58", "k59", "k60", "k61"]
    assert check_embeddings(opened).rows == 100
    with pytest.raises(InputError, match=r"a\.parquet: has no column 'embedding', but v, uid"):
        open_embeddings(tmp_path)
    ragged = pa.table({"embedding": [[1.0], [2.0, 3.0]]})
    parquet.write_table(ragged, tmp_path / "r.parquet")
    with pytest.raises(InputError, match=r"r\.parquet: lists in 'embedding' differ in length"):
        open_embeddings(tmp_path / "r.parquet")
    parquet.write_table(pa.table({"embedding": [[1.0], None]}), tmp_path / "n.parquet")
    with pytest.raises(InputError, match=r"n\.parquet row 1: column 'embedding' is null"):
        open_embeddings(tmp_path / "n.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:200])
    with pytest.raises(InputError, match=r"cut\.parquet: the Parquet file cannot be read"):
        open_embeddings(tmp_path / "cut.parquet")


def header(path, shape, data=b"", descr="<f4"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (117 - len(text)) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)


def test_hostile_files_are_named_before_anything_is_allocated(tmp_path):
    good = blobs(20)
    np.save(tmp_path / "a.npy", good)
    bad = tmp_path / "b.npy"
    cases = []
    header(bad, "(1000000000000, 12)", bytes(96))
    cases.append((bad.read_bytes(), r"b\.npy: the header claims shape"))
    np.save(bad, good)
    cases.append((bad.read_bytes()[:-7], r"b\.npy: the header claims shape"))
    cases.append((bad.read_bytes() + b"x", r"b\.npy: the header claims shape"))
    cases.append((bad.read_bytes()[:50], r"b\.npy: the header of the \.npy file is damaged"))
    cases.append((b"", r"b\.npy: is not a \.npy file"))
    np.save(bad, good[:, :5])
    cases.append((bad.read_bytes(), r"b\.npy: rows hold 5 numbers, those of a\.npy 12"))
    np.save(bad, good[0])
    cases.append((bad.read_bytes(), r"b\.npy: has shape \(12,\)"))
    np.save(bad, good[:0])
    cases.append((bad.read_bytes(), r"b\.npy: shape \(0, 12\) holds no number"))
    np.save(bad, good > 0)
    cases.append((bad.read_bytes(), r"b\.npy: holds bool"))
    np.save(bad, np.array([[{}]], dtype=object), allow_pickle=True)
    cases.append((bad.read_bytes(), r"b\.npy: holds pickled objects"))
    tracemalloc.start()
    for content, message in cases:
        bad.write_bytes(content)
        with pytest.raises(InputError, match=message):
            open_embeddings(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"x1\.npy row 17: column 3 is nan, not a finite number"),
        (-np.inf, r"x1\.npy row 17: column 3 is -inf, not a finite number"),
        (1e300, r"x1\.npy row 17: column 3 is 1e\+300, larger than float32 holds"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, value, message):
    x = blobs(100).astype(float)
    x[57, 3] = value
    with pytest.raises(InputError, match=message):
        check_embeddings(open_embeddings(shards(tmp_path / "a", x, [40])), block=BLOCK)


def test_zero_rows_have_no_direction_and_tiny_ones_do():
    x = blobs(100)
    x[60] = 0
    with pytest.raises(InputError, match="array row 60: is zero and has no direction"):
        check_embeddings(open_embeddings(x))
    assert check_embeddings(open_embeddings(x), geometry="euclidean").shortest == 0
    x[60, 0] = 1e-30
    assert check_embeddings(open_embeddings(x)).shortest == pytest.approx(1e-30)


def test_ids_of_three_kinds_from_a_file_beside_a_folder_or_an_array(tmp_path):
    x = blobs(90)
    rng = np.random.default_rng(0)
    pairs = rng.integers(2**63, size=(90, 2)).astype("u8")
    for i, ids in enumerate([rng.permutation(90), np.array([f"é{j}" for j in range(90)]), pairs]):
        folder = tmp_path / str(i)
        shards(folder, x, [50], ids=ids)
        opened = open_embeddings(folder)
        assert np.array_equal(opened.ids(40, 60), ids[40:60])
        check_embeddings(opened)
        assert np.array_equal(open_embeddings(x, ids=ids).cut(40, 60).ids(0, 20), ids[40:60])
    other = tmp_path / "ids"
    other.mkdir()
    for i in range(2):
        np.save(other / f"x{i}.npy", pairs[50 * i : 50 * i + 50].view("u8,u8")[:, 0])
    assert np.array_equal(open_embeddings(tmp_path / "1", ids=other).ids(0, 90), pairs)
    content = (other / "x1.npy").read_bytes()
    (other / "x1.npy").write_bytes(content[:-3])
    with pytest.raises(InputError, match=r"x1\.npy: the header claims 40 ids of 16 bytes"):
        open_embeddings(tmp_path / "1", ids=other)


def test_missing_and_broken_ids_are_named(tmp_path):
    x = blobs(90)
    shards(tmp_path / "a", x, [50], ids=np.arange(90))
    (tmp_path / "a" / "x1.ids.npy").unlink()
    with pytest.raises(InputError, match=r"x1\.npy: has no ids, and x0\.ids\.npy does"):
        open_embeddings(tmp_path / "a")
    np.save(tmp_path / "a" / "x1.ids.npy", np.arange(39))
    with pytest.raises(InputError, match=r"x1\.ids\.npy: holds 39 ids, and x1\.npy 40 rows"):
        open_embeddings(tmp_path / "a")
    np.save(tmp_path / "a" / "x1.ids.npy", np.array([f"{i}" for i in range(40)]))
    with pytest.raises(InputError, match=r"x1\.ids\.npy: ids are text"):
        open_embeddings(tmp_path / "a")
    with pytest.raises(InputError, match=r"ids have shape \(90,\) of float64"):
        open_embeddings(x, ids=np.arange(90.0))
    with pytest.raises(InputError, match="there are 90 rows"):
        open_embeddings(x, ids=np.arange(91))


@pytest.mark.parametrize("kind", ["whole", "text", "bytes", "pairs"])
@pytest.mark.parametrize("memory", [1 << 28, 4000])
def test_an_id_given_twice_is_found_whatever_the_memory(kind, memory):
    rng = np.random.default_rng(1)
    ids = rng.permutation(2000) - 1000
    ids[1700] = ids[12]
    made = {
        "whole": ids,
        "text": np.array([f"row {i}" for i in ids]),
        "bytes": np.array([f"row {i}".encode() for i in ids]),
        "pairs": np.stack([np.full(2000, 7), ids + 1000], axis=1).astype("u8"),
    }[kind]
    opened = open_embeddings(np.ones((2000, 1)), ids=made)
    with pytest.raises(InputError, match=r"array row 1700: has the id .* of array row 12"):
        check_ids(opened, block=100, memory=memory)
    good = np.delete(np.arange(2000), 1700)
    check_ids(open_embeddings(np.ones((1999, 1)), ids=made[good]), block=100, memory=memory)


def test_an_id_given_twice_in_a_row_is_found():
    ids = np.arange(500)
    ids[300] = 299
    with pytest.raises(InputError, match="array row 300: has the id 299 of array row 299"):
        check_ids(open_embeddings(np.ones((500, 1)), ids=ids), block=100)
    ids = np.arange(500)
    ids[310:] -= 1
    with pytest.raises(InputError, match="array row 310: has the id 309 of array row 309"):
        check_ids(open_embeddings(np.ones((500, 1)), ids=ids), block=100)


def test_the_digest_is_that_of_rows_and_ids_not_of_their_cuts(tmp_path):
    x = blobs(700)
    ids = np.array([f"{i}" for i in range(700)])
    whole = check_embeddings(open_embeddings(x, ids=ids), block=BLOCK)
    for i, cuts in enumerate(([5], [5, 600], [512])):
        opened = open_embeddings(shards(tmp_path / f"{i}", x, cuts, ids=ids))
        found = check_embeddings(opened, block=BLOCK)
        assert found.digest == whole.digest
        assert found.mean.tobytes() == whole.mean.tobytes()
    text = np.array([f"{i}".encode() for i in range(700)])
    digests = {
        check_embeddings(open_embeddings(rows, ids=held), block=BLOCK).digest
        for rows, held in ((x, text), (x, text.astype("S9")))
    }
    assert len(digests) == 1
    other = x.copy()
    other[699, 11] += 1e-6
    assert check_embeddings(open_embeddings(other, ids=ids), block=BLOCK).digest != whole.digest
    assert check_embeddings(open_embeddings(x), block=BLOCK).digest != whole.digest


@pytest.mark.parametrize("source", [[], 3, [[1, 2], [3]], "nowhere", [[["a"]]], {}])
def test_what_is_no_table_of_numbers_is_refused(source):
    with pytest.raises(InputError):
        open_embeddings(source)


def test_a_shard_given_twice_is_refused(tmp_path):
    paths = shards(tmp_path / "a", blobs(20), [])
    with pytest.raises(InputError, match="is given twice"):
        open_embeddings([paths[0], tmp_path / "a"])
