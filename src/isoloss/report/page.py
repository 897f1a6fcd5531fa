"""The whole report: one HTML file that needs nothing else and may fetch nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from isoloss.errors import InputError
from isoloss.plot.access import text
from isoloss.report import answer, evidence, influence, record, regimes, telling
from isoloss.report.markup import Markup, tag

SCHEMA = 1

_PARTS = (
    ("answer", "Answer", answer.headline),
    ("distrust", "Distrust", answer.distrust),
    ("what-if", "What if", answer.what_if),
    ("figures", "Picture", evidence.figures),
    ("held-out", "Held out", evidence.held_out),
    ("laws", "Laws", evidence.laws),
    ("backtest", "Back-test", evidence.backtest),
    ("telling", "Telling runs", telling.telling),
    ("influence", "Influence", influence.influence),
    ("regimes", "Limits", regimes.regimes),
    ("plan", "Plan", record.plan),
    ("checklist", "Checklist", record.checklist),
    ("input", "Input", record.source),
    ("methods", "Methods", record.methods),
)


def render_html(study: Mapping[str, Any]) -> str:
    """Return the report as one HTML file.

    The file opens from disk, fetches nothing, and its policy forbids every script but its own.
    Whatever the study lacks is left out; every text of the study is escaped.

    Parameters
    ----------
    study
        The plain study, as ``json.load`` of ``study.json`` gives it.

    Raises
    ------
    InputError
        When ``study`` is not a mapping, or has a schema this version does not know.

    Examples
    --------
    >>> page = render_html({"schema": 1, "title": "<b>", "input": {}, "runs": {}})
    >>> page.splitlines()[0], "&lt;b&gt;" in page, "<b>" in page
    ('<!DOCTYPE html>', True, False)
    """
    require_schema(study)
    parts = [(name, label, make(study)) for name, label, make in _PARTS]
    shown = [(name, label, body) for name, label, body in parts if body]
    title = text(study.get("title"))
    return document(
        f"{title} · scaling study" if title else "Scaling study",
        [(name, label) for name, label, _ in shown],
        [answer.header(study), *(body for _, _, body in shown)],
        skip=("answer", "Skip to the answer"),
    )


def document(
    title: str, links: Sequence[tuple[str, str]], body: Sequence[Markup], *,
    skip: tuple[str, str], style: str = "",
) -> str:  # fmt: skip
    """Return a page that needs no other file: head, contents, body, and the script of this room.

    Parameters
    ----------
    title
        Of the window; escaped.
    links
        Contents: identifier and name of each part.
    body
        Markup of the parts.
    skip
        Identifier and words of the first link, for those who read by keyboard.
    style
        Name of a style sheet of this room to add to the report's.
    """
    script, sheet = _asset("report.js"), _asset("report.css")
    if style:
        sheet += "\n" + _asset(style)
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("title", title),
            tag("link", rel="icon", href="data:,"),
            tag("style", Markup(sheet)),
        ),
        tag(
            "body",
            tag("a", skip[1], href=f"#{skip[0]}", class_="skip"),
            tag(
                "nav",
                tag("ol", [tag("li", tag("a", label, href=f"#{name}")) for name, label in links]),
                aria_label="Contents",
                class_="contents",
            ),
            tag("main", list(body)),
            tag("script", Markup(script)),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


def require_schema(study: object) -> None:
    """Refuse what is not a study of a known schema."""
    if not isinstance(study, Mapping):
        raise InputError(f"study: expected the mapping of study.json, got {type(study).__name__}")
    schema = study.get("schema")
    if schema is not None and schema != SCHEMA:
        raise InputError(
            f"study.schema = {schema!r}: this version reads {SCHEMA};"
            " render with the isoloss that wrote the study"
        )


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode("utf8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    """Read a file of this room; its indentation is for people, not for the page."""
    written = files("isoloss.report").joinpath(name).read_text(encoding="utf8")
    return "\n".join(line.strip() for line in written.splitlines() if line.strip())
