"""A study as a document: one HTML file that needs nothing else, Markdown, or a LaTeX table."""

from isoloss.report.latex import render_latex_table
from isoloss.report.markdown import render_markdown
from isoloss.report.page import render_html
from isoloss.report.pictures import render_figures

__all__ = ["render_figures", "render_html", "render_latex_table", "render_markdown"]
