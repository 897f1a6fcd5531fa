"""Draws by torch are those of numpy given the same numbers, and agree with the theory."""

import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError, MissingExtra
from isoloss.theory import (
    agree_gradient_descent,
    agree_gradient_flow,
    agree_random_features,
    agree_sgd,
    power_law,
    simulate_random_features,
    simulate_sgd,
)
from isoloss.theory.draw import Source
from theory.given import near

SPECTRUM = power_law(b=1.5, a=1.5, M=300, v0=0.05)
CALLS = [
    lambda **o: agree_random_features(SPECTRUM, 40, 70, ridge=[1, 9], noise=0.1, draws=20, **o),
    lambda **o: agree_random_features(SPECTRUM, 70, 20, ridge=[1, 9], draws=20, **o),
    lambda **o: agree_gradient_flow(
        SPECTRUM, 60, 110, [0, 1, 30], weight_decay=0.01, draws=20, **o
    ),
    lambda **o: agree_gradient_descent(SPECTRUM, 110, 60, [1, 30], eta=0.5, draws=20, **o),
    lambda **o: agree_sgd(SPECTRUM, 60, [1, 30, 300], lr=0.1, draws=20, schedule="cosine", **o),
]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("case", CALLS)
def test_the_same_numbers_give_the_same_losses(case, torch, monkeypatch):
    from isoloss.theory.on_device import DeviceSource

    # Numpy's numbers in place of torch's; all that is done with them is done by torch.
    monkeypatch.setattr(
        DeviceSource, "normal", lambda self, *shape: torch.tensor(self.rng.standard_normal(shape))
    )
    monkeypatch.setattr(
        DeviceSource, "signs", lambda self, n: torch.tensor(Source(self.rng).signs(n))
    )

    def silent(self, rng, device):
        Source.__init__(self, rng)
        self.place = torch.device(device)

    monkeypatch.setattr(DeviceSource, "__init__", silent)
    ours, there = case(), case(device="cpu")
    for name in ours.mean:
        assert there.mean[name] == near(ours.mean[name], rel=1e-10, abs=1e-12)
        assert there.sem[name] == near(ours.sem[name], rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("case", CALLS)
def test_draws_on_a_device_agree_with_the_theory(case, torch):
    found = case(device="cpu")
    # The start is known without a draw: its distance is rounding over rounding.
    drawn = [
        np.abs(z[sem > 1e-12]) for z, sem in zip(found.z.values(), found.sem.values(), strict=True)
    ]
    assert max(v.max() for v in drawn) < 4, found.summary()
    other = case(device="cpu", rng=1)
    again = case(device="cpu")
    for name in found.mean:
        assert again.mean[name].tolist() == found.mean[name].tolist()
        assert other.mean[name][-1] != found.mean[name][-1]


def test_a_draw_is_the_same_however_many_there_are(torch):
    few, more = (
        simulate_random_features(SPECTRUM, 20, 30, ridge=1.0, device="cpu", draws=k) for k in (3, 5)
    )
    assert few.values["train"].tolist() == more.values["train"][:3].tolist()


@pytest.mark.slow
def test_a_draw_is_the_same_wherever_it_is_made(torch):
    words = {"ridge": 1.0, "device": "cpu"}
    few = simulate_random_features(SPECTRUM, 20, 30, draws=3, **words).values["test_excess"]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = simulate_random_features(SPECTRUM, 20, 30, draws=3, executor=pool, **words)
        assert there.values["test_excess"] == near(few, rel=1e-9)
        # A worker without the device says so here.
        if not torch.cuda.is_available():
            with pytest.raises(InputError, match="no CUDA device"):
                simulate_sgd(SPECTRUM, 20, 3, lr=0.1, draws=3, executor=pool, device="cuda")


@pytest.mark.parametrize("bad", ["gpu", "cuda:", "cpu:1", "cuda:x", 0, "", "CUDA"])
def test_unknown_devices_are_refused(bad):
    with pytest.raises(InputError, match="write 'cpu', 'cuda'"):
        simulate_random_features(SPECTRUM, 20, 30, draws=3, device=bad)


def test_an_absent_device_names_what_is_there(torch):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    for case in CALLS:
        with pytest.raises(InputError, match=r"torch .* finds no CUDA device here, and the CPU"):
            case(device="cuda")


def test_without_torch_the_extra_is_named():
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.modules['torch'] = None\n"
        "from isoloss.errors import MissingExtra\n"
        "from isoloss.theory import power_law, simulate_random_features as draw\n"
        "s = power_law(b=1.5, a=1.5, M=50)\n"
        "print(draw(s, 5, 8, ridge=1.0, draws=2).draws)\n"
        "try:\n    draw(s, 5, 8, ridge=1.0, device='cpu')\n"
        "except MissingExtra as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "2", done.stderr
    assert "pip install 'isoloss[train]'" in done.stdout
    # The error reaches the caller from another process whole.
    error = pickle.loads(pickle.dumps(MissingExtra("torch", "train")))
    assert "isoloss[train]" in str(error)


def test_devices_on_the_command_line(torch):
    words = ("random-features", "--b", "1.5", "--a", "1.5", "--M", "200", "--N", "20", "--T", "30",
             "--ridge", "1", "--simulate", "3")  # fmt: skip
    shown = call("theory", *words, "--device", "cpu", "--json")
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout != call("theory", *words, "--json").stdout
    both = call("theory", *words, "--device", "cuda", "--jobs", "2")
    assert both.exit_code == 2
    assert "share one device" in both.stderr
    if not torch.cuda.is_available():
        gone = call("theory", *words, "--device", "cuda")
        assert gone.exit_code == 1
        assert "error: device = 'cuda': torch" in gone.stderr


@pytest.mark.gpu
@pytest.mark.parametrize("case", CALLS)
def test_draws_on_a_gpu_agree_with_the_theory(case, torch):
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    found = case(device="cuda")
    drawn = [
        np.abs(z[sem > 1e-12]) for z, sem in zip(found.z.values(), found.sem.values(), strict=True)
    ]
    assert max(v.max() for v in drawn) < 4, found.summary()
    again = case(device="cuda")
    for name in found.mean:
        assert again.mean[name] == near(found.mean[name], rel=1e-9)
