import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.report import render_html, render_latex_table, render_markdown
from report.example import HOSTILE, example_study, variants

VOID = {"meta", "link", "input", "br", "hr"}
URL_ATTRIBUTES = {"src", "href", "action", "data", "poster", "srcset", "xlink:href", "formaction"}


class Document(HTMLParser):
    """Collects tags, checks that they nest, and keeps texts apart from scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids = [], [], []
        self.text, self.scripts, self.faults = [], [], []
        self.feed(page)
        self.close()
        self.faults += [f"never closed: {name}" for name in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "script":
            self.scripts.append([dict(attrs), ""])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> while open: {self.open[-3:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += data
        elif not (self.open and self.open[-1] == "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def pages():
    return {name: render_html(make()) for name, make in variants().items()}


@pytest.fixture(scope="module")
def documents(pages):
    return {name: Document(page) for name, page in pages.items()}


@pytest.fixture(scope="module")
def plain_tags(documents):
    return {tag for tag, _ in documents["complete"].tags}


@pytest.mark.parametrize("name", sorted(variants()))
def test_page_is_well_formed_whatever_the_study_lacks(documents, name):
    document = documents[name]
    assert document.faults == []
    assert len(document.ids) == len(set(document.ids))
    assert {"answer", "input", "methods"} <= set(document.ids)


@pytest.mark.parametrize("name", sorted(variants()))
def test_page_never_shows_what_is_not_a_number(documents, name):
    document = documents[name]
    shown = [*document.text, *(str(v) for _, a in document.tags for v in a.values() if v)]
    for piece in shown:
        assert not re.search(r"\b(nan|NaN|inf|Infinity|None|null|undefined)\b", piece), piece[:200]


def test_numbers_of_drawings_are_finite_and_near_the_page(documents):
    for name, document in documents.items():
        for tag, attributes in document.tags:
            if tag not in {"path", "circle", "rect", "text"}:
                continue
            keys = ("d", "x", "y", "cx", "cy", "r", "width", "height")
            numbers = re.findall(r"-?[\d.]+", " ".join(attributes.get(k) or "" for k in keys))
            assert all(abs(float(n)) < 5000 for n in numbers), (name, tag, attributes)


def test_hostile_texts_stay_text(documents, plain_tags):
    document = documents["hostile"]
    assert {tag for tag, _ in document.tags} <= plain_tags
    assert not [a for _, a in document.tags if any(k.startswith("on") for k in a)]
    text = "".join(document.text)
    for name in HOSTILE[:3]:
        assert name in text
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_hostile_page_can_be_written_as_utf8(pages):
    assert pages["hostile"].encode("utf8")


def test_json_block_cannot_leave_its_script():
    study = example_study()
    study["path"]["method"] = "</script><script>alert(1)</script>\u2028"
    document = Document(render_html(study))
    kinds = [attributes.get("type") for attributes, _ in document.scripts]
    assert kinds == ["application/json", None]
    data = json.loads(document.scripts[0][1])
    assert data["C"][0] == pytest.approx(1e17)


@pytest.mark.parametrize("name", ["complete", "hostile", "minimal"])
def test_policy_allows_the_one_script_and_no_other(documents, name):
    document = documents[name]
    policy = next(
        a["content"] for t, a in document.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    run = [body for attributes, body in document.scripts if "type" not in attributes]
    assert len(run) == 1
    digest = base64.b64encode(hashlib.sha256(run[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_nothing_is_loaded_from_elsewhere(documents, pages):
    for document in documents.values():
        for _, attributes in document.tags:
            for key in URL_ATTRIBUTES & attributes.keys():
                assert attributes[key].startswith(("#", "data:,"))
    style = re.search("<style>(.*?)</style>", pages["complete"], re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style


def test_page_tells_the_headline_numbers(documents):
    study = example_study()
    text = "".join(documents["complete"].text)
    assert f"{study['plan']['L_opt']:.3f}" in text
    assert f"{study['plan']['N_opt'] / 1e9:.1f}B" in text
    for sentence in study["headline"]:
        assert sentence in text


def test_every_table_can_be_copied(documents):
    document = documents["complete"]
    tables = {a["id"] for t, a in document.tags if t == "table"}
    assert tables == {a["data-copy"] for t, a in document.tags if "data-copy" in a}
    assert len(tables) >= 15


def test_every_drawing_has_a_title_and_a_description(documents):
    document = documents["complete"]
    drawings = [a for t, a in document.tags if t == "svg" and a.get("role") == "img"]
    assert len(drawings) >= 18
    for attributes in drawings:
        assert set(attributes["aria-labelledby"].split()) <= set(document.ids)


def test_every_fitted_run_is_drawn_once_in_each_plane(pages):
    study = example_study()
    for name in ("fig-isoloss", "fig-fan"):
        drawing = re.search(
            f'<figure id="{name}".*?(<svg [^>]*class="plot wide".*?</svg>)', pages["complete"], re.S
        ).group(1)
        fitted = re.search('<g class="fit">(.*?)</g>', drawing, re.S).group(1)
        assert fitted.count("<circle") == study["runs"]["role"].count("fit")
        held = re.search('<g class="held">(.*?)</g>', drawing, re.S).group(1)
        assert held.count("<path") == study["runs"]["role"].count("held_out")


def test_size_of_the_page_stays_small(pages):
    assert len(render_html(example_study(250, 5)).encode()) < 310_000
    assert len(pages["two_thousand_runs"].encode()) < 700_000


def test_same_study_gives_same_bytes_and_is_not_changed():
    study = example_study()
    before = json.dumps(study)
    assert render_html(study) == render_html(json.loads(before))
    assert json.dumps(study) == before


@pytest.mark.parametrize("render", [render_html, render_markdown, render_latex_table])
@pytest.mark.parametrize("study", [None, [], "text", {"schema": 2}])
def test_what_is_not_a_study_is_refused(render, study):
    with pytest.raises(InputError, match=r"study"):
        render(study)


def section_of(page, name):
    return re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)[0]


def test_the_page_names_the_run_that_would_tell(pages):
    part = section_of(pages["complete"], "telling")
    rows = re.findall(r"<tr><td.*?</tr>", part)
    assert len(rows) == 2
    assert "N 30M, D 400B" in rows[1]
    assert "chinchilla <b>2.329</b> (2.200 – 2.600)" in rows[1]
    assert re.findall(r"<td>([^<]*)</td>", rows[1])[-2:] == ["over 99 %", "1"]
    assert "rejects it when the other is true" in part
    assert 'id="telling"' not in pages["minimal"]


def test_a_run_that_stays_the_best_is_shown_once():
    study = example_study()
    searches = study["telling_runs"]["searches"]
    searches[0]["by_pair"] = searches[1]["by_pair"]
    assert len(re.findall(r"<tr><td.*?</tr>", section_of(render_html(study), "telling"))) == 1


def test_the_page_says_what_limits_the_runs(pages):
    part = section_of(pages["complete"], "regimes")
    rows = re.findall(r"<tr><td.*?</tr>", part)
    study = example_study()
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]
    assert len(rows) == 20 < len(study["runs"]["N"])
    assert {c[1] for c in cells} <= {"size", "data", "both"}
    assert cells[0][2] == "93 %"
    # Largest first, each with its own word.
    order = np.argsort([-c for c in study["runs"]["C"]])
    words = {"variance": "size", "resolution": "data", "mixed": "both"}
    assert [c[1] for c in cells] == [words[study["regimes"]["rows"][i]["data"]] for i in order[:20]]
    assert "the floor, 1.82" in part
    assert 'id="regimes"' not in pages["minimal"]


def test_the_page_shows_scales_left_out_and_both_answers(pages):
    part = section_of(pages["complete"], "influence")
    scales = re.findall(r"<tr><td.*?</tr>", part[part.index('id="tab-scales"') :])
    assert ["decides" in row for row in scales] == [False, False, False, True, False, False]
    assert ["disagrees" in row for row in scales] == [False] * 4 + [True, False]
    assert "8.8B (−4.2)" in scales[4]
    assert "N is the same in all runs" in scales[5]
    assert "weights held" in part
    assert "Side by side, with 90 % intervals" in part
    both = part[part.index('id="tab-both"') : part.index('id="tab-influence"')]
    assert "Without the largest budget (C = 1e+21, 12 runs)" in both
    assert "2.060 (2.030 – 2.100)" in both
    assert "without the smallest N: not possible" in part


def test_one_law_has_no_weights_to_hold():
    study = example_study()
    study["influence"]["scales"]["weights_held"] = {"chinchilla": 1.0}
    study["influence"]["weighted_sentence"] = None
    assert "weights held" not in section_of(render_html(study), "influence")


def test_without_anything_that_decides_there_is_one_answer():
    study = example_study()
    study["influence"]["side_by_side"] = []
    assert "tab-both" not in render_html(study)
