"""Three panels: fits of made rows whose laws are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from isoloss.cli import main
from isoloss.errors import InputError
from isoloss.sweep.panels import images_panel, panels_of, teachers_panel, text_panel


def images(beyond=1.0, noise=0.0):
    rng = np.random.default_rng(0)
    rows = []
    for k in range(8, 17):
        for _ in range(3):
            loss = (0.2 + 5 * 2.0 ** (-0.3 * k)) * np.exp(noise * rng.standard_normal())
            rows.append({"D": 2**k, "loss": loss * (beyond if k > 14 else 1.0)})
    return rows


def text(bend=0.0):
    rows = []
    for n in (3e3, 6e3, 1.4e4, 2.5e4, 8e4, 1.5e5):
        for d in (1e6, 1.5e6, 2e6, 3e6, 4e6):
            loss = 0.8 + 13 * n**-0.3 + 1300 * d**-0.55 * (1 + bend * (1e6 / d) ** 6)
            rows.append({"N_non_embedding": n, "D": d, "flops": 6 * n * d, "loss": loss})
    return rows


def teachers(stuck=False):
    return [
        {
            "D": 2**k,
            "loss": (1 + 0.1 * t) * 2.0 ** (-4 * k / d) + (1e-3 if stuck and k > 9 else 0),
            "train_loss": 1.0 if stuck and k > 9 else 0.0,
            "spec": {"data": {"dimension": d, "seed": t}},
        }
        for d in (4, 8)
        for t in range(3)
        for k in range(6, 13)
    ]


def test_the_law_of_images_is_found_from_the_smaller_runs_alone():
    found, moved = images_panel(images()), images_panel(images(beyond=1.1))
    assert found["shown"]["parameters"]["alpha"] == pytest.approx(0.3, rel=1e-3)
    assert [h["x"] for h in found["held_out"]] == [2.0**15, 2.0**16]
    assert all(abs(h["error_percent"]) < 0.01 for h in found["held_out"])
    assert moved["shown"] == found["shown"]
    assert [h["error_percent"] for h in moved["held_out"]] == pytest.approx([-9.09] * 2, abs=0.01)


def test_text_tells_a_law_that_holds_from_one_that_bends():
    found, bent = text_panel(text()), text_panel(text(bend=8.0))
    assert found["N_law"]["parameters"]["alpha"] == pytest.approx(0.3, rel=1e-3)
    assert [j["D_min"] for j in found["joint"]] == [1e6, 1.5e6, 2e6]
    assert "does not" not in found["sentence"]
    assert "does not pin down" in bent["sentence"]
    assert "beta" in bent["sentence"].partition("pins down the")[0]
    assert all(abs(h["error_percent"]) < 0.01 for h in found["D_held_out"])
    assert max(abs(h["error_percent"]) for h in bent["D_held_out"]) > 0.05


def test_teachers_are_fitted_where_students_fit_their_examples():
    for stuck in (False, True):
        found = teachers_panel(teachers(stuck))
        assert [t["dimension"] for t in found] == [4, 8]
        assert [t["fitted_up_to"] for t in found] == [512.0 if stuck else 4096.0] * 2
        assert [t["exponent"] for t in found] == pytest.approx([1, 0.5], rel=1e-6)


def test_what_is_too_little_is_refused():
    assert panels_of() == {}
    with pytest.raises(InputError, match="images: 3 finished runs"):
        panels_of(images=images()[:3])
    failed = [row | {"status": "failed", "loss": float("nan")} for row in text()]
    with pytest.raises(InputError, match="text: 0 finished runs"):
        panels_of(text=failed)
    poor = [row | {"train_loss": 1.0} for row in teachers()]
    with pytest.raises(InputError, match="fit their examples at fewer than 3"):
        panels_of(teachers=poor)


def test_panels_are_drawn():
    pytest.importorskip("matplotlib")
    from isoloss.plot.panels import draw_panels

    found = panels_of(images=images(), text=text(), teachers=teachers())
    figure = draw_panels(json.loads(json.dumps(found)))
    assert [ax.get_xlabel() for ax in figure.axes] == [
        "training images D", "training FLOPs C", "training examples D",
    ]  # fmt: skip
    assert len(figure.axes[2].get_legend().texts) == 2
    assert len(draw_panels({"text": found["text"]}).axes) == 1


def test_the_command_reads_a_ledger_that_is_full(tmp_path, monkeypatch):
    """Every run is there already, so that nothing is trained."""
    from isoloss.sweep import append_row, read_grid

    specs = read_grid("panels-teacher")
    for spec in specs:
        d, seed = spec.data.dimension, spec.data.seed
        row = {
            "run": spec.name, "status": "done", "spec": spec.to_dict(), "D": spec.D, "flops": 1.0,
            "loss": (1 + 0.1 * seed) * spec.D ** (-4 / d), "train_loss": 0.0,
        }  # fmt: skip
        append_row(tmp_path / "ledger.jsonl", row)
    done = CliRunner().invoke(
        main, ["sweep", "panels", "--only", "teachers", "--out", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert "2 dimensions: D^-2.00" in done.stderr
    assert json.loads((tmp_path / "panels.json").read_text())["teachers"][1]["four_over_d"] == 1
    assert (tmp_path / "panels.svg").read_bytes().startswith(b"<?xml")
