"""Rows that are asked for: conditions, what they select, and what is said about it."""

from __future__ import annotations

import contextlib
import io
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.runs import Runs, read_runs
from isoloss.runs.where import Condition, parse_where

TABLE = """Model,Task,Seen Examples,Loss,Training,note
"6 Enc, 6 Dec",nmt,1e6,3.0,1,x
"6 Enc, 6 Dec",nmt,2e6,2.5,1.0,
"6 Enc, 6 Dec",nmt,4e6,2.2,0,y
ViT/B/16,nmt,1e6,2.9,1,x
ViT/B/16,nmt,2e6,2.4,1,
ViT/B/16 ,nmt,4e6,2.1,0,oops
12,lm,1e6,4.0,1,
12.0,lm,2e6,3.5,1,
12,lm,4e6,,0,
"""


def read(where: Any = None, text: str = TABLE, **options: Any) -> Runs:
    return read_runs(io.StringIO(text), where=where, **options)


def note(runs: Runs, code: str) -> Any:
    found = [n for n in runs.notes if n.code == code]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("Model=6 Enc, 6 Dec", (1, 2, 3)),
        ("Model=6 Enc, 6 Dec,Training=1", (1, 2)),
        ('Training=1,Model="6 Enc, 6 Dec"', (1, 2)),
        ('Model="6 Enc, 6 Dec"|ViT/B/16', (1, 2, 3, 4, 5, 6)),
        ("Model=ViT/B/16", (4, 5, 6)),
        (" Model = ViT/B/16 | 12 , Training = 1", (4, 5, 7, 8)),
        ("model=12", (7, 8)),
        ("Model!=12", (1, 2, 3, 4, 5, 6)),
        ("Model!=12|ViT/B/16", (1, 2, 3)),
        ("Task=nmt, D<2e6", (1, 4)),
        ("Task=nmt, D<=2e6", (1, 2, 4, 5)),
        ("Seen Examples>2M, Task==nmt", (3, 6)),
        ("Task=nmt,D>=2e6,D<4e6", (2, 5)),
        ("note=,Task=nmt", (2, 5)),
        (["Task=nmt", "Training=0"], (3, 6)),
        ({"Model": "6 Enc, 6 Dec", "Training": 1}, (1, 2)),
        ({"Model": ["ViT/B/16", 12], "Training": True}, (4, 5, 7, 8)),
        ({"Training": np.array([1.0]), "Task": "nmt"}, (1, 2, 4, 5)),
    ],
)
def test_what_is_selected(where: Any, rows: tuple[int, ...]) -> None:
    assert read(where).rows == rows


def test_a_selection_is_counted_and_named() -> None:
    runs = read({"Model": "6 Enc, 6 Dec", "Training": 1}, conventions={})
    assert runs.source == 'an open file where Model="6 Enc, 6 Dec", Training=1'
    found = note(runs, "SELECTED")
    assert found.message.startswith(
        '2 of 9 rows were selected by Model="6 Enc, 6 Dec", Training=1; the other 7 were left out'
    )
    assert (found.severity, runs.refused) == ("warning", ())
    many = "N,D,loss,k\n" + "\n".join(f"{i + 1}e6,1e9,{9 - 0.1 * i},{i % 2}" for i in range(24))
    assert note(read("k=1", many), "SELECTED").severity == "info"
    assert note(read("k=1", many), "SELECTED").message.startswith("12 of 24")
    assert note(read(None, many), "SELECTED") is None


def test_text_that_still_varies_is_named_though_no_configuration_repeats() -> None:
    rows = [f"{'ab'[i % 2]},{'xy'[i // 2 % 2]},{i + 1}e6,1e9,{9 - 0.1 * i}" for i in range(48)]
    table = "data,kind,N,D,loss\n" + "\n".join(rows)
    some = read("data=a", table)
    assert note(some, "MIXED_TEXT") is None
    assert note(some, "SELECTED").message.endswith("columns of text that still vary: 'kind'")
    assert "vary" not in note(read("data=a,kind=x", table), "SELECTED").message


def test_rows_that_are_selected_are_still_refused_with_a_reason() -> None:
    runs = read("Task=lm")
    assert runs.rows == (7, 8)
    assert [(r.row, r.code) for r in runs.refused] == [(9, "MISSING")]
    assert read("Task=nmt").refused == ()


def test_the_same_rows_give_the_same_digest_whoever_selected_them() -> None:
    lines = TABLE.splitlines()
    alone = read(None, "\n".join([lines[0], *lines[1:4]]))
    assert read({"Model": "6 Enc, 6 Dec"}).digest == alone.digest
    random.Random(0).shuffle(rest := lines[1:])
    assert read({"Model": "6 Enc, 6 Dec"}, "\n".join([lines[0], *rest])).digest == alone.digest


