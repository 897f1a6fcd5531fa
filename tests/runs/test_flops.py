"""Parameter and FLOP counts against a count by hand."""

from __future__ import annotations

from isoloss.runs import transformer_counts


def test_counts_by_hand() -> None:
    counts = transformer_counts(width=4, depth=1, vocabulary=10, context=8)
    weights = 3 * 4 * 4 + 4 * 4 + 2 * 4 * 16  # q k v, output, two MLP layers
    norms = 3 * 4
    assert counts.N_non_embedding == weights + norms
    assert counts.N_total == weights + norms + 10 * 4 + 8 * 4
    assert counts.flops_dense == 6 * weights
    assert counts.flops_head == 6 * 10 * 4


def test_a_causal_mask_halves_attention_only() -> None:
    sizes = {"width": 64, "depth": 3, "vocabulary": 100, "context": 32}
    causal = transformer_counts(**sizes, causal=True)
    full = transformer_counts(**sizes, causal=False)
    assert full.flops_attention == 2 * causal.flops_attention == 12 * 3 * 32 * 64
    assert full.flops - causal.flops == causal.flops_attention
    assert full.N_total == causal.N_total
