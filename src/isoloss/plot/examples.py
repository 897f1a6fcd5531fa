"""Examples as they can be shown: images brought to one form, texts without hidden characters."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError

_SIDE = 96
"""Pixels of a side that are shown; larger images are thinned."""
_LINE = 1 << 24
"""Bytes of a line of text, at most."""


def take_images(examples: Any, rows: npt.NDArray[np.int64]) -> Array:
    """Return chosen images as (k, height, width) or (k, height, width, 3), from 0 to 1.

    Parameters
    ----------
    examples
        (n, height, width), (n, height, width, c) or (n, c, height, width) with c of 1, 3 or 4, or
        (n, pixels) where pixels is a square; may be mapped from a file. Bytes count from 0 to
        255; other numbers as they are where all shown lie from 0 to 1, else from their least to
        their largest.
    rows
        Which.

    Raises
    ------
    InputError
        If the shape is none of these, or they are no numbers.

    Examples
    --------
    >>> images = np.arange(8, dtype=np.uint8).reshape(2, 4)
    >>> take_images(images, np.array([1])).shape
    (1, 2, 2)
    """
    array = examples if isinstance(examples, np.ndarray) else np.asarray(examples)
    if array.dtype.kind not in "buif":
        raise InputError(f"examples: {array.dtype}; images are arrays of numbers")
    picked = np.asarray(array[rows])
    picked = _grey_or_colour(picked, array.shape)
    step = max(1, math.ceil(max(picked.shape[1:3]) / _SIDE))
    picked = picked[:, ::step, ::step]
    if array.dtype == np.uint8:
        return np.asarray(picked / 255.0)
    return _to_unit(picked.astype(np.float64))


def _grey_or_colour(picked: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if len(shape) == 2:
        side = math.isqrt(shape[1])
        if side * side == shape[1]:
            return picked.reshape(len(picked), side, side)
    if len(shape) == 3:
        return picked
    if len(shape) == 4 and shape[1] in (1, 3, 4) and shape[1] < shape[3]:
        picked = np.moveaxis(picked, 1, -1)
    if len(shape) == 4 and picked.shape[-1] in (1, 3, 4):
        # What lies behind a transparent pixel is not shown.
        return picked[..., 0] if picked.shape[-1] == 1 else picked[..., :3]
    raise InputError(
        f"examples: shape {shape}; images are n x height x width, n x height x width x 3, or n x "
        "pixels with a square number of pixels"
    )


def _to_unit(values: Array) -> Array:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / (high - low or 1.0)
    return np.asarray(np.clip(scaled, 0, 1))


def read_texts(path: Any, rows: Iterable[int], count: int) -> dict[int, str]:
    """Read chosen lines of a file of texts, one an example.

    Parameters
    ----------
    path
        ``.jsonl``: each line a JSON text, or an object whose ``text`` is shown (all of it where it
        has none); any other ending: each line as it is. UTF-8; what is not is shown as U+FFFD.
    rows
        Which, from 0.
    count
        Lines that there must be.

    Raises
    ------
    InputError
        If there are more or fewer lines, or a chosen one is no JSON.
    """
    place, wanted = Path(path), set(rows)
    as_json = place.suffix.lower() == ".jsonl"
    found: dict[int, str] = {}
    line_number = seen = 0
    with place.open("rb") as file:
        while line := file.readline(_LINE):
            line_number += 1
            if len(line) == _LINE and not line.endswith(b"\n"):
                raise InputError(f"{place.name}, line {line_number}: is longer than {_LINE} bytes")
            if as_json and not line.strip():
                continue
            if seen in wanted:
                text = line.decode("utf8", errors="replace").rstrip("\r\n")
                found[seen] = _of_json(place, line_number, text) if as_json else text
            seen += 1
            if seen > count:
                break
    if seen != count:
        more = "more" if seen > count else f"{seen}"
        raise InputError(
            f"{place.name}: holds {more} lines for {count} scores; give one line for each, in the "
            "order of the scores"
        )
    return found


def _of_json(place: Path, number: int, line: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place.name}, line {number}: is no JSON") from error
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):
        value = value["text"]
    return value if isinstance(value, str) else line


def shown_text(text: str, most: int = 72) -> str:
    r"""Return the first characters of a text on one line, hidden ones as escapes.

    Control characters, line ends, marks of direction and what the font does not have are written
    as in Python; the rest stays.

    Examples
    --------
    >>> shown_text("two\nlines\x1b[31m"), shown_text("a" * 9, most=5)
    ('two\\nlines\\x1b[31m', 'aaaa…')
    """
    characters = _characters()
    parts: list[str] = []
    size = 0
    for c in text:
        known = c == " " or (c.isprintable() and (ord(c) < 127 or ord(c) in characters))
        part = c if known else c.encode("unicode_escape").decode("ascii")
        size += len(part)
        if size > most:
            while parts and sum(map(len, parts)) > most - 1:
                parts.pop()
            return "".join(parts) + "…"
        parts.append(part)
    return "".join(parts)


@lru_cache(maxsize=1)
def _characters() -> frozenset[int]:
    """Code points of the font that texts are drawn with; none without matplotlib."""
    try:
        from matplotlib.font_manager import FontProperties, findfont, get_font
    except ImportError:
        return frozenset()
    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans Mono"))).get_charmap())


__all__ = ["read_texts", "shown_text", "take_images"]
