"""A figure as bytes, the same ones each time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def svg_bytes(ax: Axes) -> bytes:
    """Return the figure of ``ax`` as SVG without a date and with fixed identifiers.

    Equal studies then give equal files, which version control and reviewers can compare.
    """
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "isoloss"}):
        figure = ax.get_figure(root=True)
        assert figure is not None
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return buffer.getvalue()


def png_bytes(ax: Axes, *, dpi: int = 200) -> bytes:
    """Return the figure of ``ax`` as PNG without the name of the program."""
    buffer = io.BytesIO()
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None}, bbox_inches="tight")
    return buffer.getvalue()
