"""``isoloss flops``: numbers, exit codes, and what cannot be asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.commands import call, good, write
from isoloss.runs import embedded_runs
from isoloss.runs.counting import CONVENTIONS

SIZES = ("--layers", "12", "--width", "768", "--heads", "12", "--vocabulary", "50257",
         "--context", "1024")  # fmt: skip
GPT2 = (*SIZES, "--set", "positions=learned,attention_bias=all,mlp_bias=true,norm=layer")
MIXTRAL = {
    "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "max_position_embeddings": 32768, "vocab_size": 32000, "num_local_experts": 8,
    "num_experts_per_tok": 2, "tie_word_embeddings": False,
}  # fmt: skip


def refused(result, *pieces, code=1):
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for piece in pieces:
        assert piece in result.stderr
    return True


def config(folder: Path, **changes: object) -> Path:
    return write(folder, json.dumps(MIXTRAL | changes), "config.json")


def test_a_model_by_options():
    result = call("flops", *GPT2, "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert set(answer) == {"model", "counts", "conventions", "bill", "unknown"}
    assert answer["counts"]["N_total"] == 124_439_808
    assert answer["counts"]["training"] == 797_870_592
    assert [r["convention"] for r in answer["conventions"]["rows"]] == list(CONVENTIONS)
    shown = call("flops", "count", *GPT2, "--convention", "kaplan").stderr
    assert "124,439,808" in shown
    assert "kaplan" in shown
    assert "palm" not in shown


def test_a_config_with_hours_and_money(tmp_path):
    path = config(tmp_path)
    words = ("--tokens", "1e12", "--context", "4096", "--hardware", "h100-sxm", "--utilisation",
             "0.4", "--devices", "1024", "--price", "2")  # fmt: skip
    result = call("flops", path, *words, "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert answer["counts"]["N_active"] == 12_879_925_248
    assert answer["model"]["context"] == 4096
    C = answer["counts"]["training"] * 1e12
    assert answer["bill"]["C"] == C
    assert answer["bill"]["device_hours"] == pytest.approx(C / (989.4e12 * 0.4 * 3600))
    assert answer["bill"]["cost"] == pytest.approx(2 * answer["bill"]["device_hours"])
    assert "device-hours" in call("flops", path, *words).stderr


def test_unknown_keys_are_named_and_leave_doubt(tmp_path):
    result = call("flops", config(tmp_path, zeta=3), "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["unknown"] == ["zeta"]
    assert "warning UNKNOWN_KEY: 'zeta'" in result.stderr


def test_fields_of_a_config_can_be_changed(tmp_path):
    result = call("flops", config(tmp_path), "--set", "experts.active=8,tied=true", "--json")
    answer = json.loads(result.stdout)
    assert answer["model"]["experts"]["count"] == 8
    assert answer["counts"]["N_active"] == answer["counts"]["N_total"]
    own = write(tmp_path, 'kind = "mlp"\ninputs = 4\nwidths = [3]\noutputs = 2\n', "net.toml")
    answer = json.loads(call("flops", own, "--json").stdout)
    assert answer["counts"]["N_total"] == 23
    assert [r["convention"] for r in answer["conventions"]["rows"]] == ["exact", "ledger", "6nd"]


def test_shapes():
    words = ("shapes", "1.3e9", "--vocabulary", "50257", "--context", "2048", "--limit", "3",
             "--group", "4", "--set", "gated=true,tied=false")  # fmt: skip
    answer = json.loads(call("flops", *words, "--json").stdout)
    assert len(answer["shapes"]) == 3
    for s in answer["shapes"]:
        assert s["heads"] == 4 * s["kv_heads"]
        assert s["width"] == 64 * s["heads"]
        assert s["N"] == pytest.approx(1.3e9 * (1 + s["error"]))
    assert f"{answer['shapes'][0]['N']:,}" in call("flops", *words).stderr
    mixed = json.loads(call("flops", *words, "--set", "experts.count=4,experts.active=1",
                            "--count", "active", "--json").stdout)  # fmt: skip
    assert mixed["shapes"][0]["N"] == pytest.approx(1.3e9, rel=0.1)


def test_the_embedded_runs_under_two_conventions():
    words = ("runs", "--convention", "exact", "--convention", "kaplan", "--law", "coupled",
             "--draws", "20", "--budget", "1e15")  # fmt: skip
    result = call("flops", *words, "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code in (0, 3)
    exact, kaplan = answer["rows"]
    assert exact["convention"] == answer["reference"] == "exact"
    assert kaplan["exponent_N"] > exact["exponent_N"] + 0.05
    assert kaplan["N_interval"]["low"] < kaplan["N_opt"] < kaplan["N_interval"]["high"]
    shown = call("flops", *words).stderr
    assert "moves the exponent of N by 0.08" in shown
    by_column = json.loads(call("flops", "runs", "--as", "N:C", "--as", "N_non_embedding", "--law",
                                "coupled", "--draws", "0", "--budget", "1e15",
                                "--json").stdout)  # fmt: skip
    assert [r["convention"] for r in by_column["rows"]] == ["N:C", "N_non_embedding"]
    assert by_column["rows"][1]["exponent_N"] == pytest.approx(kaplan["exponent_N"], abs=1e-6)


def test_tables_are_combined_or_refused(tmp_path):
    runs = embedded_runs()
    keep = ("N", "D", "C", "loss", "width", "depth", "heads", "context")
    rows = [",".join(keep)]
    rows += [",".join(repr(float(runs[k][i])) for k in keep) for i in range(len(runs))]
    one = write(tmp_path, "\n".join([rows[0], *rows[1:60]]) + "\n", "one.csv")
    two = write(tmp_path, "\n".join([rows[0], *rows[60:]]) + "\n", "two.csv")
    words = ("--set", "vocabulary=256,positions=learned", "--law", "coupled", "--draws", "0",
             "--budget", "1e15", "--convention", "exact", "--convention", "kaplan",
             "--json")  # fmt: skip
    both = json.loads(call("flops", "runs", one, two, *words).stdout)
    whole = json.loads(call("flops", "runs", *words[2:]).stdout)
    for ours, theirs in zip(both["rows"], whole["rows"], strict=True):
        assert ours["N_opt"] == pytest.approx(theirs["N_opt"], rel=1e-6)
    other = write(tmp_path, (tmp_path / "two.csv").read_text().replace("N,D", "active_params,D", 1),
                  "other.csv")  # fmt: skip
    assert refused(call("flops", "runs", one, other, *words), "tables of different conventions",
                   "N is")  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--layers", "12"), "context, heads, vocabulary, width missing"),
        ((*SIZES, "--set", "heads=5"), "width = 768 is not divisible by heads = 5"),
        ((*SIZES, "--set", "depth=0"), "depth = 0"),
        ((*SIZES, "--set", "colour=red"), "unknown field 'colour'"),
        ((*SIZES, "--set", "experts.count=4"), "experts: active missing"),
        ((*SIZES, "--set", "depth=nan"), "depth = 'nan'"),
        ((*SIZES, "--convention", "folklore"), "must be one of exact"),
        ((*SIZES, "--price", "2"), "need --hardware, --utilisation, --tokens as well"),
        ((*SIZES, "--tokens", "9", "--hardware", "abacus", "--utilisation", "0.3"), "one of v100"),
        ((*SIZES, "--tokens", "1e9", "--hardware", "a100", "--utilisation", "30"), "at most 1"),
        (("count",), "no model: give a CONFIG"),
        (("missing.json",), "missing.json: cannot be read"),
        (("shapes", "1e9", "--vocabulary", "10", "--context", "9", "--limit", "0"), "limit = 0"),
        (("shapes", "1e9", "--vocabulary", "10", "--context", "9", "--aspect", "9:1"), "aspect"),
        (("shapes", "1e9", "--vocabulary", "10", "--context", "9", "--set", "hue=1"), "hue"),
        (("runs", "--as", "N", "--convention", "kaplan"), "give one of them"),
        (("runs", "--as", "N"), "two or more"),
        (("runs", "--as", "N", "--as", "M"), "no column 'M'"),
        (("runs", "--convention", "kaplan"), "two or more"),
        (("runs", "--set", "width=3"), "is the column 'width' and a constant"),
        (("runs", "nowhere.csv"), "no such file"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(words, message):
    assert refused(call("flops", *words), "error: ", message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*SIZES, "--tokens", "nan"), "must be finite and positive"),
        ((*SIZES, "--set", "gated"), "write NAME=VALUE"),
        (("shapes", "-3", "--vocabulary", "10", "--context", "9"), "No such option"),
        (("shapes", "1e9", "--vocabulary", "10", "--context", "9", "--aspect", "wide"), "LOW:HIGH"),
        (("shapes", "1e9"), "Missing option"),
    ],
)
def test_usage(words, message):
    assert refused(call("flops", *words), message, code=2)


def test_runs_without_shapes_say_what_is_missing(tmp_path):
    path = write(tmp_path, good())
    assert refused(call("flops", "runs", path), "context, depth, heads, vocabulary, width missing",
                   "add a column of that name or give a constant")  # fmt: skip


def test_help_names_the_commands():
    shown = call("flops", "--help").stdout
    assert re.findall(r"^  (count|shapes|runs)\b", shown, re.M) == ["count", "runs", "shapes"]
    assert "CONFIG" in shown
