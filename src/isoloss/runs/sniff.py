"""What a file is, told by its first bytes; the suffix only settles what bytes leave open."""

from __future__ import annotations

import json

from isoloss.errors import InputError

HEAD = 2**20
FORMATS = ("csv", "json", "jsonl", "parquet")

_UNPACK = "unpack it first and pass the file inside"
_EXPORT = "export the table as CSV, JSON lines or Parquet"
_NO_PICKLE = "pickles can run code when loaded and are never opened; where it was made, " + _EXPORT
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstandard file", _UNPACK),
    (b"\x04\x22\x4d\x18", "an LZ4 file", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file", _EXPORT),
    (b"\x89PNG", "a PNG image", "pass the table behind the picture"),
    (b"\xff\xd8\xff", "a JPEG image", "pass the table behind the picture"),
    (b"GIF8", "a GIF image", "pass the table behind the picture"),
    (b"%PDF", "a PDF document", "pass the table behind the document"),
    (b"\x89HDF", "an HDF5 file", _EXPORT),
    (b"\x93NUMPY", "a numpy array", "name its columns in a dict, or " + _EXPORT),
    (b"SQLite format 3\x00", "an SQLite database", _EXPORT),
    (b"ARROW1", "an Arrow or Feather file", _EXPORT),
    (b"ORC", "an ORC file", _EXPORT),
    (b"Obj\x01", "an Avro file", _EXPORT),
    (b"PARE", "an encrypted Parquet file", "decrypt it first"),
    (b"\x7fELF", "a program", _EXPORT),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"<!doctype", "a web page", "download the file itself"),
    (b"<html", "a web page", "download the file itself"),
)


def sniff(head: bytes, suffix: str) -> str:
    """Tell the format from the first bytes of a file.

    Raises
    ------
    InputError
        Nothing there, or something else than a table; says what it seems to be and the remedy.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    _refuse_foreign(head, suffix)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise InputError("the source is empty")
    if text.startswith((b"{", b"[")):
        return "jsonl" if suffix in ("jsonl", "ndjson") or _is_lines(text) else "json"
    if suffix == "parquet":
        raise InputError("this is not a Parquet file, though it is named so; rename or rewrite it")
    return "csv"


def _refuse_foreign(head: bytes, suffix: str) -> None:
    if head.startswith(b"PK\x03\x04"):
        sheet = b"[Content_Types].xml" in head or b"xl/" in head
        what = "an Excel or Office file" if sheet else "a zip archive"
        raise _foreign(what, _EXPORT if sheet else _UNPACK)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 1:
        raise _foreign("a Python pickle", _NO_PICKLE)
    start = head[:16].lower()
    for magic, what, advice in _MAGIC:
        if head.startswith(magic) or (magic[:1] == b"<" and start.startswith(magic)):
            raise _foreign(what, advice)
    if head[257:262] == b"ustar":
        raise _foreign("a tar archive", _UNPACK)
    if suffix in ("pickle", "pkl"):  # the oldest protocols have no mark of their own
        raise _foreign("a Python pickle", _NO_PICKLE)
    if b"\x00" in head:
        sample = head[:4096]
        wide = max(sample[::2].count(0), sample[1::2].count(0)) > len(sample) // 5
        if wide:
            raise _foreign("UTF-16 text", "save it as UTF-8")
        raise _foreign("binary data", _EXPORT)


def _foreign(what: str, advice: str) -> InputError:
    return InputError(f"this seems to be {what}, not a table of runs; {advice}")


def _is_lines(text: bytes) -> bool:
    """Whether the first line is a JSON object of its own, with more after it.

    The first may be damaged; but two whole objects in lines that follow each other without a
    comma are no part of any one document.
    """
    lines: list[bytes] = []
    rest = text
    while rest and len(lines) < 3:
        line, _, rest = rest.partition(b"\n")
        lines.append(line)
        rest = rest.lstrip()
    if len(lines) < 2:
        return False
    return _is_object(lines[0]) or (len(lines) > 2 and all(map(_is_object, lines[1:])))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
