"""Features of a network that others trained: what it is shown, and files that are no weights."""

import os

import numpy as np
import pytest

from isoloss.errors import InputError, MissingExtra
from isoloss.sweep import DataSpec, load_data
from sweep.pretrained_made import MODULES, hide, install, weights

torch = pytest.importorskip("torch")


@pytest.fixture
def network(monkeypatch, tmp_path):
    from isoloss.sweep.pretrained import EfficientNet

    install(monkeypatch, tmp_path / "packages")
    return EfficientNet(side=40)


def by_hand(images):
    held = weights()
    mixed, bias = held["mixed.weight"].numpy()[:, :, 0, 0], held["mixed.bias"].numpy()
    three = np.broadcast_to(images, (len(images), 3, *images.shape[2:]))
    out = np.einsum("ok,nkij->noij", mixed, (255 * three - 127) / 128) + bias[:, None, None]
    return np.maximum(out, 0).mean(axis=(2, 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_images_prepared_by_hand(network, channels):
    images = np.random.default_rng(0).random((70, channels, 40, 40)).astype(np.float32)
    np.testing.assert_allclose(network.features(images), by_hand(images), atol=1e-5)
    assert (network.width, network.flops) == (12, 2 * 12 * 40 * 40 * 3)


def test_small_images_are_stretched(network):
    flat = np.full((3, 1, 7, 9), 0.25, dtype=np.float32)
    np.testing.assert_allclose(network.features(flat), by_hand(flat), atol=1e-5)


def test_weights_have_one_digest_and_others_another(network, monkeypatch, tmp_path):
    from isoloss.sweep.pretrained import EfficientNet

    assert EfficientNet().digest == network.digest
    install(monkeypatch, tmp_path / "others", weights() | {"mixed.bias": torch.zeros(12)})
    assert EfficientNet().digest != network.digest


@pytest.mark.parametrize("module", MODULES)
def test_an_absent_package_is_named(network, monkeypatch, module):
    from isoloss.sweep.pretrained import EfficientNet

    hide(monkeypatch, module)
    with pytest.raises(MissingExtra, match=module.replace("_", "-")) as found:
        EfficientNet()
    assert "pip install 'isoloss[pretrained]'" in str(found.value)


class Evil:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("kind", ["evil", "other", "list", "noise", "large", "none"])
def test_files_that_are_no_weights_are_refused(monkeypatch, tmp_path, kind):
    import isoloss.sweep.pretrained as room

    mark = tmp_path / "ran"
    held = {"evil": Evil(mark), "other": {"a": torch.zeros(2)}, "list": [torch.zeros(2)]}
    path = install(monkeypatch, tmp_path / "packages", held.get(kind))
    if kind == "noise":
        path.write_bytes(b"PK" + bytes(range(200)))
    if kind == "large":
        monkeypatch.setattr(room, "_MOST_WEIGHTS", 100)
    if kind == "none":
        path.unlink()
    piece = {"other": "another network", "list": "tensors by name", "large": "more than",
             "none": "install the package again"}.get(kind, "no file of weights")  # fmt: skip
    with pytest.raises(InputError, match=piece):
        room.EfficientNet()
    assert not mark.exists()


def test_a_side_too_small_is_refused(network):
    with pytest.raises(InputError, match="at least 32"):
        type(network)(side=16)


@pytest.mark.slow
def test_the_real_network_tells_clothes_apart():
    for name in MODULES:
        pytest.importorskip(name)
    from isoloss.sweep.pretrained import EfficientNet

    try:
        data = load_data(DataSpec(name="fashion-mnist"))
    except InputError:
        pytest.skip("Fashion-MNIST is not installed")
    x, y = data.train_x[:400], data.train_y[:400]
    x = (x - data.train_x.min(axis=0)) / np.ptp(data.train_x, axis=0).max()
    network = EfficientNet()
    made = network.features(x)
    assert made.shape == (400, 1280)
    # 385 million multiplications on 224 x 224 pixels, by its authors' table.
    assert network.flops == pytest.approx(2 * 385e6 * (96 / 224) ** 2, rel=0.1)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    means = np.stack([made[:200][y[:200] == c].mean(axis=0) for c in range(10)])
    assert ((made[200:] @ means.T).argmax(axis=1) == y[200:]).mean() > 0.55
