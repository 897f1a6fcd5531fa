"""The card of a verdict: what it says, that names stay text, and that it stands in a browser."""

import math
import re
from html.parser import HTMLParser

import pytest

from isoloss.errors import InputError
from isoloss.fit.certificate import Reason
from isoloss.report.verdict import render_verdicts
from isoloss.report.verdict_card import REMEDIES
from plot.verdict_made import about, refused, verdict
from report.browser import Browser, find_browser

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\"'&" + "n" * 300


class Ids(HTMLParser):
    """Identifiers, tags and references of a page."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.tags, self.outside = [], [], [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [v[1:] for k, v in attrs if k == "href" and v.startswith("#")]
        self.outside += [v for k, v in attrs if k in ("src", "href") and not re.match("#|data:", v)]


def parsed(page):
    parser = Ids()
    parser.feed(page)
    return parser


def words(page):
    body = page.partition("<body>")[2].partition("<script>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def test_the_card_says_the_decision_and_what_it_rests_on():
    page = words(render_verdicts(verdict(), command="isoloss prune verdict pilots.csv"))
    for said in (
        "Prune: keep the hardest.", "prune, hard", "50 %", "40 % to 60 %",
        "Intervals are at 90 %: made up", "1 of 2 forms of the loss are not excluded",
        "power, drift (0.90)", "misses the means of pilots by 1.2 times",
        "missed the gain there by 3 %", "2.5 times beyond the largest pilots",
        "Nothing was held out.", "hard overtakes random at 200 (180 to 220) examples kept",
        "within 2 % of that of the whole pool from 70 % (60 % to 80 %)",
        "paid back by 0.4 (0.3 to 0.5) trainings", "The frontier falls faster.",
        "Worst class loses.", "Keep the hardest 30 %.", "abc123",
        "isoloss prune verdict pilots.csv",
    ):  # fmt: skip
        assert said in page, said
    assert "/home/someone" not in page


def test_the_pilots_and_every_share_are_in_the_tables():
    page = render_verdicts(verdict())
    gains = page.partition('id="card-1-tab-gains"')[2].partition("</table>")[0]
    assert gains.count("<tr>") == 1 + 4
    assert "not told from zero" in gains
    assert "helps" in gains
    pilots = page.partition('id="card-1-tab-pilots"')[2].partition("</table>")[0]
    assert pilots.count("<tr>") == 1 + 15


def test_the_drawing_holds_the_gains_where_they_are():
    page = render_verdicts(verdict())
    found = re.search(r'aria-labelledby="card-1-gains-wide-title[^>]*data-x="([^"]*)"', page)
    low, high, start, end = map(float, found[1].split(","))
    drawing = page.partition('id="card-1-gains-wide-title"')[2].partition("</svg>")[0]
    places = [float(v) for v in re.findall(r'<circle cx="([^"]*)"', drawing)]
    gains = [low + (p - start) / (end - start) * (high - low) for p in places]
    assert gains == pytest.approx([50, 50 / 3, -20, -20 / 3], abs=0.2)


def test_several_scores_get_an_overview_and_identifiers_of_their_own():
    page = render_verdicts([verdict(), refused(metric="other"), verdict(answer="none")])
    found = parsed(page)
    assert len(set(found.ids)) == len(found.ids)
    assert set(found.links) <= set(found.ids)
    assert found.outside == []
    assert "overview" in found.ids
    assert "2 with a verdict" in words(page)
    assert "do not prune" in words(page)


def test_a_refused_verdict_has_a_card_that_says_why_and_what_to_do():
    for pilots in ({}, {"points": ()}):
        page = words(render_verdicts(refused(**pilots)))
        assert "No verdict." in page
        assert "0 runs repeat" in page
        assert "Why there is no verdict" in page
        assert REMEDIES["ONE_SEED"] in page


def test_names_cannot_become_markup():
    odd = verdict(
        metric=HOSTILE, data=HOSTILE, sentence=HOSTILE, notes=(HOSTILE,), source=HOSTILE,
        reasons=(Reason(code="<i>", message=HOSTILE),), status="suspect",
    )  # fmt: skip
    page = render_verdicts([odd, odd], command=HOSTILE)
    assert parsed(page).tags.count("script") == 1
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_intervals_without_end_are_said():
    odd = verdict(spread=math.inf, break_even=None)
    page = words(render_verdicts(odd))
    assert "−∞ to ∞" in page
    assert "Not known: give columns flops" in page
    lost = verdict().break_even
    lost = type(lost)(trainings=about(math.inf), compute=about(math.inf), unit="seen", score=1.0,
                      train=1.0, multiplier=about(0.5))  # fmt: skip
    assert "Never: pruning saves no training" in words(render_verdicts(verdict(break_even=lost)))


def test_one_policy_alone():
    page = render_verdicts(verdict(policies=("hard",), frontier=None, crossovers=()))
    assert "easy 60 %" not in words(page)


def test_every_remedy_is_of_a_code_that_the_pages_explain():
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "pruning-verdict.md").read_text("utf8")
    for code in REMEDIES:
        assert f"`{code}`" in text, code


def test_nothing_to_render_is_told():
    with pytest.raises(InputError, match="none"):
        render_verdicts([])


@pytest.mark.skipif(find_browser() is None, reason="no Chromium on PATH")
def test_the_page_stands_in_a_browser(tmp_path):
    odd = verdict(metric=HOSTILE, data=HOSTILE, notes=(HOSTILE,))
    path = tmp_path / "card.html"
    path.write_text(render_verdicts([verdict(), odd, refused()]), encoding="utf8")
    with Browser(tmp_path / "profile") as browser:
        for width, dark in ((1280, False), (380, True)):
            with browser.open(path.as_uri(), width=width, dark=dark) as page:
                assert page.run("document.documentElement.scrollWidth") <= width
                shown = "getComputedStyle(document.querySelector('.plot.narrow')).display"
                assert page.run(shown) == ("block" if width < 700 else "none")
                assert page.run("document.querySelectorAll('button.copy:not([hidden])').length") > 5
        loud = [e for e in browser.events if e.get("method") in (
            "Runtime.exceptionThrown", "Log.entryAdded")]  # fmt: skip
        assert loud == []
        asked = [e["params"]["request"]["url"] for e in browser.events
                 if e.get("method") == "Network.requestWillBeSent"]  # fmt: skip
        assert all(url.startswith(("file:", "data:")) for url in asked)
