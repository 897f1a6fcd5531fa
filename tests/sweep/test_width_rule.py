import math
from dataclasses import replace

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep import Cnn, Mlp, Transformer
from sweep import small_data as small

torch = pytest.importorskip("torch")
from isoloss.sweep.coordinate_check import coordinate_check  # noqa: E402
from isoloss.sweep.models.build import build  # noqa: E402
from isoloss.sweep.models.width import factors, groups  # noqa: E402
from isoloss.sweep.train import train, trained  # noqa: E402

MODELS = [
    (Mlp(width=8, depth=3), small.classes()),
    (Cnn(width=8, depth=2), small.classes(shape=(2, 5, 5))),
    (Transformer(width=32, depth=1, heads=2, context=16), small.text()),
]


@pytest.fixture(autouse=True)
def _quickly():
    with small.quickly():
        yield


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize(("model", "data"), MODELS)
def test_at_the_base_width_both_rules_are_one(model, data, optimiser):
    run = small.spec(model, optimiser=optimiser, steps=10, base_width=model.width)
    row = train(run, data)
    same = train(replace(run, width_rule="mup"), data)
    assert same["loss"] == row["loss"]
    assert train(replace(run, width_rule="mup", base_width=4), data)["loss"] != row["loss"]


def test_factors_of_a_perceptron():
    run = small.spec(Mlp(width=32, depth=3), width_rule="mup", base_width=8, weight_decay=0.3)
    model = build(run, (5,), 3)
    adam = {
        "layers.0.weight": 1, "layers.0.bias": 1, "layers.1.weight": 1 / 4, "layers.1.bias": 1,
        "layers.2.weight": 1 / 4, "layers.2.bias": 1, "layers.3.weight": 1 / 4, "layers.3.bias": 1,
    }  # fmt: skip
    sgd = {
        "layers.0.weight": 4, "layers.0.bias": 4, "layers.1.weight": 1, "layers.1.bias": 4,
        "layers.2.weight": 1, "layers.2.bias": 4, "layers.3.weight": 1 / 4, "layers.3.bias": 1,
    }  # fmt: skip
    assert factors(model, run) == adam
    assert factors(model, replace(run, optimiser="sgd")) == sgd
    for group in groups(model, run):
        assert group["factor"] * group["weight_decay"] == pytest.approx(0.3)


def test_factors_of_a_transformer():
    run = small.spec(MODELS[2][0], width_rule="mup", base_width=8)
    found = factors(build(run, (), 256), run)
    quarter = {name for name, factor in found.items() if factor == 1 / 4}
    assert quarter == {f"blocks.0.{n}.weight" for n in ("qkv", "mix", "up", "down")}
    assert {found[n] for n in set(found) - quarter} == {1.0}


def test_initial_weights_have_the_stated_variance():
    for rule in ("standard", "mup"):
        run = small.spec(Mlp(width=400, depth=2), width_rule=rule, base_width=100)
        weights = [p for p in build(run, (50,), 40).parameters() if p.ndim == 2]
        stated = [2 / 50, 2 / 400, 1 / 400 if rule == "standard" else 100 / 400**2]
        for weight, variance in zip(weights, stated, strict=True):
            spread = 5 * math.sqrt(2 / weight.numel())
            assert float(weight.detach().var()) == pytest.approx(variance, rel=spread)


@pytest.mark.parametrize(("model", "data"), MODELS[:2])
def test_a_readout_of_zero_leaves_all_other_weights_as_they_were(model, data):
    run = small.spec(model, width_rule="mup", base_width=4)
    zero = build(replace(run, readout="zero"), data.features, data.outputs)
    assert not zero(torch.tensor(data.test_x)).any()
    for name, value in build(run, data.features, data.outputs).named_parameters():
        same = bool((value == zero.get_parameter(name)).all())
        # Biases of the last layer are zero either way.
        assert same == (zero.role(name) != "readout")
    # What the start lacks is learned, and then all layers learn.
    after, row = trained(replace(run, readout="zero"), data)
    assert row["train_loss"] < math.log(data.outputs)
    for name, value in after.named_parameters():
        assert not (value == zero.get_parameter(name)).all()


@pytest.mark.parametrize(
    ("model", "data", "lr"),
    [
        (Mlp(width=8, depth=3), small.classes(shape=(20,)), {"adamw": 0.003, "sgd": 0.05}),
        (Cnn(width=8, depth=3), small.classes(shape=(1, 12, 12)), {"adamw": 0.003}),
        (
            Transformer(width=16, depth=2, heads=2, context=16),
            small.text(),
            {"adamw": 0.01, "sgd": 0.1},
        ),
    ],
)
def test_activations_move_alike_at_every_width_under_mup_alone(model, data, lr):
    for optimiser in lr:
        run = small.spec(
            model, optimiser=optimiser, lr=lr[optimiser], width_rule="mup", clip=math.inf
        )
        widths = (64, 128, 256)
        mup = coordinate_check(run, data, widths=widths, steps=2, seeds=2)
        standard = coordinate_check(
            replace(run, width_rule="standard"), data, widths=widths, steps=2, seeds=2
        )
        assert mup.size.shape == (len(widths), 3, len(mup.layers))
        assert not mup.change[:, 0].any()
        assert np.all(np.abs(mup.slope[:-1]) < 0.25), mup
        assert -0.5 < mup.slope[-1] < 0.25
        # The output's own start shrinks as one over the root of the width, and what it moves by
        # comes nearer to a constant from above.
        hidden = standard.slope[1:-1]
        assert hidden.max() > 0.25, standard
        assert standard.slope[-1] > mup.slope[-1] + 0.25


def test_a_check_without_widths_is_refused():
    with pytest.raises(InputError, match="at least two widths"):
        coordinate_check(small.spec(), small.classes(), widths=(8, 8))