def test_numbers_are_compared_after_units() -> None:
    text = "params,D,loss\n70,1e9,3\n160M,1e9,2.9\n410,1e9,2.8\n"
    assert read("N<200e6", text, units={"N": 1e6}).rows == (1,)
    assert read("N=70M", text, units={"N": 1e6}).rows == (1,)
    assert read("params>100M", text.replace("70,", "70M,")).rows == (2,)


def test_a_cell_without_a_number_is_left_out_of_a_comparison_and_said() -> None:
    text = "N,D,loss\n1e6,1e9,3\noops,1e9,2.9\n3e6,1e9,2.8\n"
    runs = read("N>0", text)
    assert (runs.rows, runs.refused) == ((1, 3), ())
    assert "1 of them because 'N' holds no number there" in note(runs, "SELECTED").message


def test_an_axis_that_is_derived_can_be_asked_for() -> None:
    text = "N,D,loss\n1e6,1e9,3\n2e6,1e9,2.9\n4e6,1e9,2.8\n"
    runs = read("C>=1.2e16", text)
    assert runs.rows == (2, 3)
    assert note(runs, "SELECTED").message.startswith("2 of 3 rows")
    with pytest.raises(InputError, match=r"no row has C>1e20; 'C' goes from 6e\+15 to 2.4e\+16"):
        read("C>1e20", text)
    with pytest.raises(InputError, match="there is no column 'C'"):
        read("C>1", text.replace("D,", "width,"))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("Modle=12", "no column 'Modle'; did you mean 'Model'\\? columns: 'Model', 'Task'"),
        ("zzz=1", "no column 'zzz'; columns: 'Model', 'Task'"),
        ("Model=vit/b/16", "no row has 'Model' = 'vit/b/16'; did you mean 'ViT/B/16'\\?"),
        ("Training=2", "'Training' = '2'; 'Training' holds '1', '0', '1.0'"),
        ("Training!=2", "'Training' = '2'"),
        ("Training!=0|1", "every row is left out by Training!=0|1"),
        ("Task=nmt|ml", "'Task' = 'ml'"),
        ("D<1", "no row has D<1; 'D' goes from 1e\\+06 to 4e\\+06"),
        ("Task<3", "no row has Task<3; 'Task' holds 'nmt', 'lm'; compare text with = or !="),
        ("Task=lm,Model=ViT/B/16", "together: Task=lm \\(3 rows\\), Model=ViT/B/16 \\(3 rows\\)"),
        ("Training", "write NAME=VALUE"),
        ("=3", "write NAME=VALUE"),
        ("", "write NAME=VALUE"),
        ("D<many", "needs one number"),
        ("D<1|2", "needs one number"),
        (3, "expected a dict"),
        ([3], "expected a dict"),
        ({3: "x"}, "3' is no name|'3' is no name"),
        ({"Model": []}, "an empty list"),
        ({"Model": object()}, "give a text, a number"),
        ({"Model": {"a": 1}}, "give a text, a number"),
    ],
)
def test_mistakes_say_what_there_is(where: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(where)


def test_values_in_messages_are_few_clean_and_short() -> None:
    rows = "\n".join(f"{i + 1}e6,1e9,3,\x1b[31mset{i:02d}{'z' * 300}" for i in range(40))
    with pytest.raises(InputError, match="and 34 other values") as caught:
        read("data=nothing", "N,D,loss,data\n" + rows)
    text = str(caught.value)
    assert "\x1b" not in text
    assert len(text) < 700


PLAIN = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=12).map(
    str.strip
)


@given(PLAIN.filter(bool), st.sampled_from(["=", "!="]), st.lists(PLAIN, min_size=1, max_size=3))
@example("a", "=", ["=x", "", "a|b"])
@example('a"', "!=", ['"', "x, k=3"])
def test_conditions_read_back_what_they_print(column: str, sign: str, values: list[str]) -> None:
    condition = Condition(column, sign, tuple(values))
    other = Condition("k", ">", ("3",))
    assert parse_where(str(condition)) == (condition,)
    assert parse_where(f"{condition}, {other}") == (condition, other)
    assert parse_where(f"{other},{condition}") == (other, condition)


@given(st.text(max_size=30))
def test_any_text_is_conditions_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        assert parse_where(text)


def test_every_kind_of_source() -> None:
    columns = {"D": [1e6, 2e6, 3e6, 4e6], "loss": [3.0, 2.5, 2.2, 2.1], "new": [True, False] * 2}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for source in (columns, rows, columns | {"D": np.array(columns["D"])}):
        for value in (True, "True", "true", 1):
            assert read_runs(source, where={"new": value}).rows == (1, 3)
        assert read_runs(source, where="new=true,D>1e6").rows == (3,)


