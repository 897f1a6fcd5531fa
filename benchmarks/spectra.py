"""Predict learning curves of linear models of text, then measure them.

    python benchmarks/spectra.py [windows|context] [--rows N] [--picture FILE] [--write FOLDER]

The text is the source of Python's own standard library, so the numbers change a little with its
patch release. ``windows``: a row is a window of 512 bytes; its features are 600 random ReLU
features of the roots of its byte frequencies, its target is the share of blanks in the 256 bytes
that follow. ``context``: a row is one place in the text; its features are the 4 bytes before, each
as columns of zeros and ones, its class is the next byte. ``--write`` saves both as .npy files for
``isoloss spectrum``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.serial import write_atomic
from isoloss.spectra import study_spectrum
from isoloss.sweep.data.text import digest_of, hundredth, stdlib_files

WINDOW, AFTER, RELU, CONTEXT, SYMBOLS = 512, 256, 600, 4, 97


def symbols() -> tuple[np.ndarray, str]:
    """Read the standard library but for its test files: (bytes,) of symbols, and a digest.

    Printable characters and the line end are symbols of their own, all else is one.
    """
    files = stdlib_files()
    parts = [content for key, (_, content) in sorted(files.items()) if hundredth(key) >= 7]
    text = np.frombuffer(b"\n".join(parts), dtype=np.uint8)
    symbol = np.where((text >= 32) & (text < 127), text - 31, 0)
    symbol[text == 10] = SYMBOLS - 1
    return symbol, digest_of(files)


def main() -> None:
    """Run everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("windows", "context"), nargs="?", default="windows")
    parser.add_argument("--rows", type=int, default=12000)
    parser.add_argument("--picture", type=Path, help="write a picture, SVG")
    parser.add_argument("--write", type=Path, help="save features and labels in this folder")
    options = parser.parse_args()
    symbol, digest = symbols()
    print(f"text {digest[:12]}")
    x, y = (windows if options.what == "windows" else contexts)(symbol, options.rows)
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        np.save(options.write / "features.npy", x)
        np.save(options.write / "labels.npy", y)
    kind = "numbers" if options.what == "windows" else "classes"
    found = study_spectrum(x, y, kind=kind, check=10)
    print(*found.headline, sep="\n")
    assert found.check is not None
    print(found.check.summary())
    print(*(f"note: {doubt}" for doubt in found.doubts), sep="\n")
    if options.picture:
        from isoloss.plot import svg_bytes
        from isoloss.plot.spectrum import draw_spectrum

        write_atomic(options.picture, svg_bytes(draw_spectrum(found.to_dict())))


def windows(symbol: Any, rows: int) -> tuple[Any, Any]:
    """Random features of byte frequencies in windows that do not overlap, and blanks to come."""
    size = WINDOW + AFTER
    slots = np.random.default_rng(0).permutation(len(symbol) // size)[:rows]
    text = symbol[: len(symbol) // size * size].reshape(-1, size)[slots]
    counts = np.stack([np.bincount(t[:WINDOW], minlength=SYMBOLS) for t in text])
    roots = np.sqrt(counts / WINDOW)
    mixed = (roots - roots.mean(axis=0)) @ np.random.default_rng(1).standard_normal((SYMBOLS, RELU))
    blanks = (text[:, WINDOW:] == 1).mean(axis=1)
    return np.maximum(mixed, 0), blanks


def contexts(symbol: Any, rows: int) -> tuple[Any, Any]:
    """Bytes before random places in the text, one-hot, and the byte at each."""
    at = np.random.default_rng(0).choice(len(symbol) - CONTEXT, rows, replace=False) + CONTEXT
    before = np.stack([symbol[at - 1 - i] for i in range(CONTEXT)], axis=1).astype(np.int64)
    x = np.zeros((rows, CONTEXT * SYMBOLS), dtype=np.float32)
    x[np.arange(rows)[:, None], before + SYMBOLS * np.arange(CONTEXT)] = 1
    return x, symbol[at]


if __name__ == "__main__":
    main()
