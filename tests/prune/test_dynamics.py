import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.prune import (
    Recorder,
    margin,
    read_dynamics,
    score_aum,
    score_el2n,
    score_forgetting,
    select,
    softmax,
)

TIMES, N, K = 6, 50, 4


class Tensor:
    """What a tensor has: no framework is needed to feed the recorder."""

    def __init__(self, values, half=False):
        self.values, self.half = np.asarray(values), half

    def detach(self):
        return self

    cpu = detach

    def float(self):
        return Tensor(self.values.astype(np.float32))

    def numpy(self):
        if self.half:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


def training(seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(K, size=N)
    return rng.permutation(1000)[:N], y, rng.standard_normal((TIMES, N, K)) * 2


def feed(recorder, ids, y, z, epochs=range(TIMES), seed=1, **how):
    rng = np.random.default_rng(seed)
    for epoch in epochs:
        for batch in np.array_split(rng.permutation(N), 7):
            recorder.record(epoch, ids[batch], y[batch], logits=z[epoch][batch], **how)


def test_all_scores_are_those_of_the_whole_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr("isoloss.prune.dynamics.FLUSH", 32)
    ids, y, z = training()
    with Recorder(tmp_path) as recorder:
        feed(recorder, ids, y, z)
    found = read_dynamics(tmp_path, early=3)
    order = np.argsort(ids)
    known = {
        "aum": score_aum(margin(z, y), of="logits").values,
        "accumulated-margin": score_aum(margin(softmax(z), y), of="probabilities").values,
        "el2n": score_el2n(softmax(z[:3]), y).values,
        "forgetting": score_forgetting(z.argmax(axis=2) == y).values,
        "confidence": -softmax(z)[:, np.arange(N), y].mean(axis=0),
        "variability": softmax(z)[:, np.arange(N), y].std(axis=0),
    }
    assert set(found.scores) == set(known)
    for name, values in known.items():
        np.testing.assert_allclose(found.scores[name].values, values[order], rtol=1e-5, atol=1e-6)
        assert found.scores[name].ids.tolist() == np.sort(ids).tolist()
        np.testing.assert_array_equal(found.scores[name].labels, y[order])
    assert found.epochs == tuple(range(TIMES))
    assert found.notes == ()
    assert len(select(found.scores["forgetting"], 0.2, class_floor=0.5)) == 10
    assert len(list(tmp_path.glob("piece-*"))) > 15


def test_a_training_that_goes_on_repeats_what_it_lost(tmp_path):
    ids, y, z = training()
    with Recorder(tmp_path) as recorder:
        feed(recorder, ids, y, np.roll(z, 1, axis=0), epochs=[0, 1, 2])
    with Recorder(tmp_path) as recorder:
        feed(recorder, ids, y, z, seed=5)
    found = read_dynamics(tmp_path)
    values = score_aum(margin(z, y), of="logits").values[np.argsort(ids)]
    np.testing.assert_allclose(found.scores["aum"].values, values, rtol=1e-5, atol=1e-6)
    assert found.notes == ("150 records were repeated at their time; the last ones count",)


def test_several_writers_and_tensors(tmp_path):
    ids, y, z = training()
    halves = np.arange(N) < 20
    for name, part in (("a", halves), ("b", ~halves)):
        with Recorder(tmp_path, writer=name) as recorder:
            for epoch in range(TIMES):
                recorder.record(
                    epoch, Tensor(ids[part]), Tensor(y[part]),
                    logits=Tensor(z[epoch][part], half=name == "b"),
                )  # fmt: skip
    found = read_dynamics(tmp_path).scores["aum"]
    values = score_aum(margin(z, y), of="logits").values[np.argsort(ids)]
    np.testing.assert_allclose(found.values, values, rtol=1e-5, atol=1e-6)


def test_torch_tensors_and_subsets(tmp_path):
    torch = pytest.importorskip("torch")
    ids, y, z = training()
    logits = torch.tensor(z, dtype=torch.bfloat16, requires_grad=True)
    with Recorder(tmp_path) as recorder:
        for epoch in range(TIMES):
            recorder.record(epoch, torch.from_numpy(ids), torch.from_numpy(y), logits=logits[epoch])
    rounded = logits.detach().float().numpy()
    values = score_aum(margin(rounded, y), of="logits").values[np.argsort(ids)]
    found = read_dynamics(tmp_path).scores["aum"]
    np.testing.assert_allclose(found.values, values, rtol=1e-5, atol=1e-6)
    # The order of scores here is that of sorted ids, and so are the rows.
    kept = select(found, 0.3)
    subset = torch.utils.data.Subset(np.sort(ids), kept.rows)
    assert [int(subset[i]) for i in range(len(subset))] == kept.kept


def test_correct_alone_gives_forgetting_alone_and_probabilities_no_logits(tmp_path):
    ids, y, z = training()
    with Recorder(tmp_path / "a") as recorder:
        for epoch in range(TIMES):
            recorder.record(epoch, ids, y, correct=z[epoch].argmax(axis=1) == y)
    assert set(read_dynamics(tmp_path / "a").scores) == {"forgetting"}
    with Recorder(tmp_path / "b") as recorder:
        recorder.record(0, [str(i) for i in ids], y, probabilities=softmax(z[0]))
    found = read_dynamics(tmp_path / "b").scores
    assert "el2n" in found
    assert "aum" not in found
    assert found["el2n"].ids.dtype.kind == "S"


def test_from_files_of_logits(tmp_path):
    ids, y, z = training()
    for epoch in range(TIMES):
        np.save(tmp_path / f"{epoch}.npy", z[epoch].astype(np.float32))
    with Recorder(tmp_path / "records") as recorder:
        for epoch in range(TIMES):
            logits = np.load(tmp_path / f"{epoch}.npy", mmap_mode="r")
            recorder.record(epoch, ids, y, logits=logits)
    found = read_dynamics(tmp_path / "records").scores["aum"].values
    values = score_aum(margin(z, y), of="logits").values[np.argsort(ids)]
    np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-5)


