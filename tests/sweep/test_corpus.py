import hashlib
from pathlib import Path

import pytest

from isoloss.errors import InputError
from isoloss.sweep import read_corpus


def content(i: int) -> bytes:
    return f"# file {i}\n".encode() + f"x{i} = {i}\n".encode() * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(60):
        path = tmp_path / f"p{i % 7}" / f"f{i}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content(i))
    return tmp_path


def side(data: bytes) -> bool:
    """Whether a file is held out: its hash in hundredths below seven."""
    return int(hashlib.sha256(data).hexdigest()[:8], 16) % 100 < 7


def test_whole_files_go_to_the_side_of_their_hash(folder):
    corpus = read_corpus(folder)
    files = [content(i) for i in range(60)]
    held = sorted((f for f in files if side(f)), key=lambda f: hashlib.sha256(f).hexdigest())
    train = sorted((f for f in files if not side(f)), key=lambda f: hashlib.sha256(f).hexdigest())
    assert held
    assert corpus.held_out.tobytes() == b"\n".join(held)
    assert corpus.train.tobytes() == b"\n".join(train)
    assert corpus.n_files == 60


def test_copies_tests_and_other_files_are_left_out(folder):
    before = read_corpus(folder)
    (folder / "z_copy.py").write_bytes(content(3))
    (folder / "notes.txt").write_bytes(b"not python")
    (folder / "empty.py").write_bytes(b"")
    for name in ("test", "site-packages", "__pycache__"):
        (folder / name).mkdir()
        (folder / name / "a.py").write_bytes(b"left out = 1")
    after = read_corpus(folder)
    assert after.n_files == before.n_files
    assert after.digest == before.digest
    assert after.train.tobytes() == before.train.tobytes()


def test_names_do_not_change_the_split(folder):
    before = read_corpus(folder)
    for i, path in enumerate(sorted(folder.rglob("*.py"))):
        path.rename(folder / f"renamed{i}.py")
    after = read_corpus(folder)
    assert after.train.tobytes() == before.train.tobytes()
    assert after.held_out.tobytes() == before.held_out.tobytes()


def test_the_digest_follows_the_content(folder):
    before = read_corpus(folder).digest
    assert read_corpus(folder).digest == before
    (folder / "p0" / "f0.py").write_bytes(content(0) + b"#")
    changed = read_corpus(folder).digest
    assert changed != before
    (folder / "more.py").write_bytes(b"more = 1")
    assert read_corpus(folder).digest not in (before, changed)


def test_a_folder_without_enough_text_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no \.py files"):
        read_corpus(tmp_path)
    (tmp_path / "one.py").write_bytes(b"one = 1")
    with pytest.raises(InputError, match="too few to hold any out"):
        read_corpus(tmp_path)
