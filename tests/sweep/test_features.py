import numpy as np
import pytest

from isoloss.errors import InputError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from isoloss.sweep.features import activations  # noqa: E402
from isoloss.sweep.tangents import tangent_features, tangent_kernel  # noqa: E402

X = np.random.default_rng(0).standard_normal((11, 6)).astype(np.float32)


def small(seed=0, outputs=2):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, outputs)
    )


def images(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )


def jacobian(net, x):
    """Gradients of every output one backward pass at a time, (rows, outputs, weights)."""
    found = []
    for row in torch.from_numpy(x):
        out = net(row[None])[0]
        parts = [torch.autograd.grad(o, list(net.parameters()), retain_graph=True) for o in out]
        found.append([torch.cat([g.flatten() for g in part]).numpy() for part in parts])
    return np.array(found, dtype=np.float64)


def exact_kernel(net, x, z=None):
    left, right = jacobian(net, x), jacobian(net, x if z is None else z)
    return np.einsum("icw,jcw->ij", left, right) / left.shape[1]


def test_the_last_hidden_layer_is_what_enters_the_last_weights():
    net = small()
    hidden = net[:4](torch.from_numpy(X)).detach().numpy()
    assert activations(net, X, batch=4) == pytest.approx(hidden)
    assert activations(net, X, layer="3") == pytest.approx(hidden)
    assert activations(net, X, layer="4", of="input") == pytest.approx(hidden)
    assert (activations(net, X, layer="2") < 0).any()
    assert activations(images(), np.ones((3, 1, 8, 8))).shape == (3, 64)
    assert activations(images(), np.ones((3, 1, 8, 8)), layer="0").shape == (3, 64)


def test_files_are_written_whole(tmp_path):
    net, path = small(), tmp_path / "deep" / "h.npy"
    found = activations(net, X, batch=3, out=path)
    assert found == pytest.approx(activations(net, X))
    assert np.load(path).dtype == np.float32
    for method in ("gradients", "tangents"):
        found = tangent_features(net, X, width=6, out=path, method=method)
        assert np.load(path) == pytest.approx(tangent_features(net, X, width=6), abs=1e-6)
    before = path.read_bytes()

    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls = small(), 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 4:
                raise KeyboardInterrupt
            return self.inner(x)

    with pytest.raises(KeyboardInterrupt):
        activations(Breaks(), X, batch=3, out=path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["h.npy"]


def test_the_network_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    net[1].eval()
    first = activations(net, X)
    assert (first == activations(net, X)).all()
    assert [m.training for m in net] == [True, False, True]
    assert all(p.grad is None for p in net.parameters())
    assert not net[0]._forward_hooks


@pytest.mark.parametrize("make", [small, images])
def test_the_exact_kernel(make):
    x = X if make is small else np.random.default_rng(1).standard_normal((5, 1, 8, 8)).astype("f4")
    net = make()
    assert tangent_kernel(net, x, batch=3) == pytest.approx(
        exact_kernel(net, x), rel=1e-4, abs=1e-5
    )
    crossed = tangent_kernel(net, x, x[:2])
    assert crossed == pytest.approx(exact_kernel(net, x)[:, :2], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("method", ["gradients", "tangents"])
def test_a_projection_is_that_of_the_jacobian(method):
    # The tangents are the documented streams, so the projection itself is checked, not its size.
    net, T = small(), 7
    J = jacobian(net, X)
    R = np.stack(
        [np.random.default_rng([5, t]).standard_normal(J.shape[2], dtype="f4") for t in range(T)]
    )
    wanted = np.einsum("icw,tw->itc", J, R).reshape(11, -1) / np.sqrt(2 * T)
    found = tangent_features(net, X, width=2 * T, rng=5, method=method, batch=4)
    assert found == pytest.approx(wanted, rel=1e-3, abs=1e-5)
    more = tangent_features(net, X, width=4 * T, rng=5, method=method)
    assert more[:, : 2 * T] * np.sqrt(2) == pytest.approx(found, rel=1e-4, abs=1e-5)


def test_estimates_of_the_kernel_are_unbiased_and_gather_as_one_over_the_root():
    net = small()
    exact = exact_kernel(net, X)
    errors = {}
    for width in (20, 320):
        made = [tangent_features(net, X, width=width, rng=s).astype(float) for s in range(40)]
        kernels = np.array([m @ m.T for m in made])
        errors[width] = np.sqrt(((kernels - exact) ** 2).mean())
        sem = kernels.std(axis=0, ddof=1) / np.sqrt(40)
        assert np.abs((kernels.mean(axis=0) - exact) / sem).max() < 4.5
    assert errors[20] / errors[320] == pytest.approx(4, rel=0.3)


def test_wide_networks_come_near_the_endless_kernel():
    from isoloss.spectra import mlp_kernel

    class Wide(nn.Module):
        """Weights are standard normal, their size stands in the network."""

        def __init__(self, width):
            super().__init__()
            self.a = nn.Parameter(torch.randn(width, 6))
            self.b = nn.Parameter(torch.randn(width, width))
            self.c = nn.Parameter(torch.randn(1, width))

        def forward(self, x):
            h = torch.relu(x @ self.a.T * (2 / 6) ** 0.5)
            h = torch.relu(h @ self.b.T * (2 / len(self.a)) ** 0.5)
            return h @ self.c.T * (2 / len(self.a)) ** 0.5

    torch.manual_seed(0)
    found = np.mean([tangent_kernel(Wide(400), X[:4]) for _ in range(6)], axis=0)
    exact = mlp_kernel(X[:4], kind="ntk", depth=2)
    assert np.abs(found - exact).max() < 0.1 * exact.max()


def test_mistakes_are_named():
    net = small()
    for said, call in {
        "layer = 'no'": lambda: activations(net, X, layer="no"),
        "do not fit": lambda: activations(net, X[:, :3]),
        "rows of numbers": lambda: activations(net, X[0]),
        "shape": lambda: activations(net, np.array([["a"]])),
        "equal length": lambda: activations(net, [[1, 2], [3]]),
        "write 'output'": lambda: activations(net, X, layer="3", of="both"),
        "multiple": lambda: tangent_features(net, X, width=3),
        "whole number": lambda: tangent_features(net, X, width=0),
        "write 'auto'": lambda: tangent_features(net, X, width=2, method="fast"),
        "no trainable weights": lambda: tangent_features(nn.Tanh(), X, width=6),
        "name the layer": lambda: activations(nn.Tanh(), X),
    }.items():
        with pytest.raises(InputError, match=said):
            call()
    big = nn.Sequential(nn.Linear(6, 30_000), nn.ReLU(), nn.Linear(30_000, 1))
    with pytest.raises(InputError, match="tangent_features"):
        tangent_kernel(big, np.zeros((2000, 6)))
