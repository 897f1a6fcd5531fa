import dataclasses
import subprocess
import sys

import pytest

from isoloss.errors import InputError
from isoloss.runs import transformer_counts
from isoloss.sweep import RunSpec, spec_cost, spec_for, stdlib_grid
from isoloss.sweep.spec import CONTEXT, VOCABULARY

GOOD = {"width": 16, "depth": 2, "heads": 2, "D": 1_000_000, "lr": 0.01}


@pytest.mark.parametrize(
    ("change", "piece"),
    [
        ({"width": 0}, "width = 0"),
        ({"depth": 0}, "depth = 0"),
        ({"heads": -1}, "heads = -1"),
        ({"heads": 3}, "not divisible"),
        ({"batch": 0}, "batch = 0"),
        ({"D": 0}, "D = 0"),
        ({"D": 51_200}, "not more than warmup = 100"),
        ({"warmup": -1}, "warmup = -1"),
        ({"seed": -1}, "seed = -1"),
        ({"lr": 0.0}, "lr = 0.0"),
        ({"lr": -1.0}, "positive"),
        ({"lr": float("nan")}, "lr = nan"),
        ({"lr": float("inf")}, "finite"),
    ],
)
def test_specs_that_cannot_be_trained_are_refused(change, piece):
    with pytest.raises(InputError, match=piece):
        RunSpec(**(GOOD | change))


def test_the_name_is_the_same_in_every_release_and_process():
    # The ledger that ships with the package knows its runs by these names.
    spec = spec_for(96, 1.5e6)
    assert spec.name == "d96x4-D1500k-s0-49daa771"
    code = "from isoloss.sweep import spec_for; print(spec_for(96, 1.5e6).name)"
    other = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == spec.name


def test_every_field_changes_the_name():
    base = RunSpec(**GOOD)
    changed = {
        "width": 32, "depth": 3, "heads": 1, "D": 2_000_000, "lr": 0.02, "batch": 8,
        "warmup": 50, "beta2": 0.95, "weight_decay": 0.1, "seed": 1,
    }  # fmt: skip
    assert set(changed) == {f.name for f in dataclasses.fields(RunSpec)}
    names = {dataclasses.replace(base, **{k: v}).name for k, v in changed.items()}
    assert len(names | {base.name}) == len(changed) + 1
    assert RunSpec(**GOOD).name == base.name
    assert hash(RunSpec(**GOOD)) == hash(base)


def test_tokens_are_whole_batches():
    spec = RunSpec(**GOOD, batch=3)
    assert spec.tokens == spec.steps * 3 * CONTEXT <= spec.D < spec.tokens + 3 * CONTEXT


def test_the_grid_has_no_run_twice_and_grows_in_cost():
    specs = stdlib_grid()
    assert len({s.name for s in specs}) == len(specs)
    costs = sorted((spec_cost(s) for s in specs), reverse=True)
    assert costs[0] / costs[-1] > 100
    counts = transformer_counts(width=16, depth=2, vocabulary=VOCABULARY, context=CONTEXT)
    spec = RunSpec(**GOOD)
    assert spec_cost(spec) == counts.flops * spec.tokens


@pytest.mark.parametrize(("width", "depth", "heads"), [(8, 1, 1), (12, 2, 1), (24, 3, 2)])
def test_parameters_are_counted_as_the_network_has_them(width, depth, heads):
    pytest.importorskip("torch")
    from isoloss.sweep.model import ByteTransformer

    model = ByteTransformer(RunSpec(width=width, depth=depth, heads=heads, D=10**6, lr=0.01))
    counts = transformer_counts(width=width, depth=depth, vocabulary=VOCABULARY, context=CONTEXT)
    assert sum(p.numel() for p in model.parameters()) == counts.N_total
    outside = model.embed.weight.numel() + model.position.numel()
    assert counts.N_total - counts.N_non_embedding == outside
    matrices = sum(p.numel() for n, p in model.blocks.named_parameters() if p.ndim == 2)
    assert counts.flops_dense == 6 * matrices
