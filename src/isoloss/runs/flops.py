"""Parameter and FLOP counts of a transformer, term by term, with the convention in the name."""

from __future__ import annotations

from dataclasses import dataclass

from isoloss.runs.counting.count import count_model
from isoloss.runs.counting.decoder import DecoderModel

FLOPS_PER_PARAMETER_TOKEN = 6
"""Two for the forward pass, four for the backward pass (Kaplan et al. 2020, section 2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerCounts:
    """Parameters of a dense decoder and its training FLOPs per token, by term.

    Attributes
    ----------
    N_total
        All parameters: blocks, norms, token embedding (tied with the output layer), positions.
    N_non_embedding
        Blocks and norms alone: Kaplan's convention.
    flops_dense
        Per token: 6 for each matrix weight in the blocks.
    flops_head
        Per token: 6 for each weight of the output layer. The embedding look-up is no matmul.
    flops_attention
        Per token: scores and mixing over the whole context, ``12 L T d`` (PaLM, appendix B),
        halved for a causal mask.
    """

    N_total: int
    N_non_embedding: int
    flops_dense: int
    flops_head: int
    flops_attention: int

    @property
    def flops(self) -> int:
        """Training FLOPs per token, all terms."""
        return self.flops_dense + self.flops_head + self.flops_attention


def transformer_counts(
    *, width: int, depth: int, vocabulary: int, context: int, causal: bool = True
) -> TransformerCounts:
    """Count a decoder with tied embeddings, learned positions, 4x MLP and no biases.

    Examples
    --------
    >>> c = transformer_counts(width=16, depth=2, vocabulary=256, context=128)
    >>> c.N_non_embedding, c.N_total, c.flops
    (6224, 12368, 86016)

    References
    ----------
    Kaplan et al. 2020, arXiv:2001.08361, table 1; Chowdhery et al. 2022, arXiv:2204.02311,
    appendix B.
    """
    # One head: their number changes neither weights nor products.
    shape = DecoderModel(
        width=width, depth=depth, heads=1, vocabulary=vocabulary, context=context,
        positions="learned", causal=causal,
    )  # fmt: skip
    counts = count_model(shape, masked="half")
    return TransformerCounts(
        N_total=counts.N_total,
        N_non_embedding=counts.N_non_embedding,
        flops_dense=int(counts.flops_of("dense")),
        flops_head=int(counts.flops_of("head")),
        flops_attention=int(counts.flops_of("attention")),
    )
