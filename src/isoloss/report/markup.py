"""Build HTML and SVG so that text cannot become markup: every plain string is escaped."""

from __future__ import annotations

import html
import json
from typing import Any

from isoloss._core.serial import plain

_VOID = {"meta", "link", "input", "br", "hr"}


class Markup(str):
    """Text that is already markup; everything else is escaped when it meets `tag`."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """Return markup that shows ``value``; markup passes through, ``None`` vanishes.

    Examples
    --------
    >>> escape("<b>")
    '&lt;b&gt;'
    """
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup("")
    if isinstance(value, (list, tuple)):
        return Markup("".join(escape(item) for item in value))
    return Markup(html.escape(str(value), quote=True))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return one element, children and attributes escaped.

    A trailing underscore of an attribute name is dropped (``class_``) and the others become
    hyphens; ``None`` and ``False`` leave the attribute out, ``True`` writes its name alone, and a
    float is written with one decimal, enough for a page coordinate.

    Examples
    --------
    >>> tag("p", "1 < 2", class_="note", hidden=True)
    '<p class="note" hidden>1 &lt; 2</p>'
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{escape(children)}</{name}>")


def json_block(value: Any) -> Markup:
    r"""Return JSON that can stand inside ``<script>``: no markup, no line separators.

    Examples
    --------
    >>> json_block({"name": "</script>"})
    '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def coordinate(value: float) -> str:
    """Write a page coordinate with one decimal, without a trailing zero.

    Examples
    --------
    >>> coordinate(12.04), coordinate(-0.01)
    ('12', '0')
    """
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.removesuffix("_").replace("_", "-")
    if value is True:
        return f" {name}"
    shown = coordinate(value) if isinstance(value, float) else str(value)
    return f' {name}="{html.escape(shown, quote=True)}"'
