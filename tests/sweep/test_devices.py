"""What can be seen of devices where there is none."""

import subprocess
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from isoloss._core.executor import Here  # noqa: E402
from isoloss.errors import InputError, MissingExtra  # noqa: E402
from isoloss.sweep import DataSpec, RandomFeatures, RunSpec, row, run_sweep  # noqa: E402
from isoloss.sweep.batched import train_batched  # noqa: E402
from isoloss.sweep.teacher import train_students  # noqa: E402
from isoloss.sweep.train import train  # noqa: E402
from sweep import small_data as small  # noqa: E402

SOLVED = RunSpec(
    model=RandomFeatures(width=5), data=DataSpec(name="mnist1d"), D=50, batch=1, lr=1.0
)


@pytest.fixture
def two_cards(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"card {i}")


def calls(tmp_path, device):
    return [
        lambda: train(small.spec(), small.classes(), device=device),
        lambda: train_batched([small.spec()], small.classes(), device=device),
        lambda: train_students([], device=device),
        lambda: run_sweep([SOLVED], tmp_path / "l.jsonl", executor=Here(), device=device),
    ]


def test_a_card_beyond_the_last_is_refused_before_anything_is_done(two_cards, tmp_path):
    for call in calls(tmp_path, "cuda:2"):
        with pytest.raises(InputError, match=r"cuda:2.*finds cuda:0 \(card 0\), cuda:1"):
            call()
    assert not (tmp_path / "l.jsonl").exists()


def test_a_device_without_torch_is_an_extra_that_is_missing(monkeypatch, tmp_path):
    for module in ("isoloss.sweep.pool", "isoloss.theory.on_device"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    with pytest.raises(MissingExtra):
        run_sweep([SOLVED], tmp_path / "l.jsonl", executor=Here(), device="cuda")


@pytest.mark.parametrize(
    ("visible", "device", "asked"),
    [(None, "cuda:1", "1"), ("", "cuda", "0"), ("3,5", "cuda:1", "5"), ("GPU-ab", "cuda", "GPU-ab"),
     ("3", "cuda:1", "1")],
)  # fmt: skip
def test_power_is_that_of_the_card_that_torch_counts(visible, device, asked, monkeypatch):
    seen = []

    def run(command, **options):
        seen.append(command)
        return SimpleNamespace(stdout="300.0\n")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    row._limit.cache_clear()
    assert row.joules(2.0, 1.5, device) == 600
    assert f"--id={asked}" in seen[0]
    row._limit.cache_clear()


def test_a_checkpoint_of_another_device_counts_as_absent(monkeypatch, tmp_path):
    from isoloss.sweep import batched_run

    keys = []
    saver = batched_run.Saver
    monkeypatch.setattr(
        batched_run, "Saver", lambda path, runs: keys.append(runs) or saver(path, runs)
    )
    train_batched([small.spec(steps=10)], small.classes())
    monkeypatch.setattr(batched_run, "check_device", lambda device: None)
    with pytest.raises((RuntimeError, AssertionError)):
        train_batched([small.spec(steps=10)], small.classes(), device="cuda:7")
    assert len(set(keys)) == 2
