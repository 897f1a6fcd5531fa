import json
from pathlib import Path

import numpy as np
import pytest

from cli.commands import call
from isoloss.plot.spectrum import draw_spectrum, spectrum_series
from isoloss.spectra import study_spectrum
from isoloss.theory import from_modes, random_features
from spectra.made import known

KEYS = [
    "schema", "headline", "spectrum", "exponent", "target", "dimension", "curve",
    "population", "check", "alpha_D", "doubts",
]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    x, y, _ = known(400, 60)
    np.save(folder / "x.npy", x.astype(np.float32))
    np.save(folder / "y.npy", y)
    return folder


def test_the_answer_in_json(files, tmp_path):
    x, y = files / "x.npy", files / "y.npy"
    words = ["spectrum", x, "--labels", y, "--check", "2", "--N", "20,inf", "--D", "20,40"]
    picture = tmp_path / "picture.svg"
    result = call(*words, "--seed", "3", "--plot", picture, "--json")
    assert result.exit_code in (0, 3), result.stderr
    answer = json.loads(result.stdout)
    assert list(answer) == KEYS
    assert answer["curve"]["N"] == [20, 20, "inf", "inf"]
    assert answer["curve"]["D"] == [20, 40, 20, 40]
    assert len(answer["check"]["measured"]) == 4
    behind = answer["population"]
    assert behind["size"] == pytest.approx(60, abs=1)
    again = from_modes(behind["lam"], behind["v2"], multiplicity=behind["multiplicity"],
                       tail=behind["tail"], v0=behind["v0"])  # fmt: skip
    loss = random_features(again, np.inf, 39, ridge="optimal").test_total * (1 + 1 / 40)
    assert float(loss) == pytest.approx(answer["curve"]["loss"][3], rel=0.05)
    assert [d["method"] for d in answer["dimension"]] == ["levina-bickel", "twonn"]
    assert picture.read_bytes().startswith(b"<?xml")
    again = call(*words, "--seed", "3", "--json")
    assert again.stdout == result.stdout


def test_every_key_is_described():
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf8")
    section = page[page.index("## `isoloss spectrum") :]
    x, y, _ = known(400, 60)
    answer = study_spectrum(x, y, check=2).to_dict()
    parts = [v[0] if isinstance(v, list) else v for v in answer.values()]
    keys = {*answer, *(k for part in parts if isinstance(part, dict) for k in part)}
    assert len(keys) > 50
    for key in keys:
        assert f"`{key}`" in section, key


def test_groups_are_read(files, tmp_path):
    path = tmp_path / "groups.txt"
    path.write_text("file\n" + "".join(f"{'abcdefgh'[i // 50]}\n" for i in range(400)))
    words = ["spectrum", files / "x.npy", "--labels", files / "y.npy", "--json"]
    one = json.loads(call(*words, "--groups", path).stdout)
    two = json.loads(call(*words).stdout)
    assert "over 8 groups" in one["exponent"]["interval"]["method"]
    assert one["exponent"]["interval"] != two["exponent"]["interval"]
    assert one["spectrum"]["eigenvalues"] == pytest.approx(two["spectrum"]["eigenvalues"])


def test_the_answer_in_sentences(files):
    result = call("spectrum", files / "x.npy", "--labels", files / "y.npy", "--range", "2,20")
    assert result.stdout == ""
    for part in ("eigenvalues fall as k^-1", "over ranks 2 to 20", "alpha_D", "by levina-bickel",
                 "predicted"):  # fmt: skip
        assert part in result.stderr
    bare = call("spectrum", files / "x.npy", "--uncentred", "--json")
    answer = json.loads(bare.stdout)
    assert (answer["curve"], answer["target"], answer["spectrum"]["centred"]) == (None, None, False)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--labels", "absent.npy"], 1, "absent.npy"),
        (["--range", "5"], 2, "LOW,HIGH"),
        (["--range", "5,7"], 1, "at least 8"),
        (["--range", "1,10000"], 1, "from 1 to 60"),
        (["--ridge", "much"], 2, "ridgeless"),
        (["--ridge", "nan", "--labels", "{y}"], 1, "finite"),
        (["--labels", "{y}", "--D", "1"], 1, "at least 2"),
        (["--labels", "{y}", "--D", "nan"], 1, "D"),
        (["--labels", "{y}", "--N", "0"], 1, "N"),
        (["--labels", "{y}", "--check", "1"], 1, "check"),
        (["--labels", "{y}", "--check", "2", "--D", "1e9"], 1, "outside the test set"),
        (["--labels-are", "classes", "--labels", "{y}"], 1, "classes"),
        (["--check", "2"], 1, "labels"),
    ],
)
def test_bad_words_end_in_a_sentence(files, words, code, said):
    names = {"{x}": files / "x.npy", "{y}": files / "y.npy"}
    result = call("spectrum", files / "x.npy", *(names.get(w, w) for w in words))
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_file_that_is_not_there_or_no_file(files, tmp_path):
    for path in (tmp_path / "absent.npy", tmp_path):
        result = call("spectrum", path)
        assert result.exit_code == 1
        assert str(path) in result.stderr


def test_the_numbers_of_the_picture():
    x, y, _ = known(500, 80)
    answer = study_spectrum(x, y, check=2).to_dict()
    series = spectrum_series(answer)
    at = series["eigenvalues"]
    assert at["fit"][0] == pytest.approx(at["lam"][at["fit_k"][0].astype(int) - 1], rel=0.5)
    target = series["target"]
    fitted = target["tail"][target["fit_k"].astype(int)]
    assert target["fit"] == pytest.approx(fitted, rel=0.3)
    assert series["checked"]["D"].size == series["curve"]["D"].size == 12
    assert spectrum_series({})["curve"]["D"].size == 0
    pytest.importorskip("matplotlib")
    ax = draw_spectrum(answer)
    panels = ax.figure.axes
    assert [p.get_title(loc="left") for p in panels] == ["Spectrum", "Target", "Learning curve"]
    assert all((p.get_xscale(), p.get_yscale()) == ("log", "log") for p in panels)
    alone = draw_spectrum(study_spectrum(x).to_dict())
    assert len(alone.figure.axes) == 1
