import sys

import pytest

from isoloss import plot
from isoloss.errors import MissingExtra
from report.example import example_study, hostile_study, variants

# Of a study; the others have tests of their own.
OTHERS = {"draw_reliability", "draw_power"}
DRAW = sorted(n for n in plot.__all__ if n.startswith("draw_") and n not in OTHERS)


def test_six_pictures_are_public():
    assert len(DRAW) == 6


@pytest.mark.parametrize("name", DRAW)
def test_without_matplotlib_the_extra_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"isoloss\[plot\]"):
        getattr(plot, name)(example_study())


@pytest.mark.parametrize("variant", sorted(set(variants()) - {"two_thousand_runs"}))
@pytest.mark.parametrize("name", DRAW)
def test_every_picture_can_be_saved(tmp_path, name, variant):
    pytest.importorskip("matplotlib")
    if variant in {"extreme", "tiny"}:
        pytest.skip("ticks of matplotlib overflow at 1e300")
    ax = getattr(plot, name)(variants()[variant]())
    ax.figure.savefig(tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").stat().st_size > 1000


def test_pictures_use_the_axes_given_and_open_no_window():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert plot.draw_fan(example_study(), ax=ax) is ax
    assert "matplotlib.pyplot" not in sys.modules


def test_fan_draws_the_numbers_of_the_study():
    pytest.importorskip("matplotlib")
    study = example_study()
    lines = {line.get_label(): line for line in plot.draw_fan(study).lines}
    assert list(lines["compute-optimal frontier"].get_ydata()) == study["path"]["L_opt"]
    runs = study["runs"]
    fitted = [v for v, r in zip(runs["loss"], runs["role"], strict=True) if r == "fit"]
    assert list(lines["fitted runs"].get_ydata()) == fitted


def test_dollars_in_a_name_are_not_mathematics():
    pytest.importorskip("matplotlib")
    study = hostile_study()
    study["influence"]["rows"][0]["name"] = r"$\frac{broken$"
    ax = plot.draw_influence(study)
    ax.figure.canvas.draw()
    assert r"\$\frac{broken\$" in [label.get_text() for label in ax.get_yticklabels()]
