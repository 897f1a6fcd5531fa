"""The page in a real browser: the what-if control, the policy, and the width of a phone."""

import json

import numpy as np
import pytest

from isoloss.report import render_html
from isoloss.report.digits import count, significant
from report.browser import Browser, find_browser
from report.example import example_study, hostile_study

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium on PATH")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, study in (("complete", example_study()), ("hostile", hostile_study())):
        path = folder / f"{name}.html"
        path.write_text(render_html(study), encoding="utf8")
        found[name] = path.as_uri()
    return found


def set_budget(page, entry):
    page.run(
        f"(() => {{ const box = document.getElementById('whatif-budget'); box.value = {entry!r};"
        " box.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def read(page, name):
    return page.run(f"document.getElementById('whatif-{name}').textContent")


def expected(study, budget, column):
    path = study["path"]
    return float(np.exp(np.interp(np.log(budget), np.log(path["C"]), np.log(path[column]))))


@pytest.mark.parametrize(
    ("entry", "budget"),
    [("3e22", 3e22), ("4.7e18", 4.7e18), ("3×10²³", 3e23), ("10^20", 1e20), ("1e17", 1e17),
     ("1e24", 1e24)],
)  # fmt: skip
def test_what_if_interpolates_the_path(browser, addresses, entry, budget):
    study = example_study()
    with browser.open(addresses["complete"]) as page:
        set_budget(page, entry)
        n, d = (expected(study, budget, c) for c in ("N_opt", "D_opt"))
        assert read(page, "N") == count(n)
        assert read(page, "D") == count(d)
        assert read(page, "ratio") == significant(d / n, 2)
        assert read(page, "loss") == significant(expected(study, budget, "L_opt"))
        ends = [significant(expected(study, budget, c)) for c in ("L_low", "L_high")]
        assert read(page, "interval") == " – ".join(ends)
        exact = page.run("Number(document.getElementById('whatif-N').title)")
        assert exact == pytest.approx(n, rel=1e-6)


def test_reach_is_told_from_the_largest_fitted_run(browser, addresses):
    study = example_study()
    runs = study["runs"]
    fitted = [c for c, r in zip(runs["C"], runs["role"], strict=True) if r == "fit"]
    with browser.open(addresses["complete"]) as page:
        set_budget(page, f"{40 * max(fitted):.6e}")
        assert read(page, "reach") == "40× beyond the largest fitted run"
        set_budget(page, f"{max(fitted) / 2:.6e}")
        assert read(page, "reach").startswith("within the fitted runs")


@pytest.mark.parametrize("entry", ["1e30", "soon", "", "-1e22", "1e22; alert(1)"])
def test_budget_off_the_path_gives_no_number_and_says_why(browser, addresses, entry):
    with browser.open(addresses["complete"]) as page:
        set_budget(page, entry)
        assert read(page, "N") == read(page, "loss") == "–"
        assert page.run("document.getElementById('whatif-note').hidden") is False
        assert page.run("document.getElementById('whatif-budget').ariaInvalid") == "true"
        set_budget(page, "1e22")
        assert page.run("document.getElementById('whatif-note').hidden") is True
        assert read(page, "N") != "–"


def test_slider_follows_the_keyboard_and_moves_the_box(browser, addresses):
    study = example_study()
    with browser.open(addresses["complete"]) as page:
        page.run("document.getElementById('whatif-slider').focus()")
        for _ in range(10):
            page.key("ArrowRight")
        budget = page.run("Number(document.getElementById('whatif-budget').value)")
        assert budget == pytest.approx(10**22.5, rel=1e-3)
        assert read(page, "N") == count(expected(study, 10**22.5, "N_opt"))
        said = page.run("document.getElementById('whatif-slider').getAttribute('aria-valuetext')")
        assert said == "3.2×10²² FLOPs"


def test_ring_follows_the_budget_in_both_planes(browser, addresses):
    with browser.open(addresses["complete"]) as page:
        places = "[...document.querySelectorAll('.whatif-mark.on')].map(m => +m.getAttribute('cx'))"
        before = page.run(places)
        set_budget(page, "1e20")
        after = page.run(places)
        assert len(before) == len(after) == 4
        assert all(b < a for a, b in zip(before, after, strict=True))


def test_residuals_of_another_law_can_be_chosen(browser, addresses):
    with browser.open(addresses["complete"]) as page:
        shown = (
            "[...document.querySelectorAll('[data-law]')].filter(p => !p.hidden)"
            ".map(p => p.dataset.law)"
        )
        assert page.run(shown) == ["0", "0"]
        page.run(
            "(() => { const s = document.getElementById('residual-law'); s.value = '2';"
            " s.dispatchEvent(new Event('change')); })()"
        )
        assert page.run(shown) == ["2", "2"]


def test_copy_gives_tab_separated_exact_values_and_defuses_formulas(browser, tmp_path):
    study = example_study()
    study["held_out"]["rows"][0]["name"] = "=1+1"
    path = tmp_path / "page.html"
    path.write_text(render_html(study), encoding="utf8")
    with browser.open(path.as_uri()) as page:
        copied = page.run(
            "(async () => { let said = ''; Object.defineProperty(navigator, 'clipboard',"
            " {value: {writeText: async (t) => { said = t; }}});"
            " document.querySelector('[data-copy=tab-held-out]').click();"
            " await new Promise(r => setTimeout(r)); return said; })()"
        )
    head, first, *_ = (line.split("\t") for line in copied.split("\n"))
    assert head[0] == "Run"
    assert first[0] == "'=1+1"
    copied_n = float(first[head.index("N")])
    assert copied_n == pytest.approx(study["held_out"]["rows"][0]["N"], rel=1e-9)


def test_copy_falls_back_to_selecting_the_table(browser, addresses):
    with browser.open(addresses["complete"]) as page:
        picked = page.run(
            "(async () => { Object.defineProperty(navigator, 'clipboard', {value: undefined});"
            " document.querySelector('[data-copy=tab-cuts]').click();"
            " await new Promise(r => setTimeout(r)); return getSelection().toString(); })()"
        )
    assert "Fitted below, FLOPs" in picked


@pytest.mark.parametrize("name", ["complete", "hostile"])
@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_page_is_quiet_and_fits_its_width(browser, addresses, name, width, dark):
    with browser.open(addresses[name], width=width, dark=dark) as page:
        page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert page.run("document.scrollingElement.scrollWidth") <= width + 1
        assert page.run("document.querySelector('main script:not([type]), main img')") is None
        assert page.complaints() == []
        assert [a for a in page.requests() if not a.startswith(("file:", "data:"))] == []


def test_policy_stops_a_script_that_was_slipped_in(browser, tmp_path):
    poisoned = render_html(example_study()).replace(
        "<main>", "<main><script>window.slipped = 1</script>"
    )
    path = tmp_path / "poisoned.html"
    path.write_text(poisoned, encoding="utf8")
    with browser.open(path.as_uri()) as page:
        assert page.run("window.slipped === undefined")
        assert "Content Security Policy" in json.dumps(page.complaints())


def test_labels_of_a_drawing_do_not_overlap(browser, addresses):
    boxes = (
        "[...document.querySelectorAll('svg.plot')].filter(s => s.getClientRects().length)"
        ".map(s => [...s.querySelectorAll('text')].map(t => { const b = t.getBoundingClientRect();"
        " return [b.left, b.top, b.right, b.bottom, t.textContent,"
        " s.getBoundingClientRect().left, s.getBoundingClientRect().right]; }))"
    )
    for width in (360, 1280):
        with browser.open(addresses["complete"], width=width) as page:
            for labels in page.run(boxes):
                for i, (left, top, right, bottom, said, start, end) in enumerate(labels):
                    assert start - 1 <= left, said
                    assert right <= end + 1, said
                    for other in labels[i + 1 :]:
                        apart = (
                            right <= other[0] + 1 or other[2] <= left + 1
                            or bottom <= other[1] + 4 or other[3] <= top + 4
                        )  # fmt: skip
                        assert apart, (said, other[4])
