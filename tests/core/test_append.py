import errno
import os

import pytest

from isoloss._core.append import append_line, repair_end


def test_lines_follow_one_another_and_a_torn_one_stays_apart(tmp_path):
    path = tmp_path / "log"
    append_line(path, "a")
    with path.open("ab") as file:
        file.write(b"to")
    append_line(path, "é")
    assert path.read_text("utf8") == "a\nto\né\n"
    assert not repair_end(path)


def test_what_a_full_disk_took_is_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "log"
    append_line(path, "a" * 50)
    before, write, calls = path.read_bytes(), os.write, []

    def full(handle, data):
        calls.append(len(data))
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:7])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space") as caught:
        append_line(path, "b" * 50)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    # A line that another writer added meanwhile is not touched.
    calls.clear()

    def other(handle, data):
        calls.append(0)
        if len(calls) == 2:
            with path.open("ab") as file:
                file.write(b"\nother\n")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:3])

    monkeypatch.setattr(os, "write", other)
    with pytest.raises(OSError, match="No space"):
        append_line(path, "c" * 50)
    assert path.read_bytes() == before + b"ccc\nother\n"
