"""Sphinx configuration."""

import sys
from importlib import import_module
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "src")]

project = "isoloss"
author = "the isoloss authors"
version = release = import_module("isoloss").__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build", "examples"]
html_theme = "furo"
html_title = f"isoloss {release}"

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
