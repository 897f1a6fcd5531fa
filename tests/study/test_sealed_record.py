import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.study.sealed import (
    Score,
    add_score,
    add_sealed,
    calibration,
    clopper_pearson,
    read_record,
    score_sealed,
)
from isoloss.study.sealed import record as module
from isoloss.study.sealed.record import record_path
from study.sealing import NOW, forecast, truth


def scored(*given):
    return score_sealed(forecast(), list(given), now=NOW)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.jsonl"


def test_a_folder_and_a_file_are_both_a_place(tmp_path):
    assert record_path(tmp_path) == tmp_path / "forecasts.jsonl"
    assert record_path(tmp_path / "new") == tmp_path / "new" / "forecasts.jsonl"
    assert record_path(tmp_path / "a.jsonl") == tmp_path / "a.jsonl"
    add_score(tmp_path / "new", scored(truth()))
    assert len(read_record(tmp_path / "new").scored) == 1


def test_what_is_scored_twice_counts_once(path):
    assert add_sealed(path, forecast(), now=NOW)
    assert not add_sealed(path, forecast(), now=NOW)
    assert add_score(path, scored(truth())) == 1
    before = path.read_bytes()
    assert add_score(path, scored(truth())) == 0
    assert path.read_bytes() == before
    assert add_score(path, scored(truth(), truth(1))) == 1
    # Another truth of the same target is added to the first, not put in its place.
    assert add_score(path, scored(truth(0, 1.3))) == 1
    assert [r["point"] for r in read_record(path).scored] == [0, 1, 0]
    a = calibration(path).answers
    assert (a["n_targets"], a["n_rows"], a["n_tables"], a["n_forecasts"]) == (2, 3, 1, 1)
    assert next(c for c in a["coverage"] if c["level"] == 0.99)["inside"] == 1.5


def test_a_journal_cut_anywhere_loses_the_torn_line_alone(path):
    add_sealed(path, forecast(), now=NOW)
    add_score(path, scored(truth()))
    kept = path.stat().st_size
    add_score(path, scored(truth(1)))
    whole = path.read_bytes()
    for end in [*range(kept + 1, len(whole) - 1, 97), len(whole) - 2]:
        path.write_bytes(whole[:end])
        found = read_record(path)
        assert (len(found.scored), found.damaged) == (1, 1)
        assert add_score(path, scored(truth(1))) == 1
        again = read_record(path)
        assert (len(again.scored), again.damaged) == (2, 1)
    # A line that lacks nothing but its newline is whole.
    path.write_bytes(whole[:-1])
    assert (len(read_record(path).scored), read_record(path).damaged) == (2, 0)
    path.write_bytes(whole)


def test_lines_that_were_changed_are_counted_and_not_used(path):
    add_score(path, scored(truth()))
    add_score(path, scored(truth(1)))
    lines = path.read_text("utf8").splitlines()
    line = json.loads(lines[0])
    line["rows"][0]["intervals"][0]["inside"] ^= True
    for bad in (json.dumps(line), "{}", "[1]", "nan", '{"line_sha256": 3}', "\x00" * 50):
        path.write_text("\n".join([bad, lines[1]]) + "\n", "utf8")
        found = read_record(path)
        assert (len(found.scored), found.damaged) == (1, 1)
    assert "1 damaged lines were not used" in calibration(path).summary()


def test_lines_with_a_right_hash_and_wrong_content_are_not_used(path):
    add_score(path, scored(truth()))
    good = json.loads(path.read_text("utf8"))
    del good["line_sha256"]

    def changed(**row):
        return good | {"rows": [good["rows"][0] | row]}

    for bad in (
        good | {"event": "other"}, good | {"rows": 3}, good | {"n_points": 0}, changed(point=7),
        changed(truth=None), changed(intervals=[{"level": 2}]), changed(baselines=[1]),
        good | {"time_utc": "now"}, good | {"digest": 3}, changed(point=-1),
    ):  # fmt: skip
        path.write_text("", "utf8")
        module._append(path, bad)
        module._append(path, good)
        found = read_record(path)
        assert (len(found.scored), found.damaged) == (1, 1), bad


def test_a_file_of_another_kind_is_no_record_and_stays_as_it_was(path):
    path.write_text("N,D,loss\n1,2,3\n", "utf8")
    before = path.read_bytes()
    for act in (lambda: add_score(path, scored(truth())), lambda: calibration(path)):
        with pytest.raises(InputError, match="no line of it"):
            act()
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="no plain file"):
        calibration("/dev/zero")
    with pytest.raises(InputError, match="no such record"):
        calibration(path.with_name("absent.jsonl"))


