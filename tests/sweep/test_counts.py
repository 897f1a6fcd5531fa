import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep import Cnn, Mlp, RandomFeatures, Transformer
from isoloss.sweep.counts import counts
from sweep.small_data import spec

CASES = [
    (Mlp(width=7, depth=1), (5,), 3),
    (Mlp(width=7, depth=4), (2, 3, 3), 1),
    (Cnn(width=3, depth=1), (1, 9, 9), 4),
    (Cnn(width=5, depth=6), (3, 28, 20), 10),
    (Transformer(width=12, depth=3, heads=2, context=9), (), 256),
]


@pytest.mark.parametrize(("model", "features", "outputs"), CASES)
def test_parameters_are_those_that_torch_holds(model, features, outputs):
    pytest.importorskip("torch")
    from isoloss.sweep.models.build import build

    built = build(spec(model), features, outputs)
    held = sum(p.numel() for p in built.parameters())
    assert held == counts(spec(model), features, outputs).N


@pytest.mark.parametrize(("model", "features", "outputs"), CASES)
def test_flops_are_three_times_those_that_torch_counts_forward(model, features, outputs):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from isoloss.sweep.models.build import build

    built = build(spec(model), features, outputs)
    examples = 2
    if features:
        x = torch.zeros(examples, *features)
    else:
        x = torch.zeros(examples, model.context, dtype=torch.long)
        examples *= model.context
    with FlopCounterMode(display=False) as counter:
        built(x)
    c = counts(spec(model), features, outputs)
    assert c.flops == c.flops_dense + c.flops_head + c.flops_attention
    # The counter takes attention, which is causal here, as full, where it sees it at all.
    forward = {str(k).split(".")[-1]: v for k, v in counter.get_flop_counts()["Global"].items()}
    products = sum(v for k, v in forward.items() if "attention" not in k)
    assert 3 * products == (c.flops_dense + c.flops_head) * examples


def test_ledgers_keep_half_a_square_for_the_mask():
    """Other conventions are for `isoloss.runs.counting`; what is written stays comparable."""
    c = counts(spec(Transformer(width=12, depth=3, heads=2, context=9)), (), 256)
    assert c.flops_attention == 6 * 3 * 9 * 12
    assert c.flops_dense == 6 * 12 * 3 * 12**2
    assert c.flops_head == 6 * 256 * 12
    assert c.N_non_embedding == 12 * 3 * 12**2 + 7 * 12


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="learns from text"):
        counts(spec(CASES[4][0]), (5,), 3)
    with pytest.raises(InputError, match="learns from classes or numbers; the data are text"):
        counts(spec(), (), 256)
    with pytest.raises(InputError, match=r"\(channels, height, width\), not \(784,\)"):
        counts(spec(Cnn(width=3)), (784,), 10)
    with pytest.raises(InputError, match="solved in closed form"):
        counts(spec(RandomFeatures(width=3)), (5,), 3)


def test_the_table_of_a_row_adds_up():
    from isoloss.sweep.row import row

    run = spec()
    made = row(
        run, counts(run, (5,), 3), seconds=1.0, cpu_seconds=2.0, device="cpu", digest="ab" * 32,
        steps=10, loss=np.float64(0.5), error=None,
    )  # fmt: skip
    assert made["seen"] == 80
    assert made["flops"] == 80 * 6 * (5 * 8 + 8 * 8 + 8 * 3)
    assert made["joules"] == 20.0
    assert made["data"] == "ab" * 8
    assert "error" not in made
