"""Random draws on a device, by torch: the one file of the room that may import it."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError, MissingExtra
from isoloss.theory.draw import Source


class DeviceSource(Source):
    """Random numbers and linear algebra of one draw on a device, in float64.

    The numbers are not numpy's, nor the same on other devices, but follow from the seed.
    """

    def __init__(self, rng: np.random.Generator, device: str) -> None:
        check_device(device)
        import torch

        super().__init__(rng)
        self.place = torch.device(device)
        self.stream = torch.Generator(device=self.place)
        self.stream.manual_seed(int(rng.integers(2**63 - 1)))

    def normal(self, *shape: int) -> Any:
        """Draw standard normal numbers."""
        import torch

        return torch.randn(shape, generator=self.stream, dtype=torch.float64, device=self.place)

    def signs(self, size: int) -> Any:
        """Draw plus and minus one."""
        import torch

        up = torch.randint(0, 2, (size,), generator=self.stream, device=self.place)
        return 2.0 * up.to(torch.float64) - 1.0

    def array(self, values: Array) -> Any:
        """Bring numbers to the device."""
        import torch

        return torch.tensor(np.asarray(values), dtype=torch.float64, device=self.place)

    def zeros(self, *shape: int) -> Any:
        """Make zeros there."""
        import torch

        return torch.zeros(shape, dtype=torch.float64, device=self.place)

    def eigh(self, matrix: Any) -> Any:
        """Eigenvalues, rising, and eigenvectors of a symmetric matrix."""
        import torch

        return torch.linalg.eigh(matrix)

    def numpy(self, values: Any) -> Array:
        """Bring results back."""
        return np.asarray(values.cpu().numpy(), dtype=np.float64)


def check_device(device: Any) -> None:
    """Refuse a device that is not there, saying what is.

    Raises
    ------
    InputError
        If the name is none of ``cpu``, ``cuda`` and ``cuda:0``, ``cuda:1``, ..., or there is no
        such device.
    MissingExtra
        Without torch.
    """
    if not isinstance(device, str) or not re.fullmatch(r"cpu|cuda(:[0-9]+)?", device):
        raise InputError(
            f"device = {device!r}: write 'cpu', 'cuda' or, of several, 'cuda:0', 'cuda:1', ..."
        )
    if find_spec("torch") is None:
        raise MissingExtra("torch", "train")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    name, _, place = device.partition(":")
    if name == "cuda" and int(place or 0) >= count:
        there = ", ".join(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count))
        raise InputError(
            f"device = {device!r}: torch {torch.__version__} finds "
            f"{there or 'no CUDA device'} here, and the CPU; write 'cpu', or leave it out"
        )
