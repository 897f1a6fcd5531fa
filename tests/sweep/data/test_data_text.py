import hashlib
import os
import platform

import pytest

from isoloss.errors import InputError
from isoloss.sweep import DataSpec, load_data
from isoloss.sweep.data.text import stdlib_files


def content(i: int) -> bytes:
    return f"text {i}\n".encode() * (20 + i)


@pytest.fixture
def folder(tmp_path):
    for i in range(60):
        path = tmp_path / f"p{i % 7}" / f"f{i}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content(i))
    return tmp_path


def text(path, **fields):
    return load_data(DataSpec(name="text", path=str(path), **fields))


def joined(data):
    return [getattr(data, f"{part}_x").tobytes() for part in ("train", "valid", "test")]


@pytest.fixture(scope="module")
def stdlib():
    return load_data(DataSpec(name="stdlib"))


def test_the_library_is_split_by_whole_files(stdlib):
    files = {key: content for key, (_, content) in stdlib_files().items()}
    for x, wanted in (
        (stdlib.train_x, range(7, 97)),
        (stdlib.valid_x, range(97, 100)),
        (stdlib.test_x, range(7)),
    ):
        mine = [files[key] for key in sorted(files) if int(key[:8], 16) % 100 in wanted]
        assert x.tobytes() == b"\n".join(mine)
    assert (stdlib.kind, stdlib.outputs, stdlib.features) == ("text", 256, ())
    assert repr(stdlib).startswith("Data(text, ")


@pytest.mark.skipif(platform.python_version() != "3.11.7", reason="the library of one release")
def test_the_library_of_one_release_has_the_digest_in_the_documents(stdlib):
    assert stdlib.digest[:16] == "be2be99ef5875837"


def test_whole_files_go_to_one_side_by_the_rank_of_their_hash(folder):
    files = sorted(map(content, range(60)), key=lambda c: hashlib.sha256(c).hexdigest())
    train, valid, test = joined(text(folder))
    assert test == b"\n".join(files[:4])
    assert valid == b"\n".join(files[4:5])
    assert train == b"\n".join(files[5:])


def test_copies_links_hidden_and_binary_files_are_left_out(folder, tmp_path_factory):
    before = text(folder)
    (folder / "z_copy.txt").write_bytes(content(3))
    (folder / "empty.txt").write_bytes(b"")
    (folder / ".hidden").write_bytes(b"hidden")
    (folder / "binary.bin").write_bytes(b"a\0b" * 100)
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    secret.write_bytes(b"secret" * 100)
    (folder / "link.txt").symlink_to(secret)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self").symlink_to(folder / "self")
    os.mkfifo(folder / "pipe.txt")
    after = text(folder)
    assert joined(after) == joined(before)
    assert after.digest == before.digest
    assert "1 exact copies left out" in after.notes
    assert "1 files that are no text left out" in after.notes


def test_endings_choose(folder):
    (folder / "a.PY").write_bytes(b"a = 1")
    (folder / "b.md").write_bytes(b"# b")
    (folder / ".c.py").write_bytes(b"c = 1")
    found = b"\n".join(joined(text(folder, endings=".py .md")))
    assert sorted(found.split(b"\n")) == [b"# b", b"a = 1", b"c = 1"]
    with pytest.raises(InputError, match=r"no texts found that end in \.rs"):
        text(folder, endings=".rs")


def test_the_digest_follows_what_is_read(folder):
    before = text(folder).digest
    (folder / "p0" / "f0.txt").write_bytes(content(0) + b"#")
    assert text(folder).digest != before


def test_one_file_is_split_by_position(tmp_path):
    path = tmp_path / "book.txt"
    path.write_bytes(bytes(range(200)) * 10)
    data = text(path)
    assert b"".join(joined(data)) == path.read_bytes()
    assert [len(part) for part in joined(data)] == [1800, 100, 100]
    path.write_bytes(b"short")
    with pytest.raises(InputError, match="too little text"):
        text(path)


def test_names_that_a_terminal_obeys_and_names_of_no_encoding_are_read(folder):
    before = text(folder)
    for name in (b"new\nline.txt", b"\x1b[2J.txt", b"\xff\xfe.txt"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:  # noqa: PTH118, PTH123
            file.write(name)
    assert text(folder).digest != before.digest


def test_folders_without_text_are_refused(tmp_path):
    with pytest.raises(InputError, match="no texts found"):
        text(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        text(tmp_path / "absent\x1b[2J")
    (tmp_path / "a.txt").write_bytes(b"a")
    (tmp_path / "b.txt").write_bytes(b"b")
    with pytest.raises(InputError, match="too little text"):
        text(tmp_path)


def test_messages_do_not_carry_escapes(tmp_path):
    with pytest.raises(InputError) as found:
        text(tmp_path / "absent\x1b[2J")
    assert "\x1b" not in str(found.value)


def test_more_text_than_is_read_is_refused_before_it_is_read(folder, monkeypatch):
    monkeypatch.setattr("isoloss.sweep.data.text.MOST_TEXT", 1000)
    monkeypatch.setattr("isoloss.sweep.data.text.read_file", None)
    with pytest.raises(InputError, match="more than 1000"):
        text(folder)
