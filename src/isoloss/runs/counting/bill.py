"""From FLOPs to device-hours and money; nothing is assumed silently."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from isoloss.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Peak of one device for dense products in 16-bit floating point.

    Attributes
    ----------
    name, peak
        Name, and FLOPs a second without sparsity.
    source
        Where it is printed.
    """

    name: str
    peak: float
    source: str


_SPARSE = "data sheet; the larger figure printed beside it is with sparsity"
_LIST = (
    ("v100", 125e12, "NVIDIA V100 data sheet (SXM2), tensor cores, FP16"),
    ("a100", 312e12, f"NVIDIA A100 {_SPARSE}: 624e12"),
    ("h100-sxm", 989.4e12, f"NVIDIA H100 {_SPARSE}: 1,979e12"),
    ("h100-pcie", 756e12, f"NVIDIA H100 {_SPARSE}: 1,513e12"),
    ("h200", 989.4e12, f"NVIDIA H200 {_SPARSE}: 1,979e12"),
    ("mi300x", 1307.4e12, f"AMD Instinct MI300X {_SPARSE}: 2,614.9e12"),
    ("tpu-v3", 123e12, "Google Cloud TPU v3 documentation, a chip"),
    ("tpu-v4", 275e12, "Google Cloud TPU v4 documentation, a chip; PaLM, arXiv:2204.02311"),
    ("tpu-v5e", 197e12, "Google Cloud TPU v5e documentation, a chip"),
    ("tpu-v5p", 459e12, "Google Cloud TPU v5p documentation, a chip"),
)
HARDWARE: Mapping[str, Hardware] = MappingProxyType(
    {name: Hardware(name=name, peak=peak, source=source) for name, peak, source in _LIST}
)
"""Devices by name. A peak is a property of a device; utilisation and price are yours to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingBill:
    """What a training takes.

    Attributes
    ----------
    C, peak, utilisation
        FLOPs, peak of one device, share of it that does model FLOPs (MFU).
    device_hours
        C / (peak utilisation), in hours of one device.
    devices, days
        How many work together, and for how long; None where not said.
    price, cost
        Money a device-hour and in all; None where not said.
    """

    C: float
    peak: float
    utilisation: float
    device_hours: float
    devices: int | None
    days: float | None
    price: float | None
    cost: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {name: getattr(self, name) for name in self.__slots__}

    def summary(self) -> str:
        """One line for people."""
        text = (
            f"{self.device_hours:,.4g} device-hours at {100 * self.utilisation:g} % of "
            f"{self.peak:.4g} FLOPs a second"
        )
        if self.days is not None:
            text += f"; {self.days:,.3g} days on {self.devices:,} devices"
        if self.cost is not None:
            text += f"; {self.cost:,.4g} at {self.price:g} an hour"
        return text


def peak_of(hardware: str | float) -> float:
    """Find the peak of a device by name, or take a number of FLOPs a second.

    Raises
    ------
    InputError
        For an unknown name, or a peak that is not positive.

    Examples
    --------
    >>> peak_of("a100")
    312000000000000.0
    """
    if isinstance(hardware, str) and hardware in HARDWARE:
        return HARDWARE[hardware].peak
    try:
        return _positive("hardware", hardware)
    except InputError:
        raise InputError(
            f"hardware = {repr(hardware)[:60]}: must be FLOPs a second of one device, or one of "
            f"{', '.join(HARDWARE)}"
        ) from None


def training_bill(
    C: float,
    *,
    hardware: str | float,
    utilisation: float,
    devices: int | None = None,
    price: float | None = None,
) -> TrainingBill:
    """Turn training FLOPs into device-hours, days and money.

    Parameters
    ----------
    C
        Training FLOPs, counted in the convention in which the utilisation was measured.
    hardware
        Name in `HARDWARE`, or peak FLOPs a second of one device.
    utilisation
        Model FLOPs utilisation, above 0 and at most 1; no value is assumed.
    devices
        How many work together, for the days.
    price
        Money for one device-hour; without it no cost is given.

    Raises
    ------
    InputError
        For values that break a rule.

    Examples
    --------
    >>> training_bill(3.14e23, hardware="v100", utilisation=0.4, price=2.0).summary()
    '1.744e+06 device-hours at 40 % of 1.25e+14 FLOPs a second; 3.489e+06 at 2 an hour'
    """
    flops, peak = _positive("C", C), peak_of(hardware)
    share = _positive("utilisation", utilisation)
    if share > 1:
        raise InputError(f"utilisation = {utilisation!r}: a share of the peak, at most 1")
    if devices is not None and (
        isinstance(devices, bool) or not isinstance(devices, int) or devices < 1
    ):
        raise InputError(f"devices = {devices!r}: must be a whole number of at least 1")
    rate = None if price is None else _positive("price", price)
    hours = flops / (peak * share * 3600)
    return TrainingBill(
        C=flops,
        peak=peak,
        utilisation=share,
        device_hours=hours,
        devices=devices,
        days=None if devices is None else hours / devices / 24,
        price=rate,
        cost=None if rate is None else hours * rate,
    )


def model_utilisation(
    flops_per_token: float, tokens_per_second: float, *, hardware: str | float, devices: int = 1
) -> float:
    """Share of the peak that did model FLOPs: throughput times FLOPs a token over the peak.

    References
    ----------
    Chowdhery et al. 2022, arXiv:2204.02311, appendix B.

    Examples
    --------
    >>> round(model_utilisation(3.278e12, 238.3e3, hardware="tpu-v4", devices=6144), 3)
    0.462
    """
    if isinstance(devices, bool) or not isinstance(devices, int) or devices < 1:
        raise InputError(f"devices = {devices!r}: must be a whole number of at least 1")
    spent = _positive("flops_per_token", flops_per_token)
    spent *= _positive("tokens_per_second", tokens_per_second)
    return spent / (peak_of(hardware) * devices)


def _positive(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{name} = {repr(value)[:60]}: must be a finite number above 0")
    return number
