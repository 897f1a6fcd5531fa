"""Commands shown in the pages, with what they print.

A block of kind ``console`` starts with ``$ isoloss ...``; the lines after it are its output.
``python docs/console.py`` runs every such command again in a folder that holds the files of
``docs/examples`` and writes the output back. The tests run them too and compare.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
_BLOCK = re.compile(r"^```console\n\$ (?P<command>isoloss .*)\n(?P<output>(?:.*\n)*?)```$", re.M)
# Shown where the terminal has a moving line; of no interest on a page.
_PROGRESS = re.compile(r"^- .*\n", re.M)
# Another each time: hashes of what holds a time, and the times.
_CHANGING = re.compile(
    r"\b[0-9a-f]{64}\b|(?<=^forecast )[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.M
)


def blocks(text: str) -> list[tuple[str, str]]:
    """Commands and the output shown for them."""
    return [(m["command"], m["output"]) for m in _BLOCK.finditer(text)]


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Work in a fresh folder with the example files."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        shutil.copytree(HERE / "examples", folder, dirs_exist_ok=True)
        shutil.copytree(HERE / "data", folder / "data")
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def output(command: str, folder: Path) -> str:
    """Run a command in this process and return what it prints, as a page shows it."""
    from click.testing import CliRunner

    from isoloss.cli import main

    words = shlex.split(command)[1:]
    before, sys.argv = sys.argv, ["isoloss", *words]
    try:
        text = CliRunner().invoke(main, words).output
    finally:
        sys.argv = before
    text = _PROGRESS.sub("", text).replace(str(folder), "~/runs").strip()
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def lasting(text: str) -> str:
    """Leave out of an output what is another each time."""
    return _CHANGING.sub("(changes)", text)


def refresh(path: Path) -> None:
    """Write the outputs of one page anew, its commands one after the other in one folder."""

    def run(found: re.Match[str]) -> str:
        printed = output(found["command"], folder)
        if lasting(printed) == lasting(found["output"]):
            printed = found["output"]
        return f"```console\n$ {found['command']}\n{printed}```"

    text = path.read_text("utf8")
    with scratch_folder() as folder:
        fresh = _BLOCK.sub(run, text)
    if fresh != text:
        path.write_text(fresh, "utf8")
        print(f"changed: {path.name}")


if __name__ == "__main__":
    for page in sorted(HERE.glob("*.md")):
        refresh(page)
