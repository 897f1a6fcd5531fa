"""Images in folders and arrays of one's own."""

import hashlib
import io
import zipfile

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep import DataSpec, load_data
from isoloss.sweep.data.standard import set_apart

image = pytest.importorskip("PIL.Image")


def write_images(root, names=("cat", "dog", "owl"), each=12, side=8, ending="png"):
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            pixels = rng.integers(256, size=(side, side, 3), dtype=np.uint8)
            image.fromarray(pixels).save(root / name / f"{i}.{ending}")
    return root


def images(root, **fields):
    return load_data(DataSpec(name="images", path=str(root), size=8, **fields))


def pool(data):
    return np.concatenate([data.train_x, data.valid_x, data.test_x])


def test_classes_are_folders_in_the_order_of_their_names(tmp_path):
    data = images(write_images(tmp_path))
    assert (data.features, data.outputs) == ((3, 8, 8), 3)
    labels = np.concatenate([data.train_y, data.valid_y, data.test_y])
    assert np.bincount(labels).tolist() == [12] * 3
    assert [len(data.train_y), len(data.valid_y), len(data.test_y)] == [30, 3, 3]
    # Undo the standardisation: each image is that of its file, with the class of its folder.
    seen = {}
    for c, name in enumerate(("cat", "dog", "owl")):
        for path in (tmp_path / name).iterdir():
            seen[np.asarray(image.open(path)).transpose(2, 0, 1).tobytes()] = c
    order = sorted(
        tmp_path.rglob("*.png"), key=lambda p: hashlib.sha256(p.read_bytes()).hexdigest()
    )
    raw = np.array([np.asarray(image.open(p)).transpose(2, 0, 1) for p in order])
    expected = [seen[r.tobytes()] for r in raw]
    assert data.test_y.tolist() + data.valid_y.tolist() + data.train_y.tolist() == expected
    mean = raw[6:].mean(axis=0)
    deviation = np.sqrt(((raw[6:] - mean) ** 2).mean())
    np.testing.assert_allclose(data.test_x, (raw[:3] - mean) / deviation, rtol=1e-4, atol=1e-5)


def test_names_do_not_change_the_split_and_copies_are_dropped(tmp_path):
    write_images(tmp_path)
    before = images(tmp_path)
    for path in sorted(tmp_path.rglob("*.png")):
        path.rename(path.with_name("z\n\x1b[2J" + path.name))
    first = next((tmp_path / "cat").iterdir())
    (tmp_path / "cat" / "copy.PNG").write_bytes(first.read_bytes())
    after = images(tmp_path)
    assert after.digest == before.digest
    assert after.train_x.tobytes() == before.train_x.tobytes()
    assert "1 exact copies left out" in after.notes


def test_given_sides_are_kept_and_nothing_of_test_is_trained_on(tmp_path):
    write_images(tmp_path / "train")
    test = write_images(tmp_path / "test", each=4)
    # The first images of a class are equal on both sides here: same draws.
    data = images(tmp_path)
    assert len(data.test_y) == 12
    shared = {p.read_bytes() for p in test.rglob("*.png")}
    left = {p.read_bytes() for p in (tmp_path / "train").rglob("*.png")} - shared
    assert len(data.train_y) + len(data.valid_y) == len(left) < 36
    assert any("copies left out" in note for note in data.notes)


def test_grey_and_sizes(tmp_path):
    write_images(tmp_path, ending="jpeg", side=20)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    grey = load_data(DataSpec(name="images", path=str(tmp_path), size=5, channels=1))
    assert grey.features == (1, 5, 5)
    assert load_data(DataSpec(name="images", path=str(tmp_path))).features == (3, 28, 28)


def test_a_file_that_is_no_image_is_named(tmp_path):
    write_images(tmp_path)
    bad = tmp_path / "dog" / "words.png"
    gif = io.BytesIO()
    image.new("L", (8, 8)).save(gif, "gif")
    for content in (b"just text", gif.getvalue(), b"\x89PNG\r\n\x1a\n" + bytes(30)):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=r"words\.png: cannot be read as PNG or JPEG"):
            images(tmp_path)
    whole = (tmp_path / "dog" / "0.png").read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"words\.png"):
        images(tmp_path)
    bad.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        images(tmp_path)


