"""A small SVG plotting surface: two axes, lines, bands, marks and labels, in page units."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.report.digits import decade_ticks, linear_ticks, tick_labels
from isoloss.report.markup import Markup, coordinate, tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Size of a drawing and the room around its plotting area, in page units (pixels at 1:1)."""

    kind: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def resized(self, **changes: int) -> Page:
        """Return a copy with some sizes changed."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return Page(**{**values, **changes})


# Two drawings of each figure: text keeps its size on a phone, where a scaled drawing would not.
WIDE = Page(kind="wide", width=800, height=470, left=64, right=24, top=16, bottom=52)
NARROW = Page(kind="narrow", width=344, height=330, left=60, right=12, top=14, bottom=48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis: data range, page range, log or linear, ticks and title."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: tuple[tuple[float, str], ...]
    title: str

    def __call__(self, values: npt.ArrayLike) -> Array:
        """Map data to page; what cannot be placed becomes NaN."""
        data = np.asarray(values, dtype=np.float64)
        if self.log:
            with np.errstate(all="ignore"):
                data = np.log10(np.where(data > 0, data, np.nan))
        low, high = self._ends()
        # Far outside the page a renderer loses precision, so points are held near its edge.
        with np.errstate(over="ignore"):
            share = np.clip((data - low) / (high - low), -2, 3)
        placed: Array = self.start + share * (self.end - self.start)
        return placed

    def _ends(self) -> tuple[float, float]:
        return (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)

    def data(self) -> str:
        """Log10 of the data range and the page range, for the script."""
        return ",".join(f"{v:.6g}" for v in (*self._ends(), self.start, self.end))


def log_axis(
    values: Sequence[Array], start: float, end: float, *, title: str,
    label: Callable[[float], str] | None = None, most: int, pad: float = 0.05,
) -> Axis:  # fmt: skip
    """Fit a log axis to positive values, with a share of room at both ends."""
    data = np.concatenate([np.ravel(v) for v in values])
    data = data[(data > 1e-280) & (data < 1e280)]
    low, high = (float(data.min()), float(data.max())) if data.size else (1.0, 10.0)
    margin = max(pad * math.log10(high / low), 0.0 if high > low else 0.02)
    low, high = low / 10**margin, high * 10**margin
    places = decade_ticks(low, high, most)
    labels = [label(t) for t in places] if label else tick_labels(places)
    ticks = tuple(zip(places, labels, strict=True))
    return Axis(low=low, high=high, start=start, end=end, log=True, ticks=ticks, title=title)


def linear_axis(
    values: Sequence[Array], start: float, end: float, *, title: str,
    most: int, pad: float = 0.06,
) -> Axis:  # fmt: skip
    """Fit a linear axis to values, with a share of room at both ends."""
    data = np.concatenate([np.ravel(v) for v in values])
    data = data[np.abs(data) < 1e150]
    low, high = (float(data.min()), float(data.max())) if data.size else (0.0, 1.0)
    margin = pad * (high - low) or max(0.02 * abs(high), 1e-9)
    low, high = low - margin, high + margin
    places = linear_ticks(low, high, most)
    ticks = tuple(zip(places, tick_labels(places), strict=True))
    return Axis(low=low, high=high, start=start, end=end, log=False, ticks=ticks, title=title)


class Canvas:
    """Collects the marks of one drawing; ``name`` must be unique in the document."""

    def __init__(self, name: str, page: Page, x: Axis, y: Axis) -> None:
        self.name, self.page, self.x, self.y = f"{name}-{page.kind}", page, x, y
        self._clipped: list[Markup] = []
        self._above: list[Markup] = []

    def line(self, x: npt.ArrayLike, y: npt.ArrayLike, class_: str) -> None:
        """Draw a polyline, broken where a point is missing."""
        steps = _path(self.x(x), self.y(y))
        if steps:
            self._clipped.append(tag("path", d=steps, class_=class_))

    def lines(self, pieces: Sequence[Array], class_: str) -> None:
        """Draw several polylines of shape (k, 2) as one path."""
        steps = "".join(_path(self.x(p[:, 0]), self.y(p[:, 1])) for p in pieces)
        if steps:
            self._clipped.append(tag("path", d=steps, class_=class_))

    def band(
        self, low: tuple[npt.ArrayLike, npt.ArrayLike], high: tuple[npt.ArrayLike, npt.ArrayLike],
        class_: str,
    ) -> None:  # fmt: skip
        """Fill between two polylines given as (x, y)."""
        x = np.concatenate([self.x(low[0]), self.x(high[0])[::-1]])
        y = np.concatenate([self.y(low[1]), self.y(high[1])[::-1]])
        keep = np.isfinite(x) & np.isfinite(y)
        if keep.sum() > 2:
            steps = _path(x[keep], y[keep]) + "Z"
            self._clipped.append(tag("path", d=steps, class_=class_))

    def dots(
        self, x: npt.ArrayLike, y: npt.ArrayLike, class_: str, tips: Sequence[str] = (), *,
        radius: float = 3.6, shape: str = "circle", most_tips: int = 150,
    ) -> None:  # fmt: skip
        """Draw one mark per point, each with a tooltip while there are not too many."""
        px, py = self.x(x), self.y(y)
        keep = np.isfinite(px) & np.isfinite(py)
        marks = []
        titled = len(tips) == keep.size <= most_tips and self.page.kind == "wide"
        if shape == "circle" and not titled:
            places = zip(px[keep].tolist(), py[keep].tolist(), strict=True)
            steps = [f"M{coordinate(a)} {coordinate(b)}h0" for a, b in places]
            if steps:
                self._clipped.append(tag("path", d="".join(steps), class_=f"{class_} points",
                                         stroke_width=2 * radius))  # fmt: skip
            return
        for i in np.flatnonzero(keep).tolist():
            tip = tag("title", tips[i]) if titled else None
            marks.append(_mark(float(px[i]), float(py[i]), radius, shape, tip))
        if marks:
            self._clipped.append(tag("g", marks, class_=class_))

    def text(
        self, px: float, py: float, content: str, *, anchor: str = "start", class_: str = "label",
        turn: float | None = None,
    ) -> None:  # fmt: skip
        """Write at a page position."""
        if math.isfinite(px) and math.isfinite(py):
            where = f"{coordinate(px)} {coordinate(py)}"
            turned = None if turn is None else f"rotate({coordinate(turn)} {where})"
            self._above.append(
                tag("text", content, x=px, y=py, text_anchor=anchor, class_=class_,
                    transform=turned)
            )  # fmt: skip

    def add(self, markup: Markup, *, clipped: bool = True) -> None:
        """Put in markup made elsewhere."""
        (self._clipped if clipped else self._above).append(markup)

    def inside(self, px: float, py: float) -> bool:
        """Tell whether a page position lies in the plotting area."""
        return min(self.x.start, self.x.end) <= px <= max(self.x.start, self.x.end) and min(
            self.y.start, self.y.end
        ) <= py <= max(self.y.start, self.y.end)

    def render(self, title: str, description: str) -> Markup:
        """Return the drawing with its axes, title and description."""
        page, clip = self.page, f"{self.name}-clip"
        box = {
            "x": float(page.left),
            "y": float(page.top),
            "width": float(page.width - page.left - page.right),
            "height": float(page.height - page.top - page.bottom),
        }
        return tag(
            "svg",
            tag("title", title, id=f"{self.name}-title"),
            tag("desc", description, id=f"{self.name}-desc"),
            tag("defs", tag("clipPath", tag("rect", **box), id=clip)),
            self._grid(),
            tag("g", self._clipped, clip_path=f"url(#{clip})"),
            self._above,
            viewBox=f"0 0 {page.width} {page.height}",
            class_=f"plot {page.kind}",
            role="img",
            aria_labelledby=f"{self.name}-title {self.name}-desc",
            data_x=self.x.data(),
            data_y=self.y.data(),
        )

    def _grid(self) -> Markup:
        page, x, y = self.page, self.x, self.y
        bottom, right = page.height - page.bottom, page.width - page.right
        parts: list[Markup] = []
        for value, label in x.ticks:
            at = float(x(value))
            parts.append(tag("path", d=f"M{coordinate(at)} {page.top}V{bottom}", class_="grid"))
            inside = min(at, page.width - 3.6 * len(label))
            parts.append(
                tag("text", label, x=inside, y=bottom + 18.0, text_anchor="middle", class_="tick")
            )
        for value, label in y.ticks:
            at = float(y(value))
            parts.append(tag("path", d=f"M{page.left} {coordinate(at)}H{right}", class_="grid"))
            parts.append(
                tag("text", label, x=page.left - 8.0, y=at + 4, text_anchor="end", class_="tick")
            )
        parts.append(tag("path", d=f"M{page.left} {bottom}H{right}", class_="axis"))
        middle = (page.left + right) / 2
        parts.append(
            tag("text", x.title, x=middle, y=page.height - 10.0, text_anchor="middle",
                class_="name")
        )  # fmt: skip
        if y.title:
            up = (page.top + bottom) / 2
            parts.append(
                tag("text", y.title, x=12.0, y=up, text_anchor="middle", class_="name",
                    transform=f"rotate(-90 12 {coordinate(up)})")
            )  # fmt: skip
        return tag("g", parts)


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move labels apart so that neighbours keep ``gap``, staying near where they were.

    Examples
    --------
    >>> spread([10.0, 11.0, 40.0], 10.0)
    [5.5, 15.5, 40.0]
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    groups: list[tuple[list[int], float]] = []
    for i in order:
        members, centre = [i], positions[i]
        while groups:
            before, middle = groups[-1]
            touching = middle + gap * (len(before) + len(members)) / 2 > centre
            if not touching:
                break
            groups.pop()
            total = len(before) + len(members)
            centre = (middle * len(before) + centre * len(members)) / total
            members = before + members
        groups.append((members, centre))
    placed = [0.0] * len(positions)
    for members, centre in groups:
        for k, i in enumerate(members):
            placed[i] = centre + gap * (k - (len(members) - 1) / 2)
    return placed


def _path(px: Array, py: Array) -> str:
    steps, pen_up = [], True
    for x, y in zip(px.tolist(), py.tolist(), strict=True):
        if not (math.isfinite(x) and math.isfinite(y)):
            pen_up = True
            continue
        steps.append(f"{'M' if pen_up else ' '}{coordinate(x)} {coordinate(y)}")
        pen_up = False
    return "".join(steps)


def _mark(x: float, y: float, radius: float, shape: str, tip: Markup | None) -> Markup:
    if shape == "circle":
        return tag("circle", tip, cx=x, cy=y, r=radius)
    r, c = radius * 1.3, coordinate
    corners = f"{c(x + r)} {c(y)} {c(x)} {c(y + r)} {c(x - r)} {c(y)}"
    return tag("path", tip, d=f"M{c(x)} {c(y - r)} {corners}Z")