def test_a_kill_loses_no_more_than_was_not_flushed(tmp_path):
    code = textwrap.dedent(f"""
        import os, signal
        from isoloss.prune import Recorder
        recorder = Recorder({str(tmp_path)!r})
        for epoch in range(5):
            recorder.record(epoch, [1, 2], [0, 1], correct=[epoch % 2, 1])
            if epoch < 4:
                recorder.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    ledger = tmp_path / "ledger-0.jsonl"
    with ledger.open("a") as file:
        file.write('{"piece": 4, "rows')
    found = read_dynamics(tmp_path)
    assert found.epochs == (0, 1, 2, 3)
    assert found.scores["forgetting"].values.tolist() == [1, 0]
    with Recorder(tmp_path) as recorder:
        recorder.record(4, [1, 2], [0, 1], correct=[0, 0])
    again = read_dynamics(tmp_path)
    assert again.epochs == (0, 1, 2, 3, 4)
    assert again.scores["forgetting"].values.tolist() == [2, 1]


def test_a_damaged_piece_is_left_out_aloud(tmp_path):
    recorder = Recorder(tmp_path)
    for epoch in range(3):
        recorder.record(epoch, [1, 2], [0, 1], correct=[1, 0])
        recorder.flush()
    path = tmp_path / "piece-0-000001-values.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    found = read_dynamics(tmp_path)
    assert found.epochs == (0, 2)
    assert "piece-0-000001-ids.npy" in found.notes[0]


BAD = {
    "none of three": {},
    "two of three": {"correct": [1, 0], "logits": [[0.0, 1], [1, 0]]},
    "another number": {"logits": [[0.0, 1]]},
    "one class": {"logits": [[0.0], [1.0]]},
    "not finite": {"logits": [[0.0, np.inf], [1, 0]]},
    "logits as probabilities": {"probabilities": [[2.0, 1], [1, 0]]},
    "texts": {"logits": [["a", "b"], ["c", "d"]]},
    "not yes or no": {"correct": [2, 0]},
    "labels beyond": {"labels": [0, 2], "logits": [[0.0, 1], [1, 0]]},
    "labels of another number": {"labels": [0], "correct": [1, 0]},
    "labels in texts": {"labels": ["a", "b"], "correct": [1, 0]},
    "a time in words": {"epoch": "first", "correct": [1, 0]},
    "a time below zero": {"epoch": -1, "correct": [1, 0]},
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_records_are_refused_and_nothing_is_written(tmp_path, kind):
    with Recorder(tmp_path) as recorder, pytest.raises(InputError):
        recorder.record(**{"epoch": 0, "ids": [1, 2], "labels": [0, 1], **BAD[kind]})
    assert list(tmp_path.iterdir()) == []


def test_two_labels_and_no_record(tmp_path):
    with pytest.raises(InputError, match="holds no record"):
        read_dynamics(tmp_path)
    with Recorder(tmp_path) as recorder:
        recorder.record(0, [1, 2], [0, 1], correct=[1, 0])
        recorder.record(1, [1, 2], [0, 2], correct=[1, 0])
    with pytest.raises(InputError, match="two labels"):
        read_dynamics(tmp_path)
    with pytest.raises(InputError, match="writer"):
        Recorder(tmp_path, writer="../x")