def test_an_image_that_unpacks_without_end_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    image.new("1", (9000, 9000)).save(buffer, "png")
    assert len(buffer.getvalue()) < 100_000
    for name in ("cat", "owl"):
        (tmp_path / name).mkdir()
        for i in range(8):
            # What follows the end of an image is not looked at, and makes the files distinct.
            (tmp_path / name / f"{i}.png").write_bytes(buffer.getvalue() + f"{name}{i}".encode())
    monkeypatch.setattr(image.Image, "convert", None)
    with pytest.raises(InputError, match="9000 x 9000 pixels"):
        images(tmp_path)


def test_wide_pixels_are_refused_and_not_cut_off(tmp_path):
    write_images(tmp_path)
    deep = np.full((8, 8), 40_000, dtype=np.uint16)
    image.fromarray(deep).save(tmp_path / "cat" / "deep.png")
    with pytest.raises(InputError, match=r"deep\.png: pixels of mode I"):
        images(tmp_path)


def test_folders_of_no_use_are_refused(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        images(tmp_path / "absent")
    with pytest.raises(InputError, match="0 folders"):
        images(tmp_path)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    (tmp_path / "cat" / "loop").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InputError, match="no files that end in"):
        images(tmp_path)
    write_images(tmp_path, names=("cat", "dog"), each=1)
    with pytest.raises(InputError, match="no examples are left"):
        images(tmp_path)
    write_images(tmp_path / "more", names=("train", "val"))
    with pytest.raises(InputError, match="which is no class"):
        images(tmp_path / "more")


def test_one_image_of_two_classes_is_refused(tmp_path):
    write_images(tmp_path)
    (tmp_path / "dog" / "x.png").write_bytes((tmp_path / "cat" / "0.png").read_bytes())
    with pytest.raises(InputError, match="of another class"):
        images(tmp_path)


def arrays(path):
    return load_data(DataSpec(name="arrays", path=str(path)))


def save(folder, **parts):
    folder.mkdir(exist_ok=True)
    for name, values in parts.items():
        np.save(folder / f"{name}.npy", values)
    return folder


@pytest.fixture
def xy():
    rng = np.random.default_rng(3)
    return rng.normal(5, 2, size=(50, 4)), rng.integers(3, size=50)


def test_arrays_without_test_lose_rows_of_a_fixed_permutation(tmp_path, xy):
    x, y = xy
    data = arrays(save(tmp_path / "a", train_x=x, train_y=y))
    stay, test = set_apart(50, 5)
    train, valid = set_apart(45, 5)
    assert data.test_y.tolist() == y[test].tolist()
    assert data.valid_y.tolist() == y[stay][valid].tolist()
    assert data.train_y.tolist() == y[stay][train].tolist()
    mean = x[stay][train].mean(axis=0)
    deviation = np.sqrt(((x[stay][train] - mean) ** 2).mean())
    np.testing.assert_allclose(data.test_x, (x[test] - mean) / deviation, rtol=1e-5)


def test_arrays_of_a_folder_and_of_an_archive_are_the_same(tmp_path, xy):
    x, y = xy
    parts = {"train_x": x[:30], "train_y": y[:30], "test_x": x[30:], "test_y": y[30:]}
    np.savez(tmp_path / "plain.npz", **parts)
    np.savez_compressed(tmp_path / "packed.npz", **parts, other=np.zeros(3))
    found = [arrays(save(tmp_path / "a", **parts)), arrays(tmp_path / "plain.npz"),
             arrays(tmp_path / "packed.npz")]  # fmt: skip
    assert len({data.digest for data in found}) == 1
    assert len({data.train_x.tobytes() for data in found}) == 1
    assert found[0].test_y.tolist() == y[30:].tolist()


def test_numbers_and_images_keep_their_shapes(tmp_path, xy):
    x, _ = xy
    data = arrays(save(tmp_path / "a", train_x=x.reshape(50, 2, 2), train_y=x[:, :2]))
    assert (data.kind, data.outputs, data.features) == ("numbers", 2, (1, 2, 2))
    assert data.train_y.dtype == np.float32
    data = arrays(save(tmp_path / "b", train_x=x, train_y=x[:, 0]))
    assert data.train_y.shape == (40, 1)


