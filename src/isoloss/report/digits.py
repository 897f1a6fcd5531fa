"""Numbers as people read them: few digits, familiar units, a dash for what is missing."""

from __future__ import annotations

import math

MISSING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def significant(value: float, digits: int = 4) -> str:
    """Write a number with the given significant digits, as a power of ten when far from one.

    Examples
    --------
    >>> significant(2.03449), significant(406.4), significant(8.8e13, 3), significant(float("nan"))
    ('2.034', '406.4', '8.80×10¹³', '–')
    """
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    exponent = int(f"{abs(value):.{digits - 1}e}".partition("e")[2])
    if exponent < -4 or exponent >= max(digits + 1, 6):
        return power(value, digits)
    return _minus(f"{value:.{max(digits - 1 - exponent, 0)}f}")


def power(value: float, digits: int = 2) -> str:
    """Write a number as a multiple of a power of ten.

    Examples
    --------
    >>> power(1e22), power(3.21e-7)
    ('10²²', '3.2×10⁻⁷')
    """
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    raised = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    bare = float(mantissa)
    if abs(bare) == 1:
        return raised if bare > 0 else "−" + raised
    return f"{_minus(mantissa)}×{raised}"


def count(value: float) -> str:
    """Write a count of parameters or examples: 350M, 7.0B, 1.4T.

    Examples
    --------
    >>> count(7.02e9), count(3.5e8), count(9.99e8), count(1e15), count(12)
    ('7.0B', '350M', '999M', '10¹⁵', '12')
    """
    if not math.isfinite(value):
        return MISSING
    if not 1 <= value < 1e15:
        return power(value) if value and abs(value) >= 1e5 else significant(value, 3)
    for unit, suffix in _SUFFIXES:
        if value >= 0.9995 * unit:
            scaled = value / unit
            return f"{scaled:.1f}{suffix}" if scaled < 9.95 else f"{scaled:.0f}{suffix}"
    return f"{value:.3g}"


def percent(value: float, *, signed: bool = False) -> str:
    """Write a percentage with two significant digits, at most three decimals.

    Examples
    --------
    >>> percent(0.892), percent(12.34), percent(1.2, signed=True)
    ('0.89 %', '12 %', '+1.2 %')
    """
    if not math.isfinite(value):
        return MISSING
    size = abs(value)
    if size < 5e-4:
        return "0 %"
    decimals = 0 if size >= 9.95 else 1 if size >= 0.995 else 2 if size >= 0.0995 else 3
    if size >= 1e5:
        return f"{power(value)} %"
    return _minus(f"{value:{'+' if signed else ''}.{decimals}f} %")


def times(value: float) -> str:
    """Write a ratio: ``4.2×``.

    Examples
    --------
    >>> times(4.21), times(1234.0), times(0.25)
    ('4.2×', '1230×', '0.25×')
    """
    if not math.isfinite(value):
        return MISSING
    if abs(value) >= 1e5 or 0 < abs(value) < 1e-3:
        return f"{power(value)}×"
    digits = 3 if abs(value) >= 100 else 2
    return f"{significant(float(f'{value:.{digits}g}'), digits)}×"


def exact(value: float) -> str:
    """Write every digit, for tooltips and copied tables; empty when missing.

    Examples
    --------
    >>> exact(7.02e9), exact(2.5), exact(float("nan"))
    ('7020000000', '2.5', '')
    """
    if not math.isfinite(value):
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.10g}"


def decade_ticks(low: float, high: float, most: int) -> list[float]:
    """Positions for a log axis: decades, thinned to ``most``, or 1-2-5 steps of a short span.

    Examples
    --------
    >>> decade_ticks(2e18, 3e22, 5)
    [1e+19, 1e+20, 1e+21, 1e+22]
    >>> decade_ticks(20.0, 150.0, 6)
    [20.0, 50.0, 100.0]
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    decades = list(range(first, last + 1))
    fine = [
        float(f"{m}e{k}")
        for k in range(math.floor(math.log10(low)), last + 1)
        for m in (1, 2, 5)
        if low * (1 - 1e-9) <= float(f"{m}e{k}") <= high * (1 + 1e-9)
    ]
    if len(decades) >= 3 or (len(decades) == 2 and len(fine) > most):
        step = math.ceil(len(decades) / most)
        return [float(f"1e{k}") for k in decades if k % step == 0]
    return fine if 2 <= len(fine) <= most else linear_ticks(low, high, most)


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Round positions (1, 2, 2.5 or 5 times a power of ten) inside a range.

    Examples
    --------
    >>> linear_ticks(1.93, 2.61, 5)
    [2.0, 2.2, 2.4, 2.6]
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    exponent = math.floor(math.log10(span / most))
    unit, decimals = 10.0**exponent, max(2 - exponent, 0)
    for step in (unit, 2 * unit, 2.5 * unit, 5 * unit, 10 * unit, 20 * unit):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [round(k * step, decimals) for k in range(first, last + 1)]
    return [low, high]


def tick_labels(ticks: list[float]) -> list[str]:
    """Write ticks with the same decimals, as few as keep each of them exact.

    Examples
    --------
    >>> tick_labels([2.1, 2.125, 2.15]), tick_labels([-10.0, 0.0, 10.0])
    (['2.100', '2.125', '2.150'], ['−10', '0', '10'])
    """
    largest = max((abs(t) for t in ticks), default=0.0)
    if largest >= 1e6 or 0 < largest < 1e-4:
        return [power(t) for t in ticks]
    for decimals in range(7):
        if all(abs(round(t, decimals) - t) <= 1e-9 * largest for t in ticks):
            break
    return [_minus(f"{t + 0.0:.{decimals}f}") for t in ticks]


def _minus(shown: str) -> str:
    return shown.replace("-", "−")
