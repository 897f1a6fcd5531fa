"""Pictures of the gallery: drawn, named, written, the same bytes each time."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError, MissingExtra
from isoloss.plot import gallery
from isoloss.plot.gallery import pictures
from isoloss.plot.gallery.style import apart

DOCS = Path(__file__).parents[2] / "docs"
SMALL = {
    "learning_curves": {"N": (20,), "M": 200, "simulate": 2, "T": (5, 100)},
    "optimal_ridge": {"alpha": (1.0,)},
    "valley": {"size": 30.0, "M": 100, "simulate": 2, "ratio": 4.0},
    "plateau": {"M": (20,), "n": (3, 300), "simulate": 2, "noise": 0.01},
    "nonlinear_spectrum": {"degree": 2, "modes": 300, "N": 100, "simulate": 2},
    "sphere_spectrum": {"d": 4, "degrees": 4},
    "regime_map": {"points": 9, "M": 100},
    "training_curves": {"N": (20,), "T": 40, "M": 100, "simulate": 2},
    "compute_envelope": {"C": (1e3, 1e4), "N": (100,), "budgets": 3},
    "pruning": {"fraction": (1.0, 0.5, 0.2), "alpha": (0.4, 3.0), "N": 20, "simulate": 2},
    "pruning_fraction": {"alpha_tot": (1.0, 5.0)},
    "pruning_frontier": {"theta": (0.0, 20.0), "alpha": (1, 30), "points": 4},
    "pruning_information": {"fraction": (0.2,), "points": 5},
    "sgd_phases": {"points": 9},
    "information_split": {"C": (1e6, 1e9)},
    "model_share": {"d": (5.0, 50.0)},
    "equivalence": {"r": 2, "p": (5, 50), "samples": 20, "simulate": 2},
    "descent": {"points": 21, "others": (1.0,), "simulate": 2},
    "early_noise": {"D": (4000,), "points": 21},
    "point_value": {"samples": 60},
    "sgd_risk": {"small": 20, "simulate": 2, "steps": (1, 100)},
    "widths": {"widths": (16, 32, 64), "T": 8, "M": 40, "seeds": 10, "points": 10},
}


def series(name):
    return getattr(gallery, f"{name}_series")(**SMALL[name])


def test_every_series_has_a_picture_and_is_tried_here():
    drawn = {n.removeprefix("draw_") for n in gallery.__all__ if n.startswith("draw_")}
    drawn -= {"gallery", "picture"}
    counted = {n.removesuffix("_series") for n in gallery.__all__ if n.endswith("_series")}
    assert drawn == counted == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_pictures_have_titles_labels_and_units(name):
    pytest.importorskip("matplotlib")
    ax = getattr(gallery, f"draw_{name}")(series(name))
    ax.figure.canvas.draw()
    assert ax.get_title(loc="left")
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert "matplotlib.pyplot" not in sys.modules
    # Texts beside the axes, at the ends of lines, stand clear of each other.
    boxes = [t.get_window_extent() for t in ax.texts if t.get_transform() == ax.transAxes]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("name", ["learning_curves", "sgd_phases"])
def test_without_matplotlib_the_extra_is_named(monkeypatch, name):
    made = series(name)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"isoloss\[plot\]"):
        getattr(gallery, f"draw_{name}")(made)


def test_lines_are_the_numbers_of_the_series_on_the_axes_given():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    ax, made = Figure().subplots(), series("learning_curves")
    assert gallery.draw_learning_curves(made, ax=ax) is ax
    curve = made["curves"][0]
    assert any(np.array_equal(line.get_ydata(), curve["loss"]) for line in ax.lines)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_labels_move_apart_no_more_than_needed():
    assert apart(np.array([0.1, 0.9]), 0.1).tolist() == [0.1, 0.9]
    moved = apart(np.array([0.52, 0.5, 0.51, 0.1]), 0.1)
    assert moved == pytest.approx([0.61, 0.41, 0.51, 0.1])
    many = np.sort(apart(np.linspace(0.4, 0.6, 7), 0.1))
    assert (np.diff(many) > 0.1 - 1e-9).all()


def test_the_gallery_writes_the_same_bytes_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    seen = []
    first, second = (
        gallery.draw_gallery(tmp_path / k, only=["optimal-ridge"], png=True, on_step=seen.append)
        for k in "ab"
    )
    assert [p.name for p in first] == ["optimal-ridge.svg", "optimal-ridge.png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert seen == ["optimal-ridge, picture 1 of 1"] * 2


@pytest.mark.parametrize(
    ("words", "piece"),
    [({"name": "nonsense"}, "learning-curves"), ({"name": "plateau", "simulate": 1}, "2 and more")],
)
def test_mistakes_are_named(words, piece):
    with pytest.raises(InputError, match=piece):
        gallery.draw_picture(**words)


def test_the_command_writes_every_picture(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    asked = []

    def one(simulate, rng):
        asked.append((simulate, rng))
        return gallery.draw_sphere_spectrum(series("sphere_spectrum"))

    monkeypatch.setattr(pictures, "_PICTURES", {"first": one, "second": one})
    words = ("theory", "gallery", "--out", tmp_path / "new")
    result = call(*words, "--simulate", "3", "--seed", "5", "--png", "--json")
    assert result.exit_code == 0, result.stderr
    files = json.loads(result.stdout)["files"]
    assert [Path(f).name for f in files] == ["first.svg", "first.png", "second.svg", "second.png"]
    assert all(Path(f).exists() for f in files)
    assert asked == [(3, 5)] * 2
    result = call(*words)
    assert asked[-1] == (10, 0)
    assert "second, picture 2 of 2" in result.stderr
    assert call(*words, "--simulate", "1").exit_code == 1
    assert call("theory", "gallery").exit_code == 2


def test_the_page_shows_every_picture_and_each_is_small():
    page = (DOCS / "gallery.md").read_text("utf8")
    shown = re.findall(r"\]\(images/theory/([a-z0-9-]+)\.svg\)", page)
    assert tuple(shown) == gallery.picture_names()
    assert {p.stem for p in (DOCS / "images" / "theory").iterdir()} == set(shown)
    for name in shown:
        assert (DOCS / "images" / "theory" / f"{name}.svg").stat().st_size < 150_000


def test_the_calls_on_the_page_draw():
    pytest.importorskip("matplotlib")
    page = (DOCS / "gallery.md").read_text("utf8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert len(blocks) == len(gallery.picture_names()) + 1
    # Without what takes time: the draws, and most of the envelope.
    code = "".join(blocks).replace("simulate=10", "simulate=0")
    code = code.replace("b=1.3)", "b=1.3, N=(100,), budgets=2)")
    assert "budgets" in code
    names = {}
    exec(compile(code, "gallery.md", "exec"), names)
    assert names["ax"].get_title(loc="left")
