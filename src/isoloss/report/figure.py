"""What all figures share: their frame on the page, legends, axis titles, short names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isoloss.plot.access import mapping, text
from isoloss.plot.series import Study
from isoloss.report.canvas import NARROW, WIDE, Page
from isoloss.report.markup import Markup, tag
from isoloss.report.tables import short

HALF = WIDE.resized(width=420, height=360, left=58, right=16)
_SHAPES = {
    "dot": '<circle cx="11" cy="6" r="4"/>',
    "diamond": '<path d="M11 1L16 6L11 11L6 6Z"/>',
    "line": '<path d="M1 6H21"/>',
    "star": '<path d="M11 0 13 4.2 17 4.4 13.5 7 15 11 11 9 7 11 8.5 7 5 4.4 9 4.2Z"/>',
    "band": '<rect x="1" y="1" width="20" height="10"/>',
}


def figure(
    name: str,
    title: str,
    reading: str,
    draw: Callable[[Page], Markup | None],
    *,
    legend: Sequence[tuple[str, str, str]] = (),
    table: Markup | None = None,
    wide: Page = WIDE,
    narrow: Page = NARROW,
    tools: Markup | None = None,
) -> Markup:
    """Return a figure drawn twice, for wide and for narrow pages, with its numbers below.

    Parameters
    ----------
    name
        Identifier, unique in the document.
    reading
        One or two sentences on how to read the picture.
    draw
        Makes the drawing for a page size, or ``None`` when there is nothing to draw.
    legend
        Triples of shape, class and meaning.
    """
    drawn = draw(wide)
    if drawn is None:
        return Markup("")
    return tag(
        "figure",
        tag("figcaption", tag("h3", title), tag("p", reading)),
        tools,
        _legend(legend),
        drawn,
        draw(narrow),
        numbers(table),
        id=name,
    )


def numbers(table: Markup | None) -> Markup | None:
    """Fold the table of a figure away."""
    if table is None:
        return None
    return tag("details", tag("summary", "Numbers in this figure"), table, class_="numbers")


def axis_title(study: Study, axis: str, page: Page) -> str:
    """Return the title of an axis with the convention the study declares for it."""
    meaning = text(mapping(mapping(study.get("input")).get("conventions")).get(axis))
    meaning = short(meaning, 46 if page.width > 500 else 26)
    if axis == "C" and page.width <= 500:
        return "Training compute, FLOPs"
    if axis == "C":
        return f"Training compute C = {meaning}, FLOPs" if meaning else "Training compute, FLOPs"
    if axis == "loss":
        return f"Loss, {meaning}" if meaning else "Loss"
    return f"{axis}, {meaning}" if meaning else axis


def _legend(entries: Sequence[tuple[str, str, str]]) -> Markup | None:
    if not entries:
        return None
    return tag(
        "ul",
        [
            tag(
                "li",
                tag("svg", Markup(_SHAPES[shape]), viewBox="0 0 22 12", class_=f"swatch {class_}",
                    aria_hidden="true"),
                meaning,
            )
            for shape, class_, meaning in entries
        ],
        class_="legend",
    )  # fmt: skip