def test_cells_of_foreign_kinds_neither_match_nor_break() -> None:
    strange = [np.arange(2), [1], {2}, Decimal("sNaN"), 10**5000, float("nan")]
    table = {"D": np.arange(1, 8) * 1e6, "loss": np.ones(7), "what": [*strange, "a"]}
    assert len(read_runs(table)) == 7
    assert read_runs(table, where="what=a").rows == (7,)
    assert read_runs(table, where="what=").rows == (6,)
    assert read_runs(table, where="what!=a|").rows == (1, 2, 3, 4, 5)


def test_parquet_flags() -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "D": [1e6, 2e6, 3e6],
            "loss": [3.0, 2.5, 2.2],
            "new": [True, None, False],
            "m": list("aba"),
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    file.seek(0)
    alone = read_runs(file, where={"new": False})
    assert alone.rows == (3,)
    assert "new" not in alone  # a flag is text, as in the other formats
    file.seek(0)
    assert read_runs(file, where="m=a").rows == (1, 3)


def test_runs_read_before() -> None:
    runs = read(None, columns={"name": "Model"})
    chosen = read_runs(runs, where="D<3e6, Training=1, name=ViT/B/16")
    assert chosen.rows == (4, 5)
    assert chosen.source.endswith("where D<3e6, Training=1, name=ViT/B/16")
    saved = read_runs(chosen.to_dict(), where={"D": 2e6})
    assert (saved.rows, len(note(saved, "SELECTED").message) > 0) == ((5,), True)
    with pytest.raises(InputError, match="no column 'Task'"):
        read_runs(runs, where="Task=lm")


def test_batches_of_one_kind_do_not_hide_the_others() -> None:
    """A sorted file: its first batch holds a single experiment, as does each later one."""
    lines = [f"{m},{1e6 + i},{3 + 1e-6 * i}" for m in ("a", "b") for i in range(40_000)]
    runs = read(None, "model,D,loss\n" + "\n".join(lines))
    assert "'model' with 2 values" in note(runs, "MIXED_TEXT").message
    assert read("model=b", "model,D,loss\n" + "\n".join(lines)).rows[:2] == (40_001, 40_002)


def mixed(count: int = 12) -> str:
    rows = [
        f"{model},{task},{d}e6,{3 - 0.1 * d},{(7 * d) % 5}"
        for model in ("a b", "c")
        for task in ("t1", "t2")
        for d in range(1, count + 1)
    ]
    return "model,task,D,loss,who\n" + "\n".join([*rows, f"c,t2,{count + 1}e6,1.5,x"])


def test_a_mixed_table_says_how_to_select_and_that_works() -> None:
    message = note(read(None, mixed()), "MIXED_TEXT").message
    assert "'model' with 2 values, 'task' with 2 values" in message
    assert "--where model=c,task=t2 (in Python: where={'model': 'c', 'task': 't2'})" in message
    assert "which keeps 13 of 49 rows" in message
    runs = read({"model": "c", "task": "t2"}, mixed())
    assert len(runs) == 13
    assert note(runs, "MIXED_TEXT") is None
    half = note(read({"model": "c"}, mixed()), "MIXED_TEXT").message
    assert "--where task=t2 " in half
    assert "'model'" not in half
    assert note(read({"task": ["t1", "t2"], "model": "c"}, mixed()), "MIXED_TEXT") is not None


def test_columns_that_follow_from_others_are_not_suggested() -> None:
    lines = mixed().splitlines()
    extra = [f"{line},{line.split(',')[1]}x,{line.split(',')[0]}y" for line in lines[1:]]
    message = note(
        read(None, "\n".join([lines[0] + ",task2,model2", *extra])), "MIXED_TEXT"
    ).message
    option = message.partition("--where ")[2].partition(" (in Python")[0]
    assert option.count("=") == 2
    assert "which keeps 13 of 49 rows" in message


def test_a_column_that_two_others_settle_together_is_dropped_again() -> None:
    rows = [
        f"{min(b + c, 3)}!,b{b},c{c},{d}e6,{3 - 0.1 * d}"
        for b in range(3)
        for c in range(3)
        for d in range(1, 10)
    ]
    message = note(read(None, "p,q,r,D,loss\n" + "\n".join(rows)), "MIXED_TEXT").message
    assert "where={'q': 'b0', 'r': 'c0'}), which keeps 9 of 81 rows" in message


