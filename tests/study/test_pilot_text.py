"""Pilots of text: scores of pieces, and the way to a table."""

import math
from dataclasses import replace

import numpy as np
import pytest

from isoloss._core.executor import open_executor
from isoloss.errors import InputError
from isoloss.study.pilot_table import pilot_means, read_pilots
from isoloss.study.pilot_text import TextScoring, ngram_rows, score_text
from isoloss.study.pilots import Network, train_pilots
from isoloss.sweep import DataSpec, Mlp, load_data
from isoloss.sweep.ledger import read_ledger
from isoloss.sweep.shapes import Transformer

torch = pytest.importorskip("torch")

MODEL = Transformer(width=8, depth=1, heads=1, context=16)
SCORING = TextScoring(model=MODEL, batch=4, passes=3)
NETWORK = Network(model=MODEL, epochs=2.0, batch=4, lr=0.01)
PIECE = 64


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """Half of the pieces a sentence again and again, half letters at random."""
    rng = np.random.default_rng(0)
    easy = np.resize(np.frombuffer(b"the same words again. ", dtype=np.uint8), PIECE)
    parts = [easy if i % 2 == 0 else rng.integers(32, 127, PIECE) for i in range(600)]
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(np.concatenate(parts).astype(np.uint8).tobytes())
    return DataSpec(name="text", path=str(path))


def run(spec, out, **changes):
    call = {
        "metrics": ("perplexity",), "keeps": (0.5,), "pools": (64, 128), "seeds": (0,),
        "piece": PIECE, "network": NETWORK, "scoring": SCORING,
    }  # fmt: skip
    with open_executor("here", workers=1) as executor:
        return train_pilots(spec, out, **(call | {"executor": executor} | changes))


def test_what_repeats_is_easy_by_perplexity_and_by_novelty(spec):
    rows = np.arange(0, 128)
    found = score_text(load_data(spec), PIECE, rows, ["novelty", "perplexity"], scoring=SCORING)
    assert list(found) == ["novelty", "perplexity"]
    for scored in found.values():
        values = scored.scores.values
        assert values[::2].max() < values[1::2].min()
        assert scored.flops > 0
        assert scored.scores.ids.tolist() == rows.tolist()
    assert np.abs(found["novelty"].scores.values[::2]).max() < 1e-6


def test_ngrams_agree_with_counting_by_hand():
    text = np.frombuffer(b"abababcdcdcdabcdcbab", dtype=np.uint8).reshape(2, 10)
    rows = ngram_rows(text, longest=2, buckets=8192)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1])
    shares = []
    for piece in text:
        raw = piece.tobytes()
        grams = [raw[i : i + n] for n in (1, 2) for i in range(len(raw) - n + 1)]
        shares.append({g: grams.count(g) / len(grams) for g in grams})
    wanted = sum(math.sqrt(p * shares[1].get(g, 0)) for g, p in shares[0].items())
    assert rows[0] @ rows[1] == pytest.approx(wanted, abs=1e-6)


def test_the_table_has_losses_and_no_errors(spec, tmp_path):
    found = run(spec, tmp_path, metrics=("perplexity", "prototypes"))
    assert not found.failed
    rows = read_pilots(found.table)
    assert len(rows) == 2 * (1 + 1 + 2 * 2)
    assert all(math.isnan(r["error"]) and r["loss"] > 0 for r in rows)
    assert {(r["pool"], r["D"]) for r in rows} == {(64, 32), (64, 64), (128, 64), (128, 128)}
    assert {r["seen"] for r in rows if r["D"] == 64} == {64 * PIECE * 2}
    by = {(m["pool"], m["metric"], m["policy"]): m for m in pilot_means(rows) if m["keep"] < 1}
    chance, hard = by[128, "", "random"], by[128, "perplexity", "hard"]
    assert hard["gain"] == pytest.approx(chance["loss"] - hard["loss"], abs=1e-5)
    assert "nats/byte" in found.summary()
    kept = {}
    for row in read_ledger(tmp_path / "ledger.jsonl"):
        name = row["spec"]["data"]["selection"].split("/")[-1]
        kept.setdefault(np.load(tmp_path / "selections" / name).tobytes(), set()).add(row["data"])
    assert len(kept) == len(set.union(*kept.values())) > 4


def test_hard_pieces_are_those_of_noise(spec, tmp_path):
    run(spec, tmp_path, pools=(128,))
    (path,) = (tmp_path / "selections").glob("*perplexity-hard*.npy")
    assert (np.load(path) % 2).mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"metrics": ("el2n",)}, "known are perplexity"), ({"piece": 100}, "multiple of the 16"),
        ({"class_floor": 0.5}, "no classes"), ({"network": Network(model=Mlp(width=4))}, "text"),
        ({"pools": (5000,)}, "at most the"),
    ],
)  # fmt: skip
def test_what_text_has_not_is_refused(spec, tmp_path, changes, why):
    with pytest.raises(InputError, match=why):
        run(spec, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_text_settings_are_not_for_classes(tmp_path):
    with pytest.raises(InputError, match="no text"):
        run(DataSpec(name="mnist1d", examples=300), tmp_path, metrics=("prototypes",))
    with pytest.raises(InputError, match="buckets"):
        replace(SCORING, buckets=1)


@pytest.mark.parametrize("name", ["width", "epochs", "lr", "model", "embedding"])
def test_the_command_refuses_options_that_text_does_not_heed(name, tmp_path):
    from click.testing import CliRunner

    from isoloss.cli import main

    value = {"model": "cnn", "embedding": "pixels"}.get(name, "8")
    words = ["prune", "pilots", "stdlib", "--out", str(tmp_path / "out"), f"--{name}", value]
    found = CliRunner().invoke(main, words)
    assert found.exit_code == 2
    assert f"--{name}" in found.output
    assert not (tmp_path / "out").exists()
