"""The few rules of protocol buffers that logs need: fields of a message, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

Field = tuple[int, int, int, bytes]
"""Field number, wire type, number (types 0, 1, 5: the raw bits), bytes (type 2)."""

_TEN = 10
"""Most bytes of a varint."""


class WireError(ValueError):
    """The bytes are no message."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read one variable-length integer; return it and the place after it."""
    result = shift = 0
    for place in range(at, min(at + _TEN, len(data))):
        byte = data[place]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, place + 1
        shift += 7
    raise WireError("a number is cut short")


def signed(value: int) -> int:
    """Two's complement of a 64-bit varint."""
    return value - (1 << 64) if value >> 63 else value


def fields(data: bytes) -> Iterator[Field]:
    r"""Walk over the fields of a message.

    A length is compared with what is there before anything is sliced, so that a claim of many
    gigabytes costs nothing.

    Examples
    --------
    >>> list(fields(b"\x08\x96\x01\x12\x02hi"))
    [(1, 0, 150, b''), (2, 2, 2, b'hi')]
    """
    at, size = 0, len(data)
    while at < size:
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = varint(data, at)
            yield number, kind, value, b""
        elif kind == 2:
            length, at = varint(data, at)
            if length > size - at:
                raise WireError("a field is longer than its message")
            yield number, kind, length, data[at : at + length]
            at += length
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            if width > size - at:
                raise WireError("a number is cut short")
            yield number, kind, int.from_bytes(data[at : at + width], "little"), b""
            at += width
        else:
            raise WireError(f"wire type {kind} is not in use")


def text(data: bytes) -> str:
    """Text of a field, whatever its bytes are."""
    return data.decode("utf8", "replace")
