"""The file of a sealed forecast: canonical content, its hash, and reading what strangers wrote."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoloss._core.serial import digest_bytes, plain, to_json, write_atomic
from isoloss.errors import InputError
from isoloss.runs.rows import clean, short
from isoloss.study.sealed.layout import check_layout

KIND = "isoloss sealed forecast"
SCHEMA = 1
MAX_BYTES = 16_000_000
_EXACT = 2.0**53


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SealedForecast:
    """A forecast with the hash of everything it says.

    Attributes
    ----------
    answers
        The plain dictionary that the file holds, its ``sha256`` included.
    """

    answers: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Hash of all the rest."""
        return str(self.answers["sha256"])

    @property
    def points(self) -> list[dict[str, Any]]:
        """What is forecast, one entry a target."""
        return list(self.answers["points"])

    def to_dict(self) -> dict[str, Any]:
        """Plain types: what the file holds."""
        return dict(self.answers)

    def write(self, path: str | Path) -> Path:
        """Write the file, whole or not at all."""
        target = Path(path)
        write_atomic(target, to_json(self.answers))
        return target

    def summary(self) -> str:
        """Lines for people; the texts of a stranger's file are cleaned."""
        a = self.answers
        runs, made = a["runs"], a["made"]
        lines = [
            f"sealed {made['time_utc']} by isoloss {clean(made['isoloss'])}: {runs['n_runs']} "
            f"runs of {clean(runs['source'])}, digest {runs['digest'][:12]}"
        ]
        lines += [f"note: {clean(a['note'], 2000)}"] if a["note"] else []
        for p in a["points"]:
            i = p["interval"]
            lines.append(
                f"at {where(p['at'])}: loss {p['loss']:.4f} [{i['low']:.4f}, {i['high']:.4f}] "
                f"({100 * i['level']:g} %), {p['reach']:.3g} times the largest run"
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"SealedForecast({len(self.answers['points'])} points; {self.sha256[:12]})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}\nsha256 {self.sha256}</pre>"


def where(at: Mapping[str, float]) -> str:
    """Write a target for people."""
    return ", ".join(f"{clean(a)} = {v:.4g}" for a, v in at.items())


def canonical(answers: Mapping[str, Any]) -> bytes:
    """Return the bytes that are hashed: all but ``sha256``, keys sorted, no spaces, ASCII.

    Whole numbers have no decimal point, so that a program that writes 2.0 as 2 changes nothing.

    Examples
    --------
    >>> canonical({"loss": 2.0, "at": {"N": 1e9}, "sha256": "..."})
    b'{"at":{"N":1000000000},"loss":2}'
    """
    content = {k: v for k, v in answers.items() if k != "sha256"}
    text = json.dumps(
        _whole(plain(content)), sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return text.encode("ascii")


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return value


def content_hash(answers: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical content, in hex."""
    return digest_bytes(canonical(answers))


def sealed(content: Mapping[str, Any]) -> SealedForecast:
    """Add the hash to a content."""
    answers: dict[str, Any] = plain({k: v for k, v in content.items() if k != "sha256"})
    return SealedForecast(answers=answers | {"sha256": content_hash(answers)})


def read_sealed(source: str | Path | SealedForecast) -> SealedForecast:
    """Read a sealed forecast and check its hash and its layout; nothing in it is trusted.

    Raises
    ------
    InputError
        When it is no such file, was changed after it was sealed, or does not hold what it must:
        anybody can compute a hash, so a right one is no proof of a right file.
    """
    if isinstance(source, SealedForecast):
        return source
    path = Path(source)
    name = clean(path.name)
    answers = read_object(path)
    if answers.get("kind") != KIND or not isinstance(answers.get("sha256"), str):
        raise InputError(f"{name}: is no sealed forecast; give a file that isoloss seal wrote")
    if answers.get("schema") != SCHEMA:
        raise InputError(
            f"{name}: schema {short(answers.get('schema'))}; this version reads {SCHEMA}"
        )
    try:
        found = content_hash(answers)
    except RecursionError:
        raise InputError(f"{name}: is nested too deeply for a sealed forecast") from None
    if found != answers["sha256"]:
        raise InputError(
            f"{name}: its content has the hash {found[:16]}..., not the "
            f"{clean(answers['sha256'])[:16]}... that it states; it was changed after it was "
            "sealed. Go back to the file that was sealed"
        )
    try:
        check_layout(answers)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return SealedForecast(answers=answers)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object of bounded size, without NaN, endless numbers or a key given twice."""
    name = clean(path.name)
    if path.is_dir():
        raise InputError(f"{name}: is a folder; give the file inside")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: larger than {MAX_BYTES} bytes; no sealed forecast is")
    answers = parse_object(data, name)
    if not isinstance(answers, dict):
        raise InputError(f"{name}: is JSON but no object; give a file that isoloss seal wrote")
    return answers


def parse_object(data: bytes, name: str) -> Any:
    """Parse strict JSON; ``name`` is for messages."""
    try:
        return json.loads(
            data.decode("utf8"),
            parse_constant=_no_constant,
            parse_float=_finite,
            object_pairs_hook=_distinct,
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: cannot be read as JSON ({clean(str(error))})") from None


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is beyond 1.8e308")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key given twice: readers differ in which of the two they show."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
