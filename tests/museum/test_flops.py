"""Defects of published FLOP and parameter counts, each with the test that tells it apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from isoloss.laws import PUBLISHED, get_law, law_names
from isoloss.plan.cost import SIX_ND
from isoloss.runs import Conventions, read_runs, transformer_counts

SHAPE = {"width": 64, "depth": 3, "vocabulary": 1000, "context": 256}
Count = Callable[..., float]


def matrices(width: int, depth: int, vocabulary: int, context: int) -> list[tuple[int, int]]:
    """Shapes of every weight that multiplies something, written down from the architecture."""
    d = width
    block = [(d, 3 * d), (d, d), (d, 4 * d), (4 * d, d)]
    return block * depth + [(d, vocabulary)]  # the embedding is a look-up: it multiplies nothing


def traced(*, causal: bool, width: int, depth: int, vocabulary: int, context: int) -> float:
    """Training FLOPs a token, counted one product after the other."""
    dense = sum(2 * rows * columns for rows, columns in matrices(width, depth, vocabulary, context))
    pairs = sum(t + 1 if causal else context for t in range(context)) / context
    attention = depth * pairs * width * 2 * 2  # scores, then mixing of values
    return 3 * (dense + attention)  # the backward pass takes two products for each


def counted(*, causal: bool, **shape: int) -> float:
    return transformer_counts(**shape, causal=causal).flops


def right(count: Count, shapes: Iterable[dict[str, int]]) -> bool:
    """Within the half token by which a mask differs from half a square."""
    return all(
        count(causal=causal, **shape)
        == pytest.approx(traced(causal=causal, **shape), rel=1.01 / shape["context"])
        for shape in shapes
        for causal in (True, False)
    )


SHAPES = [
    SHAPE,
    SHAPE | {"context": 8192},
    SHAPE | {"vocabulary": 200_000},
    SHAPE | {"width": 1024, "depth": 24, "context": 1024},
]


def test_causal_attention_is_counted_twice_or_half() -> None:
    """Some counts halve attention for the mask, some do not, and some do it in one place only.

    At a context of 128k that term is nearly all there is. Where: karpathy/nanoGPT, issue 456;
    AI-Hypercomputer/maxtext, issues 1988 and 2031.

    Ours: attention is a term of its own and the mask is an argument; both conventions agree with
    a count product by product.
    """

    def mask_forgotten(*, causal: bool, **shape: int) -> float:
        return transformer_counts(**shape, causal=False).flops

    def halved_twice(*, causal: bool, **shape: int) -> float:
        counts = transformer_counts(**shape, causal=causal)
        return counts.flops - counts.flops_attention / 2

    assert right(counted, SHAPES)
    assert not right(mask_forgotten, SHAPES)
    assert not right(halved_twice, SHAPES)


def test_a_look_up_is_counted_as_a_product_or_the_head_twice() -> None:
    """Six times all parameters charges for the embedding, which multiplies nothing.

    With tied weights that happens to equal the head; with the head added, it is counted twice.
    Where: volcengine/veomni, pull request 703; huggingface/trl, issue 6709.

    Ours: dense layers, head and attention are three terms; the sum has each once.
    """

    def head_twice(*, causal: bool, **shape: int) -> float:
        c = transformer_counts(**shape, causal=causal)
        return 6 * c.N_total + c.flops_head + c.flops_attention

    def no_head(*, causal: bool, **shape: int) -> float:
        c = transformer_counts(**shape, causal=causal)
        return c.flops_dense + c.flops_attention

    assert right(counted, SHAPES)
    assert not right(head_twice, SHAPES)
    assert not right(no_head, SHAPES)
    c = transformer_counts(**SHAPE)
    assert c.flops == c.flops_dense + c.flops_head + c.flops_attention


def test_tokens_are_inferred_from_the_batch() -> None:
    """With sequences split over devices, tokens came out too few by the number of devices.

    Attention, quadratic in the length of a shard, by its square. Where: NVIDIA-NeMo/
    Megatron-Bridge, issue 4161.

    Ours: tokens are a column that is given. Other columns, batch and steps among them, never
    replace it, and a C that is off by such a factor is noted.
    """
    cp, steps, batch, length = 4, np.array([1e3, 2e3, 4e3]), 256.0, 8192.0
    D = steps * batch * length
    N = np.array([1e8, 2e8, 4e8])
    columns: dict[str, Any] = {
        "N": N,
        "D": D,
        "C": 6 * N * D / cp,
        "loss": [3.5, 3.2, 3.0],
        "steps": steps,
        "batch_size": np.full(3, batch),
        "seq_len": np.full(3, length / cp),
    }

    def sound(tokens: Callable[[dict[str, Any]], np.ndarray]) -> bool:
        return tokens(columns).tolist() == D.tolist()

    assert sound(lambda c: read_runs(c)["D"])
    assert not sound(lambda c: c["steps"] * c["batch_size"] * c["seq_len"])
    (note,) = [n for n in read_runs(columns).notes if n.code == "FLOPS_RATIO"]
    assert note.severity == "warning"
    assert "0.25" in note.message


def test_the_vocabulary_is_missing_from_the_embedding() -> None:
    """The embedding's share was computed without the number of words in it.

    Where: the released code of Porian et al. 2024 (resolving-discrepancies), pull request 1.

    Ours: one more word is one more row of the embedding, tied with the head, and a column of it
    in FLOPs; nothing else changes.
    """

    def without(width: int, depth: int, vocabulary: int, context: int) -> tuple[int, int]:
        c = transformer_counts(width=width, depth=depth, vocabulary=1, context=context)
        return c.N_total, c.flops

    def with_it(**shape: int) -> tuple[int, int]:
        c = transformer_counts(**shape)
        return c.N_total, c.flops

    def sound(count: Callable[..., tuple[int, int]]) -> bool:
        less, more = count(**SHAPE), count(**SHAPE | {"vocabulary": SHAPE["vocabulary"] + 1})
        return (more[0] - less[0], more[1] - less[1]) == (SHAPE["width"], 6 * SHAPE["width"])

    assert sound(with_it)
    assert not sound(without)
    one, two = (transformer_counts(**SHAPE | {"vocabulary": v}) for v in (10, 20))
    assert one.N_non_embedding == two.N_non_embedding
    assert one.flops_attention == two.flops_attention


def test_a_formula_is_quoted_wrongly() -> None:
    """A paper that compared formulas of compute misstated the one it compared with.

    Nothing beside the formula said where it stood, so readers could not tell. Where:
    deepseek-ai/DeepSeek-LLM, issue 48.

    Ours: every published constant names paper and place (equation, table, notebook), and
    the convention of compute is stored in words with the runs and with the plan.
    """

    def cites(source: str) -> bool:
        place = re.search(
            r"\b(eqs?\.|equations?|tables?|sections?|sec\.|appendix|TeX|notebook|optimum)", source
        )
        return bool(re.search(r"\d{4}\.\d{4,5}", source) and place)

    published = {name: p.source + "; " + p.caveat for name, p in PUBLISHED.items()}
    assert [n for n, text in published.items() if not cites(text)] == []
    assert not cites("Hoffmann et al. 2022")
    assert not cites("as in the Chinchilla paper, 6 N D")
    for name in law_names():
        assert get_law(name).source
    assert Conventions().C == "6 N D"
    assert SIX_ND.text == "6 N D"
    runs = read_runs({"N": [1e6], "D": [1e9], "C": [7e15], "loss": [3.0]})
    assert runs.to_dict()["conventions"]["C"] == "training FLOPs as given"
