import io
import struct

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.spectra import as_features
from isoloss.spectra.npy import read_npy

GOOD = np.random.default_rng(0).standard_normal((40, 3))


def npy(header: str, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode() + b"\n"
    width = "<H" if version == (1, 0) else "<I"
    return b"\x93NUMPY" + bytes(version) + struct.pack(width, len(text)) + text + body


def head(shape: str, descr: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def write(folder, content, name="x.npy"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(head("(1000000000000, 100)"), bytes(64)), "800000000000000 bytes"),
        (npy(head("(40, 3)"), bytes(40 * 3 * 8 - 1)), "was cut"),
        (npy(head("(40, 3)"), bytes(40 * 3 * 8 + 1)), "damaged"),
        (npy(head("(40, 3)", "'|O'"), bytes(960)), "pickled objects, which could run code"),
        (npy(head("(40, 3)", "'<c16'"), bytes(1920)), "real numbers"),
        (npy(head("(40,)", "[('a', '<f8'), ('b', '<f8')]"), bytes(640)), "real numbers"),
        (npy(head("(40, 3)", "'<M8[s]'"), bytes(960)), "real numbers"),
        (npy(head("(-40, -3)"), bytes(960)), "sizes are zero or more"),
        (npy(head("(0, 3)")), "holds no number"),
        (npy("{'descr': __import__('os').getcwd()}"), "cannot be read"),
        (npy("(" * 5000), "cannot be read"),
        (npy(head("(" + "1" * 9000 + "x)")), "cannot be read"),
        (npy("x" * 20000), "damaged"),
        (npy(head("(40, 3)"), bytes(960), (3, 0)), "version"),
        (npy(head("(40, 3)"))[:9], "damaged"),
        (b"\x93NUMPY\x01", "version"),
        (npy(head("(40,)"), bytes(320)), "give numbers as (rows, columns)"),
        (npy(head("(40, 3)", "'<U1'"), bytes(480)), "give numbers"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_a_hostile_npy_is_refused_with_words(tmp_path, content, said):
    with pytest.raises(InputError) as caught:
        as_features(write(tmp_path, content))
    assert said in str(caught.value)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<f2", "i2", "i1"])
def test_a_good_npy_is_mapped_and_not_read_whole(tmp_path, order, dtype):
    values = np.asarray((GOOD * 20).astype(dtype), order=order)
    path = tmp_path / "x.npy"
    np.save(path, values)
    mapped = read_npy(path)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, values)
    found = as_features(path)
    np.testing.assert_array_equal(found.take([3, 1]), np.asarray(values[[3, 1]], dtype=float))


def test_version_two_headers_are_read(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, GOOD, version=(2, 0))
    assert as_features(write(tmp_path, buffer.getvalue())).n == 40


@pytest.mark.parametrize("separator", [",", ";", "\t", "  "])
@pytest.mark.parametrize("names", ["", "a{0}b{0}c\n"])
def test_a_table_of_numbers_is_read(tmp_path, separator, names):
    rows = "\n".join(separator.join(repr(v) for v in row.tolist()) for row in GOOD)
    path = write(tmp_path, "\ufeff" + names.format(separator) + rows + "\n\n", "x.csv")
    np.testing.assert_array_equal(as_features(path).take(range(40)), GOOD)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n3,x\n", "line 2, column 2: 'x' is no number"),
        ("1,2\n3\n", "line 2: 1 cells where rows before have 2"),
        ("a,b\n", "holds no row"),
        ("", "holds no row"),
        ("a,b\nc,d\n", "line 2"),
        (b"\xff\xfe1,2\n", "is not text"),
        (b"1,2\n\x00\n", "zero byte"),
        (b"PK\x03\x04....", "archive"),
        ("1,2\n3,4\n", "2 usable rows"),
    ],
)
def test_a_bad_table_is_refused_with_words(tmp_path, text, said):
    with pytest.raises(InputError) as caught:
        as_features(write(tmp_path, text, "x.csv"))
    assert said in str(caught.value)


