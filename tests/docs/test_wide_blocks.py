"""Printed tables of the pages are made to fit: a class by length, and a rule for each class."""

import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def test_blocks_are_classed_by_their_longest_line_and_each_class_has_its_rule(monkeypatch):
    nodes = pytest.importorskip("docutils.nodes")
    pytest.importorskip("latex2mathml")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.syspath_prepend(str(DOCS))
    import conf

    ruled = re.findall(
        r"\.chars-(\d+) \{ --chars: (\d+); \}", (DOCS / "static/wide.css").read_text()
    )
    assert all(name == value for name, value in ruled)
    tree, seen = nodes.container(), set()
    for length in (20, 84, 85, 90, 91, 110, 111, 137, 160, 161, 300):
        text = f"short\n{'x' * length}\nshort"
        tree += nodes.literal_block(text, text)
    conf.measure_blocks(None, tree, "page")
    found = [block["classes"] for block in tree]
    assert found == [
        [], [], ["chars-90"], ["chars-90"], ["chars-100"], ["chars-110"], ["chars-120", "wide"],
        ["chars-140", "wide"], ["chars-160", "wide"], [], [],
    ]  # fmt: skip
    seen = {name for classes in found for name in classes} - {"wide"}
    assert seen <= {f"chars-{name}" for name, _ in ruled}
