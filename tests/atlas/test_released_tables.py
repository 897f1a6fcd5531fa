"""Readers of released tables: both layouts, what is left out, and files of strangers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from isoloss.cli import main
from isoloss.errors import InputError
from isoloss.runs.atlas import Task, find_tables
from isoloss.runs.atlas.datablations import OUTLIERS

EPOCH = "x,Model Size,Training FLOP,loss\n0,1e8,6e17,3.9\n0,2e8,2.4e18,3.5\n"
META = "Eval Task,Random baseline,#datapoints\narc,25,100\npiqa,50,1838\nunseen,0,3\n"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, "utf8")
    return folder


def model(name: str, n: float, loss: float) -> dict[str, Any]:
    sets = {"c4_val/shard": loss, "val_tok_mult/openlm/x": loss + 1, "unknown/y": 9.0}
    results = [
        {"val_data": [k], "loss": v, "loss_sequences_lower_95": v - 0.0392,
         "loss_sequences_upper_95": v + 0.0392}
        for k, v in sets.items()
    ]  # fmt: skip
    return {"name": name, "dataset_name": "rpj", "results": results,
            "hyperparameters": {"params": n, "tokens": 20 * n}}  # fmt: skip


def evaluation(name: str, arc: float) -> dict[str, Any]:
    return {"file": f"evaluation_{name}_heavy.json", "eval_metrics": {"icl": {"arc": arc, "b": 0}}}


MODELS = [model("rpj-a", 1e7, 4.0), model("rpj-b", 1e8, 3.0)]
EVALS = [evaluation("rpj-a", 0.3), evaluation("rpj-b", 0.4)]


def lines(values: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(v) + "\n" for v in values)


def test_points_of_a_figure_get_their_data(tmp_path: Path) -> None:
    (table,) = find_tables(write(tmp_path / "a" / "b", svg_extracted_data__csv=EPOCH).parent)
    assert table.runs["D"].tolist() == [1e9, 2e9]
    assert (table.name, len(table.runs)) == ("chinchilla", 2)


@pytest.mark.parametrize("layout", ["lines", "folders"])
def test_models_and_evaluations_meet_by_name(tmp_path: Path, layout: str) -> None:
    write(tmp_path, eval_metadata__csv=META)
    if layout == "lines":
        write(tmp_path, models__jsonl=lines(MODELS), evals__jsonl=lines(EVALS))
    else:
        for kind, values in (("models", MODELS), ("evals", EVALS)):
            (tmp_path / kind).mkdir()
            for i, value in enumerate(values):
                name = value.pop("file") if "file" in value else f"{i}.json"
                (tmp_path / kind / name).write_text(json.dumps(value))
                if kind == "evals":
                    value["file"] = name
    (table,) = find_tables(tmp_path)
    assert table.runs.names == ("rpj-a", "rpj-b")
    assert table.runs["loss"].tolist() == [4.0, 3.0]
    assert table.runs["loss_openlm"].tolist() == [5.0, 4.0]
    assert table.runs["loss_se"].tolist() == pytest.approx([0.02, 0.02])
    assert table.runs["acc_arc"].tolist() == [0.3, 0.4]
    assert table.tasks == {"acc_arc": Task(chance=0.25, items=100)}


def test_an_accuracy_not_known_of_every_model_is_no_column(tmp_path: Path) -> None:
    write(tmp_path, eval_metadata__csv=META, models__jsonl=lines(MODELS),
          evals__jsonl=lines(EVALS[:1]))  # fmt: skip
    (table,) = find_tables(tmp_path)
    assert "acc_arc" not in table.runs
    assert not table.tasks


def test_the_last_of_a_name_stands_and_outliers_fall(tmp_path: Path) -> None:
    out = sorted(OUTLIERS)[0]
    rows = [("a", 3.0), ("a", 2.5), (out, 9.0), ("b", 2.0)]
    text = "name,params,tokens,unique_tokens,val_loss\n"
    text += "".join(f"{n},1e8,4e9,2e9,{v}\n" for n, v in rows)
    every, kept = find_tables(write(tmp_path, runs__csv=text))
    assert len(every.runs) == 4
    assert kept.runs["loss"].tolist() == [2.5, 2.0]
    assert kept.runs["U"].tolist() == [2e9, 2e9]


def test_another_table_of_that_name_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the known"):
        find_tables(write(tmp_path, runs__csv="N,D,loss\n1,1,1\n"))


def test_optima_at_the_end_of_their_curve_are_dropped(tmp_path: Path) -> None:
    head = "file,dataset,hparams,warmup,decay,param_count,val,flops,n,n_star_std\n"
    key = "summary_df,rw,base,long,kaplan,kaplan,train"
    rows = ["1e16,1e6,0.1", "2e16,2e6,0", "4e16,,", "8e16,4e6,0.2", "9e16,5e6,nan"]
    text = head + "".join(f"{key},{row}\n" for row in rows)
    (table,) = find_tables(write(tmp_path, optimal_pairs__csv=text))
    assert table.runs["loss"].tolist() == [1e6, 4e6]
    assert table.runs["loss_se"].tolist() == pytest.approx([1e5, 8e5])


def test_points_stored_four_times_count_once(tmp_path: Path) -> None:
    head = "Domain,Task,Model,Seen Examples,Loss,Training\n"
    points = [("A", 1, 3.0, 1), ("A", 2, 2.5, 0), ("B", 1, 4.0, 1)]
    text = head + "".join(f"LM,t,{m},{d},{v},{k}\n" for m, d, v, k in points) * 4
    reference = "domain,task,model,M1_rmse,M2_rmse,M3_rmse,M4_rmse\nLM,t,B,0.1,0.2,0.3,0.4\n"
    write(tmp_path, benchmark__lang__csv=text)
    (tmp_path / "reference_rmse_M1-M4.csv").write_text(reference)
    curves, beside = find_tables(tmp_path)
    assert curves.runs["D"].tolist() == [1, 2, 1]
    assert curves.runs["curve"].tolist() == [0, 0, 1]
    assert curves.runs["fitted"].tolist() == [1, 0, 1]
    assert beside.runs["curve"].tolist() == [1]
    assert beside.runs["M4"].tolist() == [0.4]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("svg_extracted_data.csv", "Model Size,Training FLOP,loss\n1e8,x,3\n", "not a number"),
        ("svg_extracted_data.csv", "Model Size,Training FLOP,loss\n1e8,-1,3\n", "positive"),
        ("svg_extracted_data.csv", "Model Size,Training FLOP,loss\n", "no rows"),
        ("svg_extracted_data.csv", "Model Size,loss\n1,2\n", "no column Training FLOP"),
        ("models.jsonl", "{not json\n", "not JSON"),
        ("models.jsonl", "[1]\n", "an object was expected"),
        ("models.jsonl", '{"name": "rpj-a", "dataset_name": "rpj"}\n', "no hyperparameters"),
        ("evals.jsonl", '{"file": "evaluation_rpj-a_heavy.json"}\n', "no eval_metrics"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, file: str, text: str, words: str) -> None:
    write(tmp_path, eval_metadata__csv=META, models__jsonl=lines(MODELS), evals__jsonl=lines(EVALS))
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=words):
        find_tables(tmp_path)
    result = CliRunner().invoke(main, ["atlas", str(tmp_path)])
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_a_folder_is_needed(tmp_path: Path) -> None:
    for name in ("no", "file"):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="no such folder"):
            find_tables(tmp_path / name)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", svg_extracted_data__csv=EPOCH)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "svg_extracted_data.csv").symlink_to(outside / "svg_extracted_data.csv")
    with pytest.raises(InputError, match="is a link"):
        find_tables(inside)
    # The folder itself may be one: the caller named it.
    (tmp_path / "named").symlink_to(outside)
    assert len(find_tables(tmp_path / "named")) == 1


def test_a_folder_of_models_behind_a_link_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "inside", eval_metadata__csv=META)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "inside" / "models").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        find_tables(tmp_path / "inside")


def test_two_copies_count_once_and_two_versions_are_an_error(tmp_path: Path) -> None:
    for place in ("a", "b"):
        write(tmp_path / place, svg_extracted_data__csv=EPOCH)
    assert len(find_tables(tmp_path)) == 1
    write(tmp_path / "b", svg_extracted_data__csv=EPOCH.replace("4", "5"))
    with pytest.raises(InputError, match="they differ"):
        find_tables(tmp_path)


def test_a_release_of_too_few_rows_is_said(tmp_path: Path) -> None:
    write(tmp_path, svg_extracted_data__csv=EPOCH)
    found = CliRunner().invoke(main, ["atlas", str(tmp_path), "--json"])
    assert found.exit_code == 1
    assert "chinchilla: tables were found, but too few rows to compare" in found.stderr
    assert json.loads(found.stdout)["rows"] == []
