"""Which source column is which axis: by the caller's mapping, else by the names people use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from isoloss.errors import InputError
from isoloss.runs.notes import Note
from isoloss.runs.rows import clean, short

RESOURCES = ("N", "D", "C", "U")
POSITIVE = (*RESOURCES, "loss")

_COUNTS = ("", "n", "num", "number of ", "total ", "train ", "training ", "num train ", "n train ")


def squash(text: str) -> str:
    """Letters and digits alone, in one case: ``"Model Size"`` and ``model_size`` are one."""
    return "".join(c for c in text.casefold() if c.isalnum())


def _names(*groups: str, prefixes: Sequence[str] = ("",)) -> frozenset[str]:
    return frozenset(
        squash(p + word) for group in groups for word in group.split() for p in prefixes
    )


_NON_EMBEDDING = _names(
    "non_embedding_params non_embedding_parameters params_non_embedding params_no_embed "
    "non_embed_params n_params_non_embedding num_non_embedding_params params_without_embedding"
)
_ACTIVE = _names("active_params active_parameters n_active_params num_active_params")
_TOTAL = _names("total_params total_parameters total_param_count")
_TOKENS = _names("tokens", prefixes=_COUNTS) | _names("tokens_seen seen_tokens")
_EXAMPLES = _names("examples samples", prefixes=_COUNTS) | _names(
    "examples_seen seen_examples samples_seen seen_samples"
)

ALIASES: Mapping[str, frozenset[str]] = {
    "N": _names("n model_size model_params model_parameters param_count parameter_count")
    | _names("params parameters", prefixes=("", "n", "num", "number of "))
    | _NON_EMBEDDING
    | _ACTIVE
    | _TOTAL,
    "D": _names("d data data_size dataset_size train_data training_data") | _TOKENS | _EXAMPLES,
    "C": _names("c")
    | _names("flop flops compute", prefixes=("", "n", "total ", "train ", "training ")),
    "loss": _names(
        "loss val_loss eval_loss valid_loss validation_loss test_loss final_loss final_val_loss "
        "final_eval_loss final_validation_loss final_test_loss cross_entropy cross_entropy_loss"
    ),
    "U": _names("u")
    | _names("tokens examples samples data", prefixes=("unique ", "n unique ", "num unique ")),
    "seed": _names("seed random_seed rng_seed"),
    "lr": _names("lr learning_rate max_lr peak_lr"),
}
_RUN_NAMES = ("name", "runname", "run", "runid", "id")  # the first of these that is there wins
_BOOKKEEPING = ("", "index", "unnamed0", "indexlevel0")
_STEPS = re.compile(r"\b(global_?)?(steps?|iters?|iterations?|updates?)\b")
_HINTS = (
    ("loss", re.compile(r"(?<!\bz_)(?<!aux_)loss|nll|perplexity|ppl|entropy|bits_per|bpb|bpc")),
    ("N", re.compile(r"param|model_?size|n_?embd")),
    ("D", re.compile(r"token|sample|example|data_?size|dataset_?size")),
    ("D", _STEPS),
    ("C", re.compile(r"flop|compute")),
)
"""Parts of names that come near an axis but do not settle it."""
_HINTS_SHOWN = 4
_LISTED_CHARACTERS = 600
_MEANINGS: tuple[tuple[str, frozenset[str], str], ...] = (
    ("N", _NON_EMBEDDING, "non-embedding parameters"),
    ("N", _ACTIVE, "active parameters"),
    ("N", _TOTAL, "total parameters"),
    ("D", _TOKENS, "tokens seen"),
    ("D", _EXAMPLES, "examples seen"),
)


@dataclass(slots=True)
class Roles:
    """What each source column is for; positions count from 0."""

    axes: dict[str, int] = field(default_factory=dict)
    mapped: frozenset[str] = frozenset()
    free: dict[str, int] = field(default_factory=dict)
    name: int | None = None
    notes: list[Note] = field(default_factory=list)
    conventions: dict[str, str] = field(default_factory=dict)
    rivals: dict[str, list[str]] = field(default_factory=dict)

    @property
    def named(self) -> set[str]:
        """Axes that a law may be of because the caller said so."""
        return set(self.mapped) - {"loss", "seed", "lr", "name"}

    @property
    def optional(self) -> dict[str, int]:
        """Columns that may be left out when they have gaps: nothing depends on them."""
        chance = {
            a: i for a, i in self.axes.items() if a in ("seed", "lr") and a not in self.mapped
        }
        return self.free | chance

    @property
    def required(self) -> dict[str, int]:
        """Columns without which a row is refused."""
        return {a: i for a, i in self.axes.items() if a not in self.optional}


def resolve(
    header: Sequence[str], mapping: Mapping[str, str], left_out: Sequence[Note] = ()
) -> Roles:
    """Give each column of a source its role.

    Raises
    ------
    InputError
        Two columns for one axis, a mapped column that is not there, or no loss or resource.
    """
    _check_distinct(header)
    roles = Roles(mapped=frozenset(mapping))
    for axis, column in mapping.items():
        _map(roles, header, axis, column)
    taken = set(roles.axes.values()) | {roles.name}
    plain = {i: _keys(h) for i, h in enumerate(header) if i not in taken}
    if roles.name is None:
        found = [i for key in _RUN_NAMES for i, keys in plain.items() if key in keys]
        roles.name = found[0] if found else None
        plain.pop(roles.name, None)  # type: ignore[arg-type]  # None is no position
    for axis, aliases in ALIASES.items():
        hits = [] if axis in roles.axes else [i for i, k in plain.items() if aliases & set(k)]
        if hits and (chosen := _choose(roles, header, axis, hits)) is not None:
            roles.axes[axis] = chosen
            del plain[chosen]
    for i, keys in plain.items():
        _keep_free(roles, header[i], i, keys)
    check_usable(roles, header, left_out)
    for axis, aliases, meaning in _MEANINGS:
        if axis in roles.axes and aliases & set(_keys(header[roles.axes[axis]])):
            roles.conventions[axis] = meaning
    for axis in ("N", "D", "C", "U"):
        column = header[roles.axes[axis]] if axis in roles.axes else ""
        if _STEPS.search(column.casefold()):
            roles.notes.append(
                Note(
                    "STEPS",
                    "warning",
                    f"{axis} is read from {short(column)}, a count of updates: every row must be "
                    "the end of a run of its own; the points of one learning curve, whose rate "
                    "still falls or stays high, are no table of runs",
                )
            )
    used = [f"{a} = {short(header[i])}" for a, i in roles.axes.items() if header[i] != a]
    if used:
        roles.notes.insert(0, Note("COLUMNS", "info", "columns read: " + ", ".join(used)))
    return roles


def check_usable(roles: Roles, header: Sequence[str], left_out: Sequence[Note] = ()) -> None:
    """Refuse a source without a loss, or without anything the loss could depend on."""
    if "loss" not in roles.axes:
        raise InputError(_lacking("no loss column", "loss", header, left_out))
    if not roles.named and not set(RESOURCES) & set(roles.axes):
        raise InputError(_lacking("no column of N, D, C or U", "N", header, left_out))


def remedy(axis: str, column: str = "COLUMN") -> str:
    """How to name a column, in the shell and in Python."""
    return f"--columns {axis}={column} (in Python: columns={{{axis!r}: {column!r}}})"


def _lacking(what: str, axis: str, header: Sequence[str], left_out: Sequence[Note]) -> str:
    """Say what is missing, which columns come near, and how to name one."""
    hints = [(a, c) for a, pattern in _HINTS for c in header if pattern.search(c.casefold())]
    near = [(a, c) for a, c in hints if (a == "loss") is (axis == "loss")][:_HINTS_SHOWN]
    text = f"{what} among: {listed(header, 12 if near else 30)}"
    if near:
        text += f"; it may be {' or '.join(dict.fromkeys(short(c) for _, c in near))}"
    text += f"; say which it is: {remedy(*near[0]) if near else remedy(axis)}"
    if steps := [c for a, c in near if a == "D" and _STEPS.search(c.casefold())]:
        text += (
            f". {short(steps[0])} counts updates: give --units D=TOKENS_PER_STEP, and only the "
            "last row of each run; a learning curve of one run is no table of runs"
        )
    lists = [note.message for note in left_out if "lists" in note.message]
    if lists:
        text += f". Not read: {'; '.join(lists[:3])}; write one row with plain values for each"
    return text


def listed(header: Sequence[str], most: int = 30) -> str:
    """Show the names of columns inside a message."""
    shown: list[str] = []
    for name in header[:most]:
        if sum(map(len, shown)) > _LISTED_CHARACTERS:
            break
        shown.append(short(name))
    rest = len(header) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _check_distinct(header: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in header:
        if name and name in seen:
            raise InputError(f"two columns are named {short(name)}; rename one of them")
        seen.add(name)


def _keys(name: str) -> tuple[str, ...]:
    """Keys to look up: the whole name, then the last part of a nested one."""
    whole = squash(name)
    return (whole, squash(name.rpartition(".")[2])) if "." in name else (whole,)


def _map(roles: Roles, header: Sequence[str], axis: str, column: str) -> None:
    if not axis or clean(axis) != axis:
        raise InputError(f"columns: {short(axis)} is not a usable axis name")
    exact = [i for i, name in enumerate(header) if name == column]
    loose = [i for i, name in enumerate(header) if squash(name) == squash(column)]
    hits = exact or loose
    if len(hits) != 1:
        state = "is ambiguous" if hits else "is not there"
        raise InputError(
            f"columns: {short(column)} (for {axis}) {state}; columns: {listed(header)}"
        )
    if hits[0] in roles.axes.values() or hits[0] == roles.name:
        raise InputError(f"columns: {short(column)} is used twice; map it once")
    if axis == "name":
        roles.name = hits[0]
    else:
        roles.axes[axis] = hits[0]


def _choose(roles: Roles, header: Sequence[str], axis: str, hits: list[int]) -> int | None:
    """Pick one of several columns that look like an axis, only where one bears its very name."""
    exact = [i for i in hits if header[i] == axis]
    exact = exact or [i for i in hits if squash(header[i]) == squash(axis)]
    listed = " and ".join(short(header[i]) for i in hits)
    if len(hits) == 1:
        return hits[0]
    if len(exact) == 1:
        roles.rivals[axis] = [header[i] for i in hits if i != exact[0]]
        roles.notes.append(
            Note(
                "AMBIGUOUS_COLUMNS",
                "warning",
                f"{listed} look like {axis}; {short(header[exact[0]])} was taken; "
                f"for another, {remedy(axis)}",
            )
        )
        return exact[0]
    if axis in ("seed", "lr"):
        return None
    raise InputError(
        f"{listed} all look like {axis}; say which it is: {remedy(axis, header[hits[0]])}"
    )


def _keep_free(roles: Roles, name: str, position: int, keys: tuple[str, ...]) -> None:
    if not name or keys[0] in _BOOKKEEPING:
        if name:
            _ignore(roles, name, "it looks like a row number")
    elif name in roles.axes or name == "name":
        _ignore(roles, name, f"its name is taken by the column mapped to {name}")
    else:
        roles.free[name] = position


def _ignore(roles: Roles, name: str, why: str) -> None:
    roles.notes.append(Note("COLUMN_IGNORED", "info", f"column {short(name)} left out: {why}"))