def test_forecasts_that_were_never_scored_are_counted(path):
    add_sealed(path, forecast(), now=NOW)
    a = calibration(path).answers
    assert [o["sha256"] for o in a["open"]] == [forecast().sha256]
    assert a["n_open_targets"] == 2
    assert "No forecast of this record has been measured" in a["sentence"]
    add_score(path, scored(truth()))
    a = calibration(path).answers
    assert a["open"] == []
    assert a["n_open_targets"] == 1


def made(table: int, *, held: bool, reach: float, known: bool = False, ratio: float = 1.0) -> Score:
    """A score of one target of a table of its own, with intervals that held the truth or not."""
    base = scored(truth())
    row = base.rows[0] | {
        "reach": reach,
        "known": known,
        "log_ratio": float(np.log(ratio)),
        "intervals": [i | {"inside": held} for i in base.rows[0]["intervals"]],
    }
    name = f"{table:064x}"
    return replace(base, answers=base.answers | {"sha256": name, "digest": name, "rows": [row]})


def test_the_summary_counts_tables_distances_and_bias(path):
    for k in range(12):
        add_score(path, made(k, held=k >= 5, reach=0.5 + 4 * (k % 3), ratio=1.02))
    add_score(path, made(99, held=False, reach=2.0, known=True))
    a = calibration(path).answers
    ninety = next(c for c in a["coverage"] if c["level"] == 0.9)
    assert (ninety["inside"], ninety["n"]) == (7, 12)
    assert (ninety["low"], ninety["high"]) == clopper_pearson(7, 12)
    assert a["n_known"] == 1
    assert [(d["n"], d["inside"]) for d in a["distance"]] == [(4, 2), (8, 5)]
    assert a["bias"]["tables_above"] == 12
    assert a["bias"]["percent"] == pytest.approx(2.0)
    assert a["bias"]["chance"] == pytest.approx(2 * 0.5**12)
    assert a["sentence"].startswith("The intervals are too narrow: 90 % intervals held 7 of 12")


def test_with_few_tables_nothing_is_claimed(path):
    for k in range(9):
        add_score(path, made(k, held=False, reach=5))
    assert calibration(path).answers["sentence"].startswith("Too few to judge calibration")
    add_score(path, made(9, held=False, reach=5))
    assert calibration(path).answers["sentence"].startswith("The intervals are too narrow")


def test_targets_of_one_table_are_one_vote(path):
    table = made(1, held=True, reach=5)
    for k in range(40):
        name = f"{k:064x}"
        add_score(path, replace(table, answers=table.answers | {"sha256": name}))
    ninety = next(c for c in calibration(path).answers["coverage"] if c["level"] == 0.9)
    assert ninety["n"] == 40
    assert ninety["low"] > 0.9
    assert ninety["low_tables"] == pytest.approx(0.025)


_WRITER = """
import sys
from dataclasses import replace
from isoloss.study.sealed import Score, add_score
import json
answers = json.load(open(sys.argv[1]))
print("ready", flush=True)
for k in range(100000):
    add_score(sys.argv[2], Score(answers=answers | {"sha256": f"{k:064x}"}))
    print(k, flush=True)
"""


@pytest.mark.slow
def test_a_kill_loses_no_line_that_was_written(tmp_path, path):
    content = tmp_path / "score.json"
    content.write_text(json.dumps(scored(truth()).to_dict()), "utf8")
    for wanted in (3, 17, 40):
        path.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(content), str(path)],
            stdout=subprocess.PIPE, text=True, env=os.environ,
        )  # fmt: skip
        assert process.stdout is not None
        last = -1
        for line in process.stdout:
            last = int(line) if line.strip().isdigit() else last
            if last >= wanted:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read().split()
        process.stdout.close()
        process.wait()
        last = max([last, *(int(v) for v in rest)])
        found = read_record(path)
        assert len(found.scored) in (last + 1, last + 2)
        assert found.damaged <= 1


def test_of_a_row_written_twice_the_first_counts(path):
    add_score(path, scored(truth()))
    line = json.loads(path.read_text("utf8"))
    del line["line_sha256"]
    line["rows"][0]["intervals"] = [i | {"inside": False} for i in line["rows"][0]["intervals"]]
    module._append(path, line)
    found = read_record(path)
    assert len(found.scored) == 1
    assert found.scored[0]["intervals"][-1]["inside"]
