"""Reading: every row is used or refused with its reason, whatever the source."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.errors import InputError, IsolossError
from isoloss.runs import Runs, read_runs

TABLE = "run,params,tokens,val_loss\na,1e6,1e9,4.0\nb,2e6,1e9,3.5\nc,4e6,2e9,3.1\n"


def read(text: str | bytes, **options: object) -> Runs:
    data = text.encode() if isinstance(text, str) else text
    return read_runs(io.BytesIO(data), **options)  # type: ignore[arg-type]


def codes(runs: Runs) -> dict[int, str]:
    return {refusal.row: refusal.code for refusal in runs.refused}


def note_codes(runs: Runs) -> set[str]:
    return {note.code for note in runs.notes}


def test_plain_table() -> None:
    runs = read(TABLE)
    assert runs.names == ("a", "b", "c")
    assert runs.rows == (1, 2, 3)
    assert list(runs.columns) == ["N", "D", "C", "loss"]
    assert runs["C"].tolist() == [6e15, 1.2e16, 4.8e16]
    assert runs.conventions.D == "tokens seen"
    assert runs.conventions.C == "6 N D"
    assert "DERIVED_C" in note_codes(runs)


@pytest.mark.parametrize(
    ("header", "axis", "values"),
    [
        ("params,compute", "D", [500.0, 1e3 / 3]),
        ("D,Training FLOP", "N", [500.0, 1e3 / 3]),
    ],
)
def test_third_axis_is_derived(header: str, axis: str, values: list[float]) -> None:
    runs = read(f"{header},loss\n10,30000,3\n20,40000,2\n")
    np.testing.assert_allclose(runs[axis], values, rtol=1e-15)
    assert f"DERIVED_{axis}" in note_codes(runs)
    np.testing.assert_allclose(runs["C"], 6 * runs["N"] * runs["D"], rtol=1e-15)


def test_given_flops_are_kept_and_compared() -> None:
    runs = read("N,D,C,loss\n1e6,1e9,7e15,3\n2e6,1e9,1.4e16,2.9\n")
    assert runs["C"].tolist() == [7e15, 1.4e16]
    (note,) = [note for note in runs.notes if note.code == "FLOPS_RATIO"]
    assert note.severity == "info"
    assert "1.17" in note.message
    assert runs.conventions.C == "training FLOPs as given"


@pytest.mark.parametrize("flops", ["6e15,3.6e16", "6e21,1.2e22", "6e9,1.2e10"])
def test_strange_flops_are_warned_of(flops: str) -> None:
    first, second = flops.split(",")
    runs = read(f"N,D,C,loss\n1e6,1e9,{first},3\n2e6,1e9,{second},2.9\n")
    (note,) = [note for note in runs.notes if note.code == "FLOPS_RATIO"]
    assert note.severity == "warning"


def test_flops_given_derives_nothing_and_needs_them() -> None:
    assert list(read("N,C,loss\n1e6,1e15,3\n", flops="given").columns) == ["N", "C", "loss"]
    with pytest.raises(InputError, match="--columns C=COLUMN"):
        read(TABLE, flops="given")
    with pytest.raises(InputError, match="'6ND' or 'given'"):
        read(TABLE, flops="8ND")


def test_one_axis_is_a_curve() -> None:
    assert list(read("tokens,loss\n1e6,3\n2e6,2\n").columns) == ["D", "loss"]


BAD_ROWS = """run,N,D,loss,seed
good,1e6,1e9,3,0
no loss,1e6,1e9,,0
text,1e6,many,3,0
nan,1e6,1e9,nan,0
huge,1e400,1e9,3,0
zero,0,1e9,3,0
negative,1e6,-1,3,0
log,1e6,1e9,0,0
short,1e6,1e9
long,1e6,1e9,3,0,9
good,1e6,1e9,3,0
overflow,1e200,1e200,3,0
last,2e6,1e9,2.8,0
"""


def test_each_bad_row_is_refused_with_its_reason() -> None:
    runs = read(BAD_ROWS)
    assert runs.names == ("good", "last")
    assert codes(runs) == {
        2: "MISSING", 3: "NOT_A_NUMBER", 4: "NOT_FINITE", 5: "NOT_FINITE", 6: "NOT_POSITIVE",
        7: "NOT_POSITIVE", 8: "NOT_POSITIVE", 9: "FIELDS", 10: "FIELDS", 11: "DUPLICATE",
        12: "NOT_FINITE",
    }  # fmt: skip
    reasons = {refusal.row: refusal.reason for refusal in runs.refused}
    assert reasons[2] == "loss is missing"
    assert "D = 'many'" in reasons[3]
    assert "1e400" in reasons[5]
    assert "logarithm" in reasons[8]
    assert reasons[9] == "3 fields where the header has 5"
    assert reasons[11] == "repeats row 1 in every column"
    assert {refusal.row: refusal.name for refusal in runs.refused}[3] == "text"


def test_replicates_stay_and_only_full_copies_go() -> None:
    runs = read(
        "run,N,D,loss,seed,data\na,1e6,1e9,3.0,0,x\na,1e6,1e9,3.1,0,x\na,1e6,1e9,3.0,1,x\n"
        "b,1e6,1e9,3.0,0,x\na,1e6,1e9,3.0,0,y\na,1e6,1e9,3.0,0,x\n"
    )
    assert codes(runs) == {6: "DUPLICATE"}
    assert {"REPLICATES", "IDENTICAL_LOSS", "MIXED_TEXT"} <= note_codes(runs)


def test_copies_far_apart_are_found() -> None:
    lines = [f"{1e6 + i},1e9,{3 + i}" for i in range(40_000)]
    runs = read("N,D,loss\n" + "\n".join([*lines, lines[5]]) + "\n")
    assert len(runs) == 40_000
    assert codes(runs) == {40_001: "DUPLICATE"}


def test_units_and_letters() -> None:
    runs = read("N,D,loss\n70,1.4B,3\n160,3B,2.8\n", units={"N": 1e6})
    assert runs["N"].tolist() == [70e6, 160e6]
    assert runs["D"].tolist() == [1.4e9, 3e9]
    mixed = read("N,D,loss\n70,1e9,3\n160M,1e9,2.8\n", units={"N": 1e6})
    assert codes(mixed) == {2: "NOT_A_NUMBER"}


@pytest.mark.parametrize(
    "units", [{"U": 2.0}, {"N": 0.0}, {"N": -1.0}, {"N": "x"}, {"N": np.nan}, 3]
)
def test_bad_units(units: object) -> None:
    with pytest.raises(InputError, match="units"):
        read(TABLE, units=units)


def test_mapping_and_free_axes() -> None:
    text = "width,steps,score,loss,id\n8,100,0.5,9,r1\n16,200,0.25,9,r2\n"
    runs = read(text, columns={"loss": "Score", "width": "width"})
    assert runs["loss"].tolist() == [0.5, 0.25]
    assert runs["width"].tolist() == [8, 16]
    assert runs["steps"].tolist() == [100, 200]
    assert runs.names == ("r1", "r2")
    assert any("'loss' left out" in note.message for note in runs.notes)
    assert "FEW_RUNS" in note_codes(runs)


def test_columns_with_gaps_are_left_out_unless_asked_for() -> None:
    text = "N,D,loss,note,width,mostly\n1e6,1e9,3,x,8,1\n2e6,1e9,2,y,,2\n3e6,1e9,1.5,z,9,tbd\n"
    runs = read(text)
    assert list(runs.columns) == ["N", "D", "C", "loss"]
    messages = " ".join(note.message for note in runs.notes)
    for column in ("'note' left out", "'width' left out: 1 of", "'mostly' left out: 1 of"):
        assert column in messages
    assert codes(read(text, columns={"width": "width"})) == {2: "MISSING"}


def test_the_gap_that_is_quoted_is_one_of_a_row_that_was_kept() -> None:
    runs = read("N,D,loss,width\nx,1e9,3,\n1e6,1e9,3,8\n2e6,1e9,2,\n")
    (note,) = [note for note in runs.notes if "'width'" in note.message]
    assert "1 of the rows" in note.message
    assert "row 3" in note.message


def test_text_that_follows_the_configuration_is_no_mixture() -> None:
    lines = [f"{n}e6,1e9,{3 / n + 0.01 * i},set{n % 2}" for n in (1, 2, 3, 4) for i in range(2)]
    runs = read("N,D,loss,data\n" + "\n".join(lines))
    assert "REPLICATES" in note_codes(runs)
    assert "MIXED_TEXT" not in note_codes(runs)


def test_a_repeated_header_costs_one_row_and_no_column() -> None:
    runs = read("N,D,loss,width\n1e6,1e9,3,8\nN,D,loss,width\n2e6,1e9,2,9\n")
    assert codes(runs) == {2: "NOT_A_NUMBER"}
    assert runs["width"].tolist() == [8, 9]


def test_row_numbers_of_other_tools_do_not_hide_copies() -> None:
    runs = read(",Unnamed: 0,N,D,loss\n0,0,1e6,1e9,3\n1,1,1e6,1e9,3\n2,2,2e6,1e9,2\n")
    assert codes(runs) == {2: "DUPLICATE"}


def test_empty_resource_column_is_forgotten() -> None:
    runs = read("N,D,C,loss\n1e6,1e9,,3\n2e6,1e9,,2\n")
    assert runs["C"][0] == 6e15
    assert not runs.refused


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" \n\n", "empty"),
        ("N,D,loss\n", "no rows"),
        ("N,D,loss\n\n   \n", "no rows"),
        ("N,D,loss\n1,2,x\n1,2\n", "2 rows refused: row 1: loss = 'x'"),
        ("1,2,3\n4,5,6\n", "must name the columns"),
        ("N,D\n1,2\n", "no loss column among: 'N', 'D'; .* --columns loss=COLUMN"),
        ("a,loss\n1,2\n", "no column of N, D, C or U among: 'a', 'loss'; .* --columns N=COLUMN"),
        ("params,n_params,D,loss\n1,2,3,4\n", "'params' and 'n_params' all look like N"),
        ("N,N,loss\n1,2,3\n", "two columns are named 'N'"),
        ('N,D,loss\n1,"2,3\n', "quote"),
        ('N,D,loss\n1,"2"x,3\n', "quote"),
        ("N,D,loss\n1," + "2" * 200_000 + ",3\n", "field"),
        ("N,D,loss\n1," + "2" * 5_000_000 + ",3\n", "line is longer"),
        ("x" * 5_000_000, "line is longer"),
        (",".join(f"c{i}" for i in range(10_001)) + "\n", "10,001 columns"),
        ("N,D,loss\n1,2,\xff\n".encode("latin1"), "not UTF-8"),
    ],
)
def test_tables_that_cannot_be_used(text: str | bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(text)


@pytest.mark.parametrize(
    "mapping",
    [{"loss": "nope"}, {"loss": "val_loss", "N": "val_loss"}, {"": "run"}, {1: "run"}, ["N"]],
)
def test_bad_mappings(mapping: object) -> None:
    with pytest.raises(InputError, match="columns"):
        read(TABLE, columns=mapping)


def test_conventions_are_words_of_known_axes() -> None:
    assert read(TABLE, conventions={"evaluation": "C4"}).conventions.evaluation == "C4"
    assert read(TABLE, conventions={"D": "images"}).conventions.D == "images"
    with pytest.raises(InputError, match="conventions"):
        read(TABLE, conventions={"vibe": "x"})


def test_limits_are_errors_and_never_a_silent_cut() -> None:
    assert len(read(TABLE, max_rows=3)) == 3
    with pytest.raises(InputError, match="more than 2 rows"):
        read(TABLE, max_rows=2)
    assert len(read(TABLE, max_bytes=len(TABLE))) == 3
    with pytest.raises(InputError, match="larger than"):
        read(TABLE, max_bytes=len(TABLE) - 1)
    with pytest.raises(InputError, match="max_rows"):
        read(TABLE, max_rows=0)


def test_limits_of_a_file_are_checked_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(TABLE)
    assert read_runs(path).source == "runs.csv"
    assert read_runs(str(path)).digest == read(TABLE).digest
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(InputError, match="larger than 9 bytes"):
        read_runs(path, max_bytes=9)


def test_long_files_of_short_lines_and_huge_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    table = "N,loss\n" + "".join(f"{i},2\n" for i in range(1, 90_000))
    monkeypatch.setattr("isoloss.runs.text.LINE_LIMIT", len(table) // 2)
    assert len(read(table)) == 89_999
    monkeypatch.setattr("isoloss.runs.text.BATCH_LIMIT", len(table) // 2)
    row = '1,2,"' + "a\n" * 60_000 + '"\n'  # many lines, each short, in one field
    with pytest.raises(InputError, match="rows are huge"):
        read("N,loss,text\n" + row * 4)


def test_endless_stream_stops_at_the_limit() -> None:
    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            self.given += size
            return b"N,D,loss\n" if self.given == size else (b"1e6,1e9,3\n" * (size // 10 + 1))

    stream = Endless()
    with pytest.raises(InputError, match="larger than 3,000,000 bytes"):
        read_runs(stream, max_bytes=3_000_000)
    assert stream.given < 9_000_000


def test_stdin_text_files_and_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TABLE.encode())))
    runs = read_runs("-")
    assert runs.source == "standard input"
    assert runs.digest == read_runs(io.StringIO(TABLE)).digest
    assert read_runs(runs) is runs
    with pytest.raises(InputError, match="not for Runs"):
        read_runs(runs, units={"N": 2.0})


def test_the_callers_file_stays_open() -> None:
    file = io.BytesIO(TABLE.encode())
    read_runs(file)
    assert not file.closed


@pytest.mark.parametrize("source", [3, None, object(), b"N", "no\0such", "x" * 5000, np.zeros(3)])
def test_other_sources_are_input_errors(source: object) -> None:
    with pytest.raises(InputError):
        read_runs(source)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_runs(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"io\.StringIO"):
        read_runs("N,loss\n1,2\n")
    with pytest.raises(InputError, match="download"):
        read_runs("https://example.org/runs.csv")
    with pytest.raises(InputError, match="folder"):
        read_runs(tmp_path)


def test_reading_errors_of_the_callers_file() -> None:
    class Broken:
        def read(self, size: int) -> bytes:
            raise self.error

    for error in (OSError(5, "input/output error"), RuntimeError("gone"), ValueError("closed")):
        broken = Broken()
        broken.error = error  # type: ignore[attr-defined]
        with pytest.raises(InputError, match="cannot be read"):
            read_runs(broken)


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_delimiters(delimiter: str) -> None:
    assert read(TABLE.replace(",", delimiter)).digest == read(TABLE).digest


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_bom_and_quotes(end: str) -> None:
    text = (
        '\ufeff"run","params","tokens","val_loss"\n"a",1e6,1e9,4.0\nb,2e6,1e9,"3.5"\nc,4e6,2e9,3.1'
    )
    assert read(text.replace("\n", end)).digest == read(TABLE).digest


def account(runs: Runs) -> list[int]:
    return sorted([*runs.rows, *(refusal.row for refusal in runs.refused)])


CELLS = st.sampled_from(
    ["1e6", "3", "2.5", "", "x", "-1", "nan", "1e999", "350M", '"a,b"', '"', "\x00", "\r", "é", " "]
)
LINES = st.lists(st.lists(CELLS, min_size=1, max_size=5).map(",".join), max_size=12)


@given(st.sampled_from(["N,D,loss", "name,N,D,loss", "D;loss", "loss\tC", "x,N,loss,seed"]), LINES)
def test_used_and_refused_rows_add_up(header: str, lines: list[str]) -> None:
    text = "\n".join([header, *lines])
    try:
        runs = read(text)
    except IsolossError:
        return
    delimiter = "," if "," in header else ";" if ";" in header else "\t"
    records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[1:]
    width = header.count(delimiter) + 1
    data = [r for r in records if len(r) > 1 or (r and (r[0].strip() or width == 1))]
    assert account(runs) == list(range(1, len(data) + 1))


@given(st.text() | st.binary() | st.binary().map(lambda b: b"N,D,loss\n1,2,3\n" + b))
def test_any_bytes_give_runs_or_an_isoloss_error(data: str | bytes) -> None:
    raw = data if isinstance(data, bytes) else data.encode("utf8", "surrogatepass")
    try:
        runs = read(raw)
    except IsolossError:
        return
    assert account(runs) == list(range(1, len(runs) + len(runs.refused) + 1))


@given(st.permutations(BAD_ROWS.splitlines()[1:]))
def test_order_of_rows_changes_neither_digest_nor_notes(lines: list[str]) -> None:
    # The two equal rows have equal names, so either may be the one that is kept.
    runs = read("\n".join([BAD_ROWS.splitlines()[0], *lines]))
    reference = read(BAD_ROWS)
    assert runs.digest == reference.digest
    assert runs.notes == reference.notes
    assert sorted(codes(runs).values()) == sorted(codes(reference).values())


@given(st.floats(1e-3, 1e9))
def test_units_commute_with_the_values(factor: float) -> None:
    scaled = read_runs({"N": [1e6 / factor, 3e6 / factor], "loss": [3.0, 2.0]}, units={"N": factor})
    np.testing.assert_allclose(scaled["N"], [1e6, 3e6], rtol=1e-14)


def test_importing_the_room_loads_no_heavy_package() -> None:
    code = (
        "import sys, isoloss.runs; print([m for m in ('scipy', 'pandas', 'polars', 'pyarrow', "
        "'torch', 'matplotlib', 'rich', 'click') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