def test_a_column_that_tells_no_more_apart_is_not_added() -> None:
    pairs = [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    rows = [f"{n}e6,2e6,{3 - 0.01 * i},s{n},{a},{a},{a}" for i, (n, a) in enumerate(pairs * 8)]
    message = note(read(None, "N,D,loss,size,p,q,r\n" + "\n".join(rows)), "MIXED_TEXT").message
    assert "where={'p': 'a', 'size': 's1'}), which keeps 8 of 32 rows" in message


def test_a_suggestion_names_few_columns() -> None:
    rows = [
        f"1e6,2e6,{3 - 0.001 * i}," + ",".join("ab"[i >> k & 1] for k in range(8))
        for i in range(256 * 8)
    ]
    message = note(
        read(None, "N,D,loss,f1,f2,f3,f4,f5,f6,f7,f8\n" + "\n".join(rows)), "MIXED_TEXT"
    ).message
    assert "which keeps 32 of 2,048 rows" in message  # six columns, of eight that each halve it


def test_words_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"D": [1e6] * 16, "loss": [3 - 0.1 * i for i in range(16)], "p": [*"ab" * 8]}
    assert "--where p=a " in note(read_runs(table), "MIXED_TEXT").message
    monkeypatch.setattr("isoloss.runs.words._WORDS_IN_ALL", 0)
    assert "--where p=VALUE " in note(read_runs(table), "MIXED_TEXT").message


def test_a_shell_cannot_read_the_suggestion_as_anything_else() -> None:
    text = mixed().replace("c,t2", "$(reboot);'x,t2")
    message = note(read(None, text), "MIXED_TEXT").message
    command = message.partition("--where ")[2].partition(" (in Python")[0]
    import shlex

    (word,) = shlex.split(command)
    assert parse_where(word) == parse_where({"model": "$(reboot);'x", "task": "t2"})


def test_curves_that_interleave_without_meeting_are_mixed() -> None:
    rows = [f"{m},{d + 0.25 * k}e6,{3 - 0.1 * d}" for k, m in enumerate("ab") for d in range(1, 13)]
    runs = read(None, "model,D,loss\n" + "\n".join(rows))
    assert "over one range of D" in note(runs, "MIXED_TEXT").message
    apart = [f"{'ab'[d // 12]},{d + 1}e6,{3 - 0.1 * d}" for d in range(24)]
    assert note(read(None, "machine,D,loss\n" + "\n".join(apart)), "MIXED_TEXT") is None


def test_an_axis_the_caller_named_tells_configurations_apart() -> None:
    rows = [f"{'ab'[d // 12]},{d + 1},{3 - 0.1 * d}" for d in range(24)]
    runs = read(None, "machine,hours,loss\n" + "\n".join(rows), columns={"hours": "hours"})
    assert note(runs, "MIXED_TEXT") is None


def test_a_column_of_numbers_and_words_tells_experiments_apart() -> None:
    rows = [
        f"{m},{d}e6,{3 - 0.1 * d - k}" for k, m in enumerate(("12", "6 Enc")) for d in range(1, 13)
    ]
    runs = read(None, "Model,D,loss\n" + "\n".join(rows))
    assert "'Model' with 2 values" in note(runs, "MIXED_TEXT").message
    assert "--where Model=12 " in note(runs, "MIXED_TEXT").message


def test_steps_are_no_tokens() -> None:
    text = "step,lr,loss\n" + "\n".join(f"{100 * i},0.1,{3 / i}" for i in range(1, 12))
    with pytest.raises(InputError, match=r"--columns D=step .*units D=TOKENS_PER_STEP.*learning"):
        read(None, text)
    assert note(read(None, text, columns={"D": "step"}), "STEPS").severity == "warning"
    assert note(read(None, text.replace("step", "tokens")), "STEPS") is None


def test_what_is_missing_is_guessed_from_names_that_come_near() -> None:
    with pytest.raises(InputError, match=r"it may be 'pile_nll'.*--columns loss=pile_nll"):
        read(None, "N,D,pile_nll,z_loss\n1,2,3,4\n")
    nested = [{"params": 1e6, "results": [{"loss": 3.0}], "z_loss": 1e-4}]
    with pytest.raises(InputError, match="'results' left out: it holds lists; write one row") as e:
        read_runs(nested)
    assert "it may be" not in str(e.value)


def test_a_column_of_text_is_no_rival_for_an_axis() -> None:
    text = "param_count,n,flops,loss\nkaplan,1e6,1e16,3\nkaplan,2e6,1e16,2.9\n"
    assert note(read(None, text), "AMBIGUOUS_COLUMNS") is None
    assert note(read(None, text.replace("kaplan", "5")), "AMBIGUOUS_COLUMNS") is not None
