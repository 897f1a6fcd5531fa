"""Sphinx configuration."""

import re
import sys
from importlib import import_module
from pathlib import Path

from docutils.nodes import SkipNode, doctest_block, literal_block
from latex2mathml.converter import convert

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "src")]

project = "isoloss"
author = "the isoloss authors"
version = release = import_module("isoloss").__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples", "data/*"]
html_theme = "furo"
html_title = f"isoloss {release}"
# Formulas become MathML when the pages are built, so that they are read without a network.
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["math.css", "wide.css"]

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

# Names in single backticks are Python objects where there is one of that name.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = True
napoleon_google_docstring = False
# Attributes as a list: documented once, and not again as members.
napoleon_use_ivar = True


def setup(app):
    """Put what the code knows into the pages that show it."""
    fill = import_module("tables").fill

    def on_read(app, docname, source):
        source[0] = fill(source[0])

    app.connect("source-read", on_read)
    app.connect("doctree-resolved", measure_blocks)
    # After napoleon has made fields of sections.
    app.connect("autodoc-process-docstring", tidy_fields, priority=900)
    app.add_html_math_renderer("mathml", (inline_math, None), (display_math, None))


COLUMN, WIDE, WIDEST = 84, 110, 160
"""Characters of a block that fit the column; above which it gets a wider one; that can fit that."""


def measure_blocks(app, doctree, docname):
    """Class blocks that are wider than the column by their longest line, for static/wide.css."""
    for block in [*doctree.findall(literal_block), *doctree.findall(doctest_block)]:
        longest = max(map(len, block.astext().splitlines()), default=0)
        if COLUMN < longest <= WIDEST:
            block["classes"].append(f"chars-{-(-longest // 10) * 10}")
            if longest > WIDE:
                block["classes"].append("wide")


GROUPED = re.compile(r"^(:(?:ivar|param) )([\w*]+(?:, [\w*]+)+)(?=:)")
ARRAY = re.compile(r"numpy\.ndarray\[tuple\[Any, \.\.\.\], numpy\.dtype\[numpy\.(\w+?)_?\]\]")


def tidy_fields(app, what, name, obj, options, lines):
    """Keep names that share a description from being read as a type and a name; shorten arrays."""
    for i, line in enumerate(lines):
        found = GROUPED.match(line)
        if found:
            names = found[2].replace(", ", ",\N{ZERO WIDTH SPACE}")
            lines[i] = found[1] + names + line[found.end() :]
        elif line.startswith((":vartype", ":type")):
            lines[i] = ARRAY.sub(r"array of \1", line)


def inline_math(writer, node):
    """Write a formula of the running text."""
    writer.body.append(convert(node.astext()))
    raise SkipNode


def display_math(writer, node):
    """Write a formula on a line of its own."""
    writer.body.append(f"<div class='formula'>{convert(node.astext(), display='block')}</div>")
    raise SkipNode
