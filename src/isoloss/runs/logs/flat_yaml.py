"""Scalars of a YAML file: enough for settings, and nothing that could run.

Lines ``name: value`` count; indentation gives dotted names. Tags, anchors, lists, flow collections
and blocks of text are left out, never interpreted: ``!!python/object`` is a word like any other.
"""

from __future__ import annotations

import re
from typing import Any

MAX_BYTES = 4 * 2**20
_LINE = re.compile(
    r"( *)('[^']*'|\"[^\"]*\"|[^\s#:'\"\[{&*!|>%@`-][^:]*?|-[^\s:][^:]*?) *:(?: (.*))?"
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SKIPPED = ("!", "&", "*", "[", "{", "|", ">", "%", "@", "`")


def read_flat_yaml(text: str) -> dict[str, Any]:
    r"""Read the scalars of a YAML document under dotted names.

    Examples
    --------
    >>> read_flat_yaml("lr: 0.1\nmodel:\n  width: 64  # small\n  kind: 'gpt'\nbad: !!python/x y\n")
    {'lr': 0.1, 'model.width': 64, 'model.kind': 'gpt'}
    """
    found: dict[str, Any] = {}
    above: list[tuple[int, str]] = []
    skip: int | None = None
    for line in text[:MAX_BYTES].splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = len(line) - len(line.lstrip(" "))
        if skip is not None and indent > skip:
            continue
        skip = None
        match = _LINE.fullmatch(line.rstrip()) if len(line) < 2000 else None
        if match is None:
            skip = indent
            continue
        while above and above[-1][0] >= indent:
            above.pop()
        key = ".".join([name for _, name in above] + [match[2].strip("'\"")])
        value = _comment_off(match[3] or "").strip()
        if not value:
            above.append((indent, match[2].strip("'\"")))
        elif value.startswith(_SKIPPED):
            skip = indent
        elif len(found) < 20_000:
            found[key] = _scalar(value)
    return found


def _comment_off(value: str) -> str:
    if value.startswith(("'", '"')):
        end = value.find(value[0], 1)
        return value[: end + 1] if end > 0 else value
    return value.split(" #", 1)[0]


def _scalar(value: str) -> Any:
    if value[0] in "'\"":
        return value[1:-1] if len(value) > 1 and value[-1] == value[0] else value
    lowered = value.casefold()
    if lowered in ("null", "~", "none"):
        return None
    if lowered in ("true", "false"):
        return lowered == "true"
    if _NUMBER.fullmatch(value):
        if re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            return int(value)
        return float(value)
    return value
