import numpy as np
import pytest
from scipy.special import erf

from isoloss.errors import InputError
from isoloss.spectra import mlp_kernel

X = np.random.default_rng(0).standard_normal((5, 7))
Z = np.random.default_rng(1).standard_normal((3, 7))
SHAPES = {"relu": lambda g: np.maximum(g, 0), "erf": erf, "linear": lambda g: g}


def sampled(a, b, function):
    """E[s(u) s(v)] by Gauss-Hermite quadrature, for one covariance."""
    t, w = np.polynomial.hermite_e.hermegauss(150)
    w = w / w.sum()
    chol = np.linalg.cholesky(np.array([[a[0], b], [b, a[1]]]))
    u = chol[0, 0] * t[:, None] + 0 * t
    v = chol[1, 0] * t[:, None] + chol[1, 1] * t
    return w @ (function(u) * function(v)) @ w


@pytest.mark.parametrize("activation", ["relu", "erf", "linear"])
def test_one_layer_is_a_gaussian_mean(activation):
    kernel = mlp_kernel(X, Z, activation=activation, weights=1.5, biases=0.2, readout=0.7)
    for i in range(5):
        for j in range(3):
            own, its, k = (
                1.5 * p @ q / 7 + 0.2 for p, q in ((X[i],) * 2, (Z[j],) * 2, (X[i], Z[j]))
            )
            mean = sampled((own, its), k, SHAPES[activation])
            assert kernel[i, j] == pytest.approx(0.7 * mean + 0.2, abs=3e-3)


@pytest.mark.parametrize("activation", ["relu", "erf"])
@pytest.mark.parametrize("depth", [1, 3])
def test_wide_networks_come_near_both_kernels(activation, depth):
    # Gradients written out by hand: backward through layers of standard normal numbers.
    width, nets, variance, bias = 1500, 8, 1.8, 0.1
    s = SHAPES[activation]
    ds = {"relu": lambda g: (g > 0) * 1.0, "erf": lambda g: 2 / np.sqrt(np.pi) * np.exp(-(g**2))}
    covariance, tangent = np.zeros((5, 5)), np.zeros((5, 5))
    for net in range(nets):
        rng = np.random.default_rng([net, depth])
        hidden, before, matrices = [X], [], []
        for _ in range(depth):
            W = rng.standard_normal((width, hidden[-1].shape[1]))
            g = hidden[-1] @ W.T * np.sqrt(variance / W.shape[1])
            g = g + np.sqrt(bias) * rng.standard_normal(width)
            before.append(g)
            hidden.append(s(g))
            matrices.append(W)
        last = rng.standard_normal(width)
        covariance += variance * hidden[-1] @ hidden[-1].T / width + bias
        tangent += variance * hidden[-1] @ hidden[-1].T / width + bias
        back = np.sqrt(variance / width) * last * ds[activation](before[-1])
        for layer in reversed(range(depth)):
            fan = hidden[layer].shape[1]
            tangent += (back @ back.T) * (variance * hidden[layer] @ hidden[layer].T / fan + bias)
            if layer:
                back = back @ matrices[layer] * np.sqrt(variance / fan)
                back = back * ds[activation](before[layer - 1])
    options = {"activation": activation, "depth": depth, "weights": variance, "biases": bias}
    for found, kind in ((covariance, "nngp"), (tangent, "ntk")):
        exact = mlp_kernel(X, kind=kind, **options)
        assert np.abs(found / nets - exact).max() < 0.06 * np.abs(exact).max()
        assert np.abs(found / nets - 1.2 * exact).max() > 0.06 * np.abs(exact).max()


def test_linear_networks_in_closed_form():
    k = X @ Z.T / 7
    assert mlp_kernel(X, Z, activation="linear", weights=1, depth=4) == pytest.approx(k)
    ntk = mlp_kernel(X, Z, activation="linear", weights=1, depth=4, kind="ntk")
    assert ntk == pytest.approx(5 * k)


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
@pytest.mark.parametrize("activation", ["relu", "erf", "linear"])
def test_symmetric_positive_and_the_same_by_parts(kind, activation):
    options = {"kind": kind, "activation": activation, "depth": 3, "biases": 0.1}
    whole = mlp_kernel(np.vstack([X, Z]), **options)
    assert whole == pytest.approx(whole.T)
    assert np.linalg.eigvalsh(whole).min() > -1e-12
    assert whole[:5, 5:] == pytest.approx(mlp_kernel(X, Z, **options))
    # Against itself by the general way: the diagonal keeps half of the digits at least.
    assert whole[:5, :5] == pytest.approx(mlp_kernel(X, X.copy(), **options), rel=1e-6)


def test_scaling_of_inputs_goes_through_relu():
    for kind in ("nngp", "ntk"):
        grown = mlp_kernel(3 * X, kind=kind, depth=2)
        assert grown == pytest.approx(9 * mlp_kernel(X, kind=kind, depth=2))
    assert np.isfinite(mlp_kernel(np.zeros((2, 3)), kind="ntk")).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x": X[0]}, "rows of numbers"),
        ({"x": [["a"]]}, "rows of numbers"),
        ({"x": np.full((2, 7), np.nan)}, "not finite"),
        ({"z": Z[:, :3]}, "columns"),
        ({"depth": 0}, "depth"),
        ({"depth": 1.5}, "depth"),
        ({"activation": "gelu"}, "activation"),
        ({"kind": "rbf"}, "kind"),
        ({"weights": 0}, "above zero"),
        ({"biases": -1}, "zero or more"),
        ({"readout": "x"}, "expected a number"),
    ],
)
def test_mistakes_are_named(change, said):
    given = {"x": X} | change
    with pytest.raises(InputError, match=said):
        mlp_kernel(given.pop("x"), given.pop("z", None), **given)
