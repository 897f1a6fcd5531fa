"""Joint laws of language models."""

from __future__ import annotations

from collections.abc import Mapping

from isoloss.laws.published.entry import Published

LANGUAGE: Mapping[str, Published] = {
    "kaplan-2020": Published(
        law="kaplan",
        parameters={"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
        source="Kaplan et al. 2020, arXiv:2001.08361, table 2",
        caveat="N without embeddings; D in tokens of WebText2's tokenizer; early-stopped loss",
    ),
    "hoffmann-2022-rounded": Published(
        law="chinchilla",
        parameters={"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
        source="Hoffmann et al. 2022, arXiv:2203.15556, eq. 10",
        caveat="two-digit exponents move N_opt a lot: 92.6 tokens a parameter at 5.76e23 FLOPs",
    ),
    "hoffmann-2022": Published(
        law="chinchilla",
        parameters={
            "E": 1.6933807,
            "A": 406.4016,
            "B": 410.7222,
            "alpha": 0.33917084,
            "beta": 0.2849083,
        },
        source="the TeX source of arXiv:2203.15556, as quoted by Besiroglu et al. 2024",
        caveat="the optimiser had stopped early (mean in place of sum of the Huber losses)",
    ),
    "epoch-2024-huber": Published(
        law="chinchilla",
        parameters={
            "E": 1.817218,
            "A": 477.826,
            "B": 2143.417,
            "alpha": 0.3473105,
            "beta": 0.3671725,
        },
        source="optimum of the Huber(1e-3) objective of log loss on the 240 rows of Besiroglu "
        "et al. 2024, arXiv:2404.10102, recomputed",
        caveat="the paper prints E of this fit beside the other four of the least-absolute fit",
    ),
    "epoch-2024-lad": Published(
        law="chinchilla",
        parameters={
            "E": 1.816864,
            "A": 482.006,
            "B": 2085.436,
            "alpha": 0.347813,
            "beta": 0.365854,
        },
        source="Besiroglu et al. 2024, arXiv:2404.10102, table 1; the least-absolute-deviation "
        "optimum of log loss on the same 240 rows",
        caveat="standard errors there: A 124.5, B 1293, E .0257, alpha .0154, beta .0206",
    ),
    "muennighoff-2023": Published(
        law="repetition_joint",
        parameters={
            "E": 1.8691547,
            "A": 520.823,
            "B": 1487.678,
            "alpha": 0.3526596,
            "beta": 0.3526596,
            "R_D": 15.387756,
            "R_N": 5.309743,
        },
        source="Muennighoff et al. 2023, arXiv:2305.16264, and its released notebook",
        caveat="the first five were fixed from another fit; R_D and R_N fitted to 182 runs",
    ),
    "gadre-2024": Published(
        law="over_training",
        parameters={"E": 1.83665, "a": 212.24, "b": 366.69, "eta": 0.136425},
        source="Gadre et al. 2024, arXiv:2403.08540, the released notebook: C4 loss of five runs "
        "on RedPajama, recomputed",
        caveat="printed as E, alpha = 166.21, beta = 366.69, b = -.27285: a = alpha 6^eta with "
        "eta = -b/2; four constants of five runs",
    ),
}
"""Joint laws of size and data."""
