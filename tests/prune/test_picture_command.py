"""``prune picture``, and ``prune verdict`` with a picture and a page, as commands."""

import json

import numpy as np
import pytest

from cli.commands import call
from isoloss.prune import Scores, fit_kmeans, write_prototype_scores, write_scores

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((90, 4)).astype(np.float32)

# One seed, so that it is refused before anything is fitted.
PILOTS = "policy,keep,D,error,metric\n" + "".join(
    f"{policy},{keep},{D},{0.9 * D**-0.2 * keep},{metric}\n"
    for policy, keep, metric in (
        ("random", 1, ""), ("hard", 0.5, "el2n"), ("hard", 0.5, "<script>x</script>"),
        ("easy", 0.5, "el2n"), ("easy", 0.5, "<script>x</script>"),
    )
    for D in (100, 200, 400)
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    write_prototype_scores(ROWS, fit_kmeans(ROWS, 4), tmp_path / "s", labels=np.arange(90) % 3)
    np.save(tmp_path / "images.npy", RNG.random((90, 3, 3)))
    (tmp_path / "texts.jsonl").write_text("".join(f'{{"text": "no. {i}"}}\n' for i in range(90)))
    np.save(tmp_path / "kept.npy", np.arange(0, 90, 3))
    np.save(tmp_path / "stranger.npy", np.array([1, 900]))
    (tmp_path / "pilots.csv").write_text(PILOTS)
    return tmp_path


def picture(folder, *words):
    return call("prune", "picture", str(folder / "s"), *words)


def test_pictures_of_scores_and_clusters(folder):
    out = folder / "a.svg"
    for words in (
        (), ("--examples", str(folder / "images.npy"), "--keep", "0.3"),
        ("--examples", str(folder / "texts.jsonl"), "--kept", str(folder / "kept.npy")),
        ("--of", "clusters"), ("--of", "clusters", "--keep", "9", "--colour", "complexity"),
    ):  # fmt: skip
        found = picture(folder, "--out", str(out), "--json", *words)
        assert found.exit_code == 0, found.output
        answer = json.loads(found.stdout)
        assert answer["out"] == str(out)
        assert out.read_bytes().startswith(b"<?xml")
        out.unlink()
    assert answer["colour"] == "complexity"
    png = picture(folder, "--out", str(folder / "a.png"))
    assert png.exit_code == 0
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")


def test_kept_ids_and_keep_are_counted(folder):
    said = json.loads(
        picture(
            folder, "--out", str(folder / "a.svg"), "--kept", str(folder / "kept.npy"), "--json"
        ).stdout
    )
    assert sum(said["kept"]) == 30
    assert sum(said["counts"]) == 90
    assert [e["quantile"] for e in said["examples"]] == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--out", "a.pdf"), 2, "ends in .svg or .png"),
        (("--out", "a.svg", "--keep", "0.3", "--kept", "{}/kept.npy"), 2, "one of them"),
        (("--out", "a.svg", "--kept", "{}/stranger.npy"), 1, "900"),
        (("--out", "a.svg", "--of", "clusters", "--quantile", "0.5"), 2, "go with --of scores"),
        (("--out", "a.svg", "--colour", "kept"), 2, "goes with --of clusters"),
        (("--out", "a.svg", "--of", "clusters", "--colour", "kept"), 1, "give a selection"),
        (("--out", "a.svg", "--examples", "{}/kept.npy"), 1, "30 for 90"),
        (("--out", "a.svg", "--examples", "{}/nothing.npy"), 1, "nothing.npy"),
        (("--out", "a.svg", "--examples", "{}/pilots.csv"), 1, "16 lines for 90"),
        (("--out", "a.svg", "--keep", "91"), 1, "91"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(folder, words, code, said, monkeypatch):
    monkeypatch.chdir(folder)
    found = picture(folder, *(w.format(folder) for w in words))
    assert found.exit_code == code, found.output
    assert said in found.output
    assert "Traceback" not in found.output
    assert not (folder / "a.svg").exists()


def test_clusters_of_scores_without_any(folder):
    made = Scores(metric="mine", definition="a number", source="me", values=[1.0, 2.0])
    write_scores(made, folder / "plain")
    words = ("--of", "clusters", "--out", str(folder / "a.svg"))
    found = call("prune", "picture", str(folder / "plain"), *words)
    assert found.exit_code == 1
    assert "error: " in found.output


def test_refused_verdicts_are_drawn_and_have_cards(folder):
    words = ["prune", "verdict", str(folder / "pilots.csv"), "--pool", "1e4"]
    page, drawn = folder / "card.html", folder / "card.svg"
    found = call(*words, "--html", str(page), "--plot", str(drawn))
    assert found.exit_code == 3, found.output
    text = page.read_text("utf8")
    assert "&lt;script&gt;x" in text
    assert "<script>x" not in text
    assert "ONE_SEED" in text
    assert "isoloss prune verdict pilots.csv --pool 1e4 --html verdict.html" in text
    assert str(folder) not in text
    assert b"<script" not in drawn.read_bytes()
    again = folder / "again.html"
    call(*words, f"--html={again}")
    assert again.read_bytes() == page.read_bytes()


def test_a_page_is_not_written_over_the_pilots(folder):
    table = folder / "pilots.html"
    table.write_text(PILOTS)
    for option, path in (("--html", table), ("--plot", folder / "a.csv"), ("--html", folder)):
        found = call("prune", "verdict", str(table), "--pool", "1e4", option, str(path))
        assert found.exit_code == 2, found.output
    assert table.read_text() == PILOTS
