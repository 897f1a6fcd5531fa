import os
import signal
import subprocess
import sys
import time

import pytest

from cli.commands import call, good, write
from isoloss.study import pipeline

WORDS = ("--law", "E + A/N**a + B/D**b", "--draws", "1500")
CODE = "import sys\nsys.argv[0] = 'isoloss'\nfrom isoloss.cli import main\nmain()"


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal on this system")
def test_a_killed_study_goes_on_where_it_was(tmp_path, monkeypatch):
    path = write(tmp_path, good())
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "study", str(path), "--out", str(out), *WORDS],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not list(out.glob(".unfinished/*/*.sha256")):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the study ended before it could be killed"
    assert not (out / "report.html").exists()
    blocks = {
        p: (p.stat().st_mtime_ns, p.read_bytes())
        for p in out.glob(".unfinished/*/*.npy")
        if p.with_suffix(".sha256").exists()
    }
    assert blocks

    # The scratch is looked at before it goes.
    seen = {}
    remove = pipeline.shutil.rmtree

    def look(folder, **options):
        seen.update({p: (p.stat().st_mtime_ns, p.read_bytes()) for p in blocks})
        remove(folder, **options)

    monkeypatch.setattr(pipeline.shutil, "rmtree", look)
    code = call("study", path, "--out", out, *WORDS).exit_code
    assert seen == blocks
    assert not (out / ".unfinished").exists()

    monkeypatch.undo()
    whole = tmp_path / "whole"
    assert call("study", path, "--out", whole, *WORDS).exit_code == code
    for name in ("study.json", "report.html", "report.md", "laws.tex"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="pipes of a POSIX shell")
def test_a_reader_that_leaves_early_sees_no_trace():
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", CODE, "laws"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    words = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 1
    assert words == ""
