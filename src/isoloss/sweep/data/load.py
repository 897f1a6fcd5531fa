"""From a spec to data; and the list of what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from isoloss.errors import InputError
from isoloss.sweep.data.catalogue import CATALOGUE
from isoloss.sweep.data.changes import changed
from isoloss.sweep.data.place import shown
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data

_READERS = {
    "stdlib": ("text", "read_stdlib"),
    "text": ("text", "read_text"),
    "fashion-mnist": ("idx", "read_idx_set"),
    "mnist": ("idx", "read_idx_set"),
    "mnist-5k": ("digits", "read_digits"),
    "cifar10": ("cifar", "read_cifar"),
    "images": ("folder", "read_images"),
    "arrays": ("arrays", "read_arrays"),
    "mnist1d": ("mnist1d", "read_mnist1d"),
    "teacher": ("generators", "read_teacher"),
    "spectrum": ("generators", "read_spectrum"),
    "perceptron": ("generators", "read_perceptron"),
    "information": ("generators", "read_information"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One line about a data set.

    Attributes
    ----------
    name, kind, what, split, licence, source
        As in the table of the documentation; kind is ``text``, ``classes``, ``numbers`` or ``any``.
    needs, takes
        Fields of a `DataSpec` that must, that may be given.
    present
        Whether it can be read on this machine, as far as this depends on the machine.
    """

    name: str
    kind: str
    what: str
    split: str
    licence: str
    source: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    present: bool


def load_data(spec: DataSpec) -> Data:
    """Read or draw a data set, and change it as the spec says. Nothing is downloaded.

    Parameters
    ----------
    spec
        Name and changes.

    Returns
    -------
    Data
        Training, validation and test examples. Validation and test never hold a training example,
        save where the source itself repeats one.

    Raises
    ------
    InputError
        If files are absent, damaged or of another format, if the set would not fit in memory, or a
        change does not go with it; the message says what to do.

    Examples
    --------
    >>> load_data(DataSpec(name="perceptron", dimension=8, examples=1000))
    Data(classes, 1,000 + 2,048 + 8,192 of 8, 2 outputs, ...)
    """
    if spec.name not in _READERS:
        raise InputError(
            f"data: {spec.name} names data that a program holds; hand them to the trainer yourself"
        )
    module, function = _READERS[spec.name]
    # Each reader loads what it needs when it is asked for: a grid is planned without them.
    read: Callable[[DataSpec], Data] = getattr(
        import_module(f"isoloss.sweep.data.{module}"), function
    )
    try:
        return changed(spec, read(spec))
    except OSError as error:
        place = "" if error.filename is None else f"{shown(error.filename)[:200]}: "
        raise InputError(f"{spec.name}: {place}cannot be read ({error.strerror})") from None


def names() -> list[Named]:
    """List the data sets, and whether each is on this machine.

    Examples
    --------
    >>> [found.name for found in names() if found.kind == "text"]
    ['stdlib', 'text']
    """
    return [
        Named(
            name=name,
            kind=entry.kind,
            what=entry.what,
            split=entry.split,
            licence=entry.licence,
            source=entry.source,
            needs=entry.needs,
            takes=entry.takes,
            present=_present(name),
        )
        for name, entry in CATALOGUE.items()
    ]


def _present(name: str) -> bool:
    if name == "images":
        return find_spec("PIL") is not None
    finder = {
        "fashion-mnist": ("idx", "find_idx"),
        "mnist": ("idx", "find_idx"),
        "mnist-5k": ("digits", "find_digits"),
        "cifar10": ("cifar", "find_cifar"),
    }.get(name)
    if finder is None:
        return True
    look: Callable[[DataSpec], list[Path] | Path | None] = getattr(
        import_module(f"isoloss.sweep.data.{finder[0]}"), finder[1]
    )
    try:
        return look(DataSpec(name=name)) is not None
    except OSError:
        return False