ONES = np.ones(6, dtype=int)


@pytest.mark.parametrize(
    ("parts", "piece"),
    [
        ({"train_x": np.ones((5, 2))}, "no array train_y"),
        ({"train_x": np.ones((5, 2)), "train_y": np.ones(4)}, "5 inputs and 4 targets"),
        ({"train_x": np.ones(5), "train_y": np.ones(5)}, "give numbers of shape"),
        ({"train_x": np.full((5, 2), np.nan), "train_y": np.ones(5)}, "NaN or infinity"),
        ({"train_x": np.ones((5, 2)), "train_y": np.full(5, np.inf)}, "NaN, infinity"),
        ({"train_x": np.eye(5), "train_y": np.arange(5) - 1}, "must lie in"),
        ({"train_x": np.eye(5), "train_y": np.full(5, 10**6)}, "more than 100000 classes"),
        (
            {"train_x": np.eye(5), "train_y": np.array([0, 1, 2, 3, 2**64 - 1], np.uint64)},
            "more than 100000 classes",
        ),
        ({"train_x": np.eye(5), "train_y": np.array(list("abcde"))}, "give labels"),
        ({"train_x": np.ones((50, 2)), "train_y": np.arange(50) % 2}, "are equal"),
        ({"train_x": np.eye(5), "train_y": np.arange(5), "test_x": np.eye(5)}, "come together"),
        (
            {"train_x": np.eye(5), "train_y": np.arange(5)} | {"test_x": np.eye(6), "test_y": ONES},
            "do not go with train",
        ),
        ({"train_x": np.eye(1), "train_y": np.arange(1)}, "left for it|too few"),
        ({"train_x": np.ones((0, 2)), "train_y": np.ones(0)}, "holds no number"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(tmp_path, parts, piece):
    with pytest.raises(InputError, match=piece):
        arrays(save(tmp_path / "a", **parts))
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(InputError, match=piece):
        arrays(tmp_path / "a.npz")


def npy(head: str, body: bytes = b"") -> bytes:
    text = head.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


HUGE = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 784)}", bytes(64))


def test_pickles_and_headers_that_lie_are_refused(tmp_path, xy):
    _, y = xy
    pickled = np.array([{"a": 1}] * 50, dtype=object)
    folder = save(tmp_path / "a", train_y=y)
    np.save(folder / "train_x.npy", pickled, allow_pickle=True)
    with pytest.raises(InputError, match="pickled"):
        arrays(folder)
    np.savez(tmp_path / "a.npz", train_x=pickled, train_y=y)
    with pytest.raises(InputError, match="pickled"):
        arrays(tmp_path / "a.npz")
    (folder / "train_x.npy").write_bytes(HUGE)
    with pytest.raises(InputError, match="claims shape"):
        arrays(folder)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("train_x.npy", HUGE)
    with pytest.raises(InputError, match="claims shape"):
        arrays(tmp_path / "b.npz")


def test_archives_of_no_use_are_refused(tmp_path, xy):
    x, y = xy
    with pytest.raises(InputError, match="cannot be read"):
        arrays(tmp_path / "absent.npz")
    path = tmp_path / "a.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"no \.npz"):
        arrays(path)
    np.savez_compressed(path, train_x=x, train_y=y)
    whole = path.read_bytes()
    for cut in (whole[:-30], whole[:200] + b"\0" * 50 + whole[250:]):
        path.write_bytes(cut)
        with pytest.raises(InputError, match=r"no \.npz|claims"):
            arrays(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_x.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("train_x.npy", b"")
    with pytest.raises(InputError, match="two of one name"):
        arrays(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_x.npy", b"no array")
    with pytest.raises(InputError, match=r"no \.npz"):
        arrays(path)


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((1000, 1000)))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train_x.npy", buffer.getvalue())
    monkeypatch.setattr("isoloss.sweep.data.arrays.MOST_BYTES", 1_000_000)
    with pytest.raises(InputError, match="unpacks to more"):
        arrays(tmp_path / "a.npz")
