import json

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError
from isoloss.sweep import Cnn, Data, Mlp, RandomFeatures
from isoloss.sweep.network_features import network_features


def images(kind="classes"):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 420)
    x = rng.standard_normal((420, 1, 6, 6)).astype("f4")
    x[np.arange(420), 0, y] += 1
    return Data(
        kind=kind, train_x=x[:300], train_y=y[:300], valid_x=x[300:340], valid_y=y[300:340],
        test_x=x[340:], test_y=y[340:], outputs=3, digest="0" * 64,
    )  # fmt: skip


def test_random_features_need_no_network():
    x, y, kind = network_features(images(), RandomFeatures(width=20, activation="erf"), rows=100)
    assert x.shape == (100, 20)
    assert (y == np.concatenate([images().test_y, images().valid_y])[:100]).all()
    assert kind == "classes"


def test_layers_and_gradients_of_a_network():
    pytest.importorskip("torch")
    data = images()
    assert network_features(data, Mlp(width=12))[0].shape == (420, 12)
    assert network_features(data, Mlp(width=12), of="layers.0")[0].min() < 0
    assert network_features(data, Cnn(width=4, depth=1), of="tangent", width=30)[0].shape == (
        420,
        30,
    )
    first, again, other = (network_features(data, Mlp(width=12), seed=s)[0] for s in (0, 0, 1))
    assert (first == again).all()
    assert not np.allclose(first, other)


def test_features_of_a_trained_network_are_of_examples_it_did_not_see():
    pytest.importorskip("torch")
    data = images()
    x, y, _ = network_features(data, Mlp(width=24), train=300)
    assert len(x) == len(y) == 120
    start = network_features(data, Mlp(width=24))[0][:120]
    assert not np.allclose(start, x)


def test_mistakes_are_named():
    data = images()
    for said, call_it in {
        "are not trained": lambda: network_features(data, RandomFeatures(width=3), train=5),
        "one layer": lambda: network_features(data, RandomFeatures(width=3), of="tangent"),
        "rows = 0": lambda: network_features(data, RandomFeatures(width=3), rows=0),
        "are text": lambda: network_features(images("text"), RandomFeatures(width=3)),
    }.items():
        with pytest.raises(InputError, match=said):
            call_it()


def test_the_command_takes_a_data_set_and_a_model():
    words = ["spectrum", "mnist1d", "--model", "random-features:width=90", "--rows", "400"]
    result = call(*words, "--D", "20,40", "--json")
    assert result.exit_code in (0, 3), result.stderr
    answer = json.loads(result.stdout)
    assert answer["spectrum"]["rows"] == 400
    assert answer["spectrum"]["columns"] == 90
    assert answer["spectrum"]["outputs"] == 10


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["x.npy", "--of", "tangent"], 1, "--model"),
        (["x.npy", "--train", "5"], 1, "--model"),
        (["nothing", "--model", "mlp:width=8"], 1, "nothing"),
        (["mnist1d", "--model", "mlp:width"], 2, "FIELD=VALUE"),
        (["mnist1d", "--model", "rnn:width=8"], 1, "model kind"),
        (["mnist1d", "--model", "mlp:width=8,size=3"], 1, "unknown field"),
        (["mnist1d", "--model", "mlp:width=x"], 1, "width"),
        (["mnist1d", "--model", "transformer:width=8,depth=1,heads=1"], 1, "reads text"),
        (["mnist1d", "--model", "random-features:width=9", "--labels", "y"], 1, "--labels"),
        (["mnist1d", "--model", "random-features:width=9", "--train", "9"], 1, "not trained"),
    ],
)
def test_mistakes_on_the_command_line(words, status, said):
    result = call("spectrum", *words)
    assert result.exit_code == status
    assert said in result.stderr
    assert "Traceback" not in result.stderr
