"""Train one run from its spec and return its ledger row."""

from __future__ import annotations

import math
import platform
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from isoloss.runs.flops import transformer_counts
from isoloss.sweep.corpus import Corpus
from isoloss.sweep.model import ByteTransformer
from isoloss.sweep.spec import CONTEXT, VOCABULARY, RunSpec

EVAL_BLOCKS = 1024


def _learning_rate(spec: RunSpec, step: int) -> float:
    if step < spec.warmup:
        return spec.lr * (step + 1) / spec.warmup
    return spec.lr * (spec.steps - step) / (spec.steps - spec.warmup)


@torch.no_grad()
def evaluate(model: ByteTransformer, held_out: npt.NDArray[np.uint8]) -> float:
    """Mean loss in nats per byte over a fixed set of evenly spaced held-out blocks."""
    starts = np.linspace(0, len(held_out) - CONTEXT - 1, EVAL_BLOCKS).astype(np.int64)
    blocks = torch.from_numpy(held_out[starts[:, None] + np.arange(CONTEXT + 1)].astype(np.int64))
    total = 0.0
    for part in torch.split(blocks, 64):
        logits = model(part[:, :-1]).reshape(-1, VOCABULARY)
        total += float(F.cross_entropy(logits, part[:, 1:].reshape(-1), reduction="sum"))
    return total / (len(blocks) * CONTEXT)


def train(spec: RunSpec, corpus: Corpus, *, device: str = "cpu") -> dict[str, Any]:
    """Train one byte-level transformer and return its row of the ledger.

    Data are blocks of the training text visited once, in an order set by the seed; a run that
    asks for more than the text holds is refused rather than repeated silently. ``loss`` is NaN
    when training diverged, and the row is still returned.
    """
    n_blocks = (len(corpus.train) - 1) // CONTEXT
    if spec.steps * spec.batch > n_blocks:
        raise ValueError(
            f"D = {spec.D}: the text holds {n_blocks * CONTEXT} training bytes; lower D"
        )
    torch.manual_seed(spec.seed)
    model = ByteTransformer(spec).to(device)
    order = np.random.default_rng([spec.seed, 1]).permutation(n_blocks)
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=spec.lr,
        betas=(0.9, spec.beta2),
        weight_decay=spec.weight_decay,
        fused=True,
    )
    offsets = np.arange(CONTEXT + 1)
    started = time.perf_counter()
    train_loss = math.nan
    for step in range(spec.steps):
        chosen = order[step * spec.batch : (step + 1) * spec.batch] * CONTEXT
        block = torch.from_numpy(corpus.train[chosen[:, None] + offsets].astype(np.int64))
        block = block.to(device)
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(spec, step)
        logits = model(block[:, :-1]).reshape(-1, VOCABULARY)
        loss = F.cross_entropy(logits, block[:, 1:].reshape(-1))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 0 or step == spec.steps - 1:
            train_loss = float(loss.detach())
            if not math.isfinite(train_loss):
                break
    seconds = time.perf_counter() - started
    finite = math.isfinite(train_loss)
    counts = transformer_counts(
        width=spec.width, depth=spec.depth, vocabulary=VOCABULARY, context=CONTEXT
    )
    return {
        "run": spec.name,
        "width": spec.width,
        "depth": spec.depth,
        "heads": spec.heads,
        "N_total": counts.N_total,
        "N_non_embedding": counts.N_non_embedding,
        "D": spec.tokens,
        "flops_dense": counts.flops_dense * spec.tokens,
        "flops_head": counts.flops_head * spec.tokens,
        "flops_attention": counts.flops_attention * spec.tokens,
        "loss": evaluate(model, corpus.held_out) if finite else math.nan,
        "train_loss": train_loss,
        "seed": spec.seed,
        "lr": spec.lr,
        "batch": spec.batch,
        "warmup": spec.warmup,
        "steps": spec.steps,
        "seconds": round(seconds, 2),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "corpus": corpus.digest[:16],
    }
