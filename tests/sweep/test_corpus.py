"""Files of the default text: which count, and what their digest follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from isoloss.errors import InputError
from isoloss.sweep.data.text import digest_of, stdlib_files


def content(i: int) -> bytes:
    return f"# file {i}\n".encode() + f"x{i} = {i}\n".encode() * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(60):
        path = tmp_path / f"p{i % 7}" / f"f{i}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content(i))
    return tmp_path


def test_copies_tests_and_other_files_are_left_out(folder):
    before = stdlib_files(folder)
    assert {c for _, c in before.values()} == {content(i) for i in range(60)}
    (folder / "z_copy.py").write_bytes(content(3))
    (folder / "notes.txt").write_bytes(b"not python")
    (folder / "empty.py").write_bytes(b"")
    for name in ("test", "site-packages", "__pycache__"):
        (folder / name).mkdir()
        (folder / name / "a.py").write_bytes(b"left out = 1")
    assert stdlib_files(folder) == before


def test_names_do_not_change_the_order(folder):
    before = stdlib_files(folder)
    for i, path in enumerate(sorted(folder.rglob("*.py"))):
        path.rename(folder / f"renamed{i}.py")
    after = stdlib_files(folder)
    assert [after[k][1] for k in sorted(after)] == [before[k][1] for k in sorted(before)]


def test_the_digest_follows_names_and_content(folder):
    before = digest_of(stdlib_files(folder))
    assert digest_of(stdlib_files(folder)) == before
    (folder / "p0" / "f0.py").write_bytes(content(0) + b"#")
    changed = digest_of(stdlib_files(folder))
    (folder / "p0" / "f0.py").rename(folder / "p0" / "f.py")
    renamed = digest_of(stdlib_files(folder))
    (folder / "more.py").write_bytes(b"more = 1")
    assert len({before, changed, renamed, digest_of(stdlib_files(folder))}) == 4


def test_a_folder_without_text_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no \.py files"):
        stdlib_files(tmp_path)