def test_rows_that_are_not_finite_are_refused_by_number():
    x = np.random.default_rng(1).standard_normal((50, 4))
    y = np.arange(50.0)
    x[7, 2], x[11, 0], y[30] = np.nan, np.inf, np.nan
    found = as_features(x, y, kind="numbers")
    assert (found.n, list(found.kept[6:9])) == (47, [6, 8, 9])
    assert "3 of 50 rows refused, not finite: 7, 11, 30 (from 0)" in found.notes
    assert found.targets[:8, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 8]
    np.testing.assert_array_equal(found.take([7]), x[[8]])
    with pytest.raises(InputError, match="no usable row"):
        as_features(np.full((50, 4), np.nan))
    with pytest.raises(InputError, match="20 usable rows of 50"):
        as_features(np.vstack([np.full((30, 3), np.nan), GOOD[:20]]))


def test_columns_that_do_not_vary_are_left_out():
    x = np.column_stack([GOOD[:, 0], np.full(40, 5.0), GOOD[:, 1]])
    found = as_features(x)
    assert (found.p, list(found.used)) == (2, [0, 2])
    assert found.notes == ("1 of 3 columns do not vary and are left out",)
    np.testing.assert_array_equal(found.take([4]), x[[4]][:, [0, 2]])
    with pytest.raises(InputError, match="no column varies"):
        as_features(np.ones((40, 3)))


@pytest.mark.parametrize("factor", [1e200, 1e-200])
def test_sizes_whose_squares_leave_the_range_are_refused(factor):
    with pytest.raises(InputError, match="leave the range of float64"):
        as_features(GOOD * factor)
    with pytest.raises(InputError, match="leave the range of float64"):
        as_features(GOOD, GOOD[:, 0] * factor)


def test_what_labels_are():
    classes = np.arange(40) % 3
    one_hot = np.eye(3)[classes]
    for labels in (classes, classes.astype(float), np.array(["a", "b", "c"])[classes]):
        found = as_features(GOOD, labels)
        np.testing.assert_array_equal(found.targets, one_hot)
        assert len(found.classes) == 3
    assert as_features(GOOD, classes, kind="numbers").targets[:, 0].tolist() == classes.tolist()
    assert as_features(GOOD, one_hot).classes == ()
    np.testing.assert_array_equal(as_features(GOOD, one_hot).targets, one_hot)
    assert as_features(GOOD, GOOD[:, 0]).classes == ()
    # Forty different whole numbers are no classes of forty rows.
    assert as_features(GOOD, np.arange(40)).classes == ()
    assert as_features(GOOD, np.arange(40) > 20).classes == ("False", "True")


@pytest.mark.parametrize(
    ("labels", "kind", "said"),
    [
        (np.zeros(40), "auto", "all the same"),
        (np.zeros(39), "auto", "39 for 40 rows"),
        (np.zeros((40, 2, 2)), "auto", "shape"),
        (np.array(["a", "b"] * 20), "numbers", "not numbers"),
        (np.arange(40.0), "classes", "40 classes"),
        (np.ones((40, 2)), "classes", "one column"),
        (np.arange(40) * 1j, "auto", "numbers or one class"),
        (np.arange(40), "other", "kind"),
    ],
)
def test_labels_that_cannot_be_used(labels, kind, said):
    with pytest.raises(InputError, match=said):
        as_features(GOOD, labels, kind=kind)


def test_labels_are_read_from_files(tmp_path):
    text = write(tmp_path, "class\n" + "cat\ndog\n" * 20, "y.txt")
    assert as_features(GOOD, text).classes == ("cat", "dog")
    numbers = write(tmp_path, "y\n" + "\n".join(map(str, GOOD[:, 0].tolist())), "y.csv")
    np.testing.assert_array_equal(as_features(GOOD, numbers).targets[:, 0], GOOD[:, 0])
    two = write(tmp_path, "\n".join(f"{a},{b}" for a, b in GOOD[:, :2].tolist()), "z.csv")
    np.testing.assert_array_equal(as_features(GOOD, two).targets, GOOD[:, :2])
    path = tmp_path / "y.npy"
    np.save(path, np.arange(40) % 4)
    assert as_features(GOOD, path).targets.shape == (40, 4)
    np.save(path, np.array([{}] * 40, dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="pickled objects"):
        as_features(GOOD, path)
