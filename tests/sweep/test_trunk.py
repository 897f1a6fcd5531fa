import math
from dataclasses import replace

import pytest

from isoloss.errors import InputError
from sweep import small_data as small

torch = pytest.importorskip("torch")
from isoloss.sweep import checkpoint as checkpoints  # noqa: E402
from isoloss.sweep.checkpoint import Checkpoint  # noqa: E402
from isoloss.sweep.train import train  # noqa: E402
from isoloss.sweep.trunk import train_trunk  # noqa: E402


@pytest.fixture(autouse=True)
def _quickly():
    with small.quickly():
        yield


class Killed(BaseException):
    pass


@pytest.fixture
def kill(monkeypatch):
    """Write a checkpoint at every chance, and end the process's work after so many."""

    def after(writes: int) -> None:
        monkeypatch.setattr(checkpoints, "EVERY", 0.0)
        left = [writes]
        write = Checkpoint.write

        def counted(self, notes, arrays):
            write(self, notes, arrays)
            left[0] -= 1
            if not left[0]:
                raise Killed

        monkeypatch.setattr(Checkpoint, "write", counted)

    return after


TRUNK = [small.text_spec(D=D) for D in (12_800, 2_560, 6_400, 2_816)]
ONE_PASS = {"steps": 0, "schedule": "wsd", "decay": 0.3, "D": 150, "batch": 2}


@pytest.mark.parametrize(
    ("specs", "data"),
    [
        (TRUNK, small.text()),
        ([small.spec(**ONE_PASS | {"D": D}, choose="best") for D in (200, 80)], small.classes()),
        ([small.spec(**ONE_PASS | {"D": D}, optimiser="sgd") for D in (60, 200)], small.numbers()),
        ([replace(s, width_rule="mup", base_width=8) for s in TRUNK[:2]], small.text()),
    ],
)
def test_rows_are_those_of_runs_alone(specs, data):
    rows = train_trunk(specs, data)
    alone = [train(spec, data) for spec in specs]
    for row in rows:
        assert 0 < row["trunk_seconds"] < row["seconds"]
    shares = [row["trunk_seconds"] for row in sorted(rows, key=lambda r: r["D"])]
    assert shares == sorted(shares)
    assert shares[-1] == shares[-2]
    assert [small.unclocked(r) for r in rows] == [small.unclocked(r) for r in alone]


def test_a_trunk_that_diverges_ends_those_still_on_it():
    specs = [
        small.spec(**ONE_PASS | {"D": D, "optimiser": "sgd", "lr": 1e3, "clip": math.inf})
        for D in (40, 160, 200)
    ]
    rows = train_trunk(specs, small.numbers())
    alone = [train(spec, small.numbers()) for spec in specs]
    assert [r["steps"] for r in rows] == [20, 50, 50]
    assert [small.unclocked(r) for r in rows] == [small.unclocked(r) for r in alone]


def test_equal_specs_are_one_run_and_none_is_none():
    seen = []
    rows = train_trunk([TRUNK[1], TRUNK[3], TRUNK[1]], small.text(), on_row=seen.append)
    assert [r["run"] for r in rows] == [TRUNK[i].name for i in (1, 3, 1)]
    assert [r["D"] for r in seen] == [2560, 2816]
    assert train_trunk([], small.text()) == []


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"schedule": "linear"}, "a trunk needs 'wsd'"),
        ({"lr": 0.5}, "in more than D"),
        ({"seed": 1}, "in more than D"),
        ({"passes": 2.0}, "once at most"),
        ({"steps": 400}, "once at most"),
    ],
)
def test_what_shares_no_trunk_is_refused(changes, match):
    with pytest.raises(InputError, match=match):
        train_trunk([TRUNK[0], replace(TRUNK[2], **changes)], small.text())


@pytest.mark.parametrize("writes", [1, 3, 5])
def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path, kill, monkeypatch, writes):
    run = small.spec(choose="best", lr=0.1, D=30, steps=320, evaluations=7)
    data, path = small.classes(), tmp_path / "deep" / "run.npz"
    whole = train(run, data)
    kill(writes)
    with pytest.raises(Killed):
        train(run, data, checkpoint=path)
    monkeypatch.undo()
    steps = []
    from isoloss.sweep.walker import Walker

    walk = Walker.walk
    monkeypatch.setattr(Walker, "walk", lambda *a: (steps.append(a[3]), walk(*a))[1])
    again = train(run, data, checkpoint=path)
    assert steps[0] > 0
    assert small.unclocked(again) == small.unclocked(whole)
    assert path.exists()


@pytest.mark.parametrize("writes", [1, 4, 6])
def test_a_killed_trunk_goes_on_as_if_nothing_had_been(tmp_path, kill, monkeypatch, writes):
    data, path = small.text(), tmp_path / "trunk.npz"
    whole = train_trunk(TRUNK[:3], data)
    kill(writes)
    with pytest.raises(Killed):
        train_trunk(TRUNK[:3], data, checkpoint=path)
    monkeypatch.undo()
    again = train_trunk(TRUNK[:3], data, checkpoint=path)
    assert [small.unclocked(r) for r in again] == [small.unclocked(r) for r in whole]


def test_damaged_and_foreign_checkpoints_count_as_absent(tmp_path, kill, monkeypatch):
    data, path = small.classes(), tmp_path / "run.npz"
    run = small.spec(steps=120)
    whole = small.unclocked(train(run, data))
    kill(2)
    with pytest.raises(Killed):
        train(run, data, checkpoint=path)
    monkeypatch.undo()
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[-3] ^= 1
    for content in (b"", b"x" * 99, good[:-4], bytes(flipped), good + b"\0" * 4, good[:30]):
        path.write_bytes(content)
        assert small.unclocked(train(run, data, checkpoint=path)) == whole
    path.write_bytes(good)
    other = replace(run, lr=0.02)
    assert small.unclocked(train(other, data, checkpoint=path)) == small.unclocked(
        train(other, data)
    )
    path.unlink()
    path.mkdir()
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    assert small.unclocked(train(run, data, checkpoint=path)) == whole


def test_a_checkpoint_too_large_is_not_read(tmp_path):
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert Checkpoint(path, "key", 1000).read() is None
