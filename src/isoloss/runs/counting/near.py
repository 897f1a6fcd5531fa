"""Shapes that can be built near a wanted size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.counting.count import count_model
from isoloss.runs.counting.decoder import DecoderModel

SIZES = ("total", "non-embedding", "active", "active-non-embedding")
_DEEPEST = 1000
_WIDEST = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class NearShape:
    """A model that can be built, and how far its size is from the one wanted.

    Attributes
    ----------
    model
        Its description.
    N
        Its exact size, counted as asked.
    error
        N over the size wanted, minus one.
    aspect
        Width over depth.
    flops
        Training FLOPs per token, exact.
    """

    model: DecoderModel
    N: int
    error: float
    aspect: float
    flops: int | float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        m = self.model
        return {
            "depth": m.depth,
            "width": m.width,
            "heads": m.heads,
            "kv_heads": m.key_heads,
            "head_width": m.head_units,
            "mlp_width": m.hidden,
            "aspect": self.aspect,
            "N": self.N,
            "error": self.error,
            "flops": self.flops,
        }


def shapes_near(
    N: float,
    *,
    vocabulary: int,
    context: int,
    count: str = "total",
    multiple: int = 64,
    head_width: int = 64,
    group: int = 1,
    mlp_ratio: float | None = None,
    mlp_multiple: int = 64,
    aspect: tuple[float, float] = (32.0, 160.0),
    limit: int = 10,
    **fields: Any,
) -> tuple[NearShape, ...]:
    r"""List buildable transformers whose size is nearest to N, nearest first.

    For every depth the two widths around N are taken: size grows with width, so no other width of
    that depth is nearer. The distance is :math:`|\log(N_{shape}/N)|`.

    Parameters
    ----------
    N
        Size wanted, counted as ``count`` says.
    vocabulary, context
        As of `DecoderModel`.
    count
        ``total``, ``non-embedding``, ``active`` or ``active-non-embedding``.
    multiple, head_width
        Width is a multiple of both.
    group
        Query heads that share one head of keys and values; where it does not divide the heads of a
        width, that width is passed over.
    mlp_ratio, mlp_multiple
        Hidden units over width, rounded to the nearest multiple; by default 4, or 8/3 where a third
        matrix gates, so that both have about the same size.
    aspect
        Least and most width over depth.
    limit
        Most shapes to return.
    fields
        Others of `DecoderModel`, such as ``gated=True, tied=False``.

    Raises
    ------
    InputError
        For N that is not positive, or where no shape fits the rules.

    Examples
    --------
    >>> best = shapes_near(1.3e9, vocabulary=50257, context=2048, head_width=128)[0]
    >>> best.model.depth, best.model.width, best.N, round(best.error, 4)
    (21, 2176, 1302666752, 0.0021)
    """
    wanted = _wanted(N)
    if count not in SIZES:
        raise InputError(f"count = {count!r}: must be one of {', '.join(SIZES)}")
    rules = {"multiple": multiple, "head_width": head_width, "group": group, "limit": limit}
    rules["mlp_multiple"] = mlp_multiple
    for name, value in rules.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} = {value!r}: must be a whole number of at least 1")
    low, high = _aspect(aspect)
    step = math.lcm(multiple, head_width)
    if step > _WIDEST:
        raise InputError(f"multiple, head_width: their common multiple {step} is beyond {_WIDEST}")
    ratio = (8 / 3 if fields.get("gated") else 4.0) if mlp_ratio is None else mlp_ratio
    if not (isinstance(ratio, (int, float)) and 0 < ratio < 1e6):
        raise InputError(f"mlp_ratio = {ratio!r}: must be a positive number")

    def build(depth: int, k: int) -> DecoderModel:
        width = k * step
        heads = width // head_width
        hidden = max(1, math.floor(ratio * width / mlp_multiple + 0.5)) * mlp_multiple
        return DecoderModel(
            width=width, depth=depth, heads=heads, head_width=head_width, mlp_width=hidden,
            kv_heads=max(1, heads // group), vocabulary=vocabulary, context=context, **fields,
        )  # fmt: skip

    found: list[tuple[float, int, int]] = []
    beyond = 0
    for depth in range(1, _DEEPEST + 1):
        least = max(1, math.ceil(low * depth / step))
        most = min(math.floor(high * depth / step), _WIDEST // step)
        usable = _Sizes(build, depth, step // head_width, group, count)
        sizes = {k: usable.size(k) for k in usable.around(wanted, least, most)}
        found += [(abs(math.log(size / wanted)), depth, k) for k, size in sizes.items()]
        # The least width grows with depth: once that is too large, deeper ones are further away.
        beyond += bool(sizes) and min(sizes.values()) > wanted
        if beyond > limit:
            break
    if not found:
        raise InputError(
            f"no shape has a width that is a multiple of {step} and an aspect ratio between "
            f"{low:g} and {high:g}; widen the aspect ratio or take a smaller multiple"
        )
    made = []
    for _, depth, k in sorted(found)[:limit]:
        model = build(depth, k)
        size = _size(model, count)
        made.append(
            NearShape(model=model, N=size, error=size / wanted - 1, aspect=model.width / depth,
                      flops=count_model(model).flops)
        )  # fmt: skip
    return tuple(made)


class _Sizes:
    """Sizes of one depth by width; private."""

    def __init__(self, build: Any, depth: int, heads: int, group: int, count: str) -> None:
        self._build, self._depth, self._count = build, depth, count
        # Heads of a width must be a multiple of the group.
        self._stride = group // math.gcd(group, heads)

    def size(self, k: int) -> int:
        return _size(self._build(self._depth, k), self._count)

    def around(self, wanted: float, least: int, most: int) -> list[int]:
        """Bisect for the widths below and above a size."""
        low, high = -(-least // self._stride), most // self._stride
        if low > high:
            return []
        ends = low, high
        while high - low > 1:
            middle = (low + high) // 2
            if self.size(middle * self._stride) < wanted:
                low = middle
            else:
                high = middle
        inside = {min(max(k, ends[0]), ends[1]) for k in (low, high)}
        return [k * self._stride for k in sorted(inside)]


def _size(model: DecoderModel, count: str) -> int:
    counts = count_model(model)
    return {
        "total": counts.N_total,
        "non-embedding": counts.N_non_embedding,
        "active": counts.N_active,
        "active-non-embedding": counts.N_active_non_embedding,
    }[count]


def _wanted(N: float) -> float:
    try:
        value = float(N)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"N = {repr(N)[:60]}: must be a finite number above 0")
    return value


def _aspect(aspect: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in aspect)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (0 < low <= high < math.inf):
        raise InputError(f"aspect = {aspect!r}: must be two positive numbers, the lower first")
    return low, high
