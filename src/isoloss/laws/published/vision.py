"""Errors of CLIP models against compute."""

from __future__ import annotations

from collections.abc import Mapping

from isoloss.laws.published.entry import Published

_TASKS: Mapping[str, tuple[str, tuple[float, float], tuple[float, float]]] = {
    "imagenet": ("1 - top-1 accuracy on ImageNet-1k", (5.858, 0.1114), (23.18, 0.1638)),
    "robustness": ("1 - mean accuracy on shifted ImageNets", (11.61, 0.1255), (211.7, 0.2378)),
    "coco": ("1 - recall at 5 of images on COCO", (2.750, 0.0794), (1.589, 0.0508)),
    "flickr": ("1 - recall at 5 of images on Flickr30k", (15.51, 0.1892), (2.208, 0.1028)),
    "vtab": ("1 - mean accuracy on VTAB+", (1.562, 0.0436), (5.557, 0.0908)),
}  # fmt: skip
_WHOSE = {
    "openclip": (
        "trained on LAION; 29 runs: the least error in each of five equal bins of log10 C at the "
        "centre of the bin, then least squares in logarithms: a line below most runs"
    ),
    "clip": (
        "OpenAI's models on WIT: a line through three runs, so no interval could be trusted; "
        "crossings with OpenCLIP's line compare data sets, not methods"
    ),
}


def _entries() -> dict[str, Published]:
    found = {}
    for i, (whose, caveat) in enumerate(_WHOSE.items()):
        for task, (what, *both) in _TASKS.items():
            amplitude, exponent = both[i]
            found[f"{whose}-2022-{task}"] = Published(
                law="power",
                parameters={"A": amplitude, "alpha": exponent},
                axis="C",
                measures=f"error, {what}, as a fraction; C in GMACs of the whole training",
                source="Cherti et al. 2022, arXiv:2212.07143, recomputed from the released table "
                "of runs",
                caveat=caveat,
            )
    return found


CLIP: Mapping[str, Published] = _entries()
"""Zero-shot errors against compute."""
