"""Every choice of an import: what it takes, what it drops, what it flags, and what it says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.runs.logs import ImportedRuns, import_logs

CONFIG = {"n_params": 1_000_000}


def log(folder: Path, rows: list[dict[str, Any]], name: str = "run", **config: Any) -> Path:
    path = folder / f"{name}.jsonl"
    lines = [json.dumps({"config": CONFIG | config}), *map(json.dumps, rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def curve(values: Any, **more: Any) -> list[dict[str, Any]]:
    """Held-out losses every 10 steps of 1,000 tokens."""
    return [
        {
            "step": 10 * k,
            "tokens": 10_000 * k,
            "eval_loss": v,
            **{n: s[k - 1] for n, s in more.items()},
        }
        for k, v in enumerate(values, 1)
    ]


def codes(found: ImportedRuns, severity: str = "warning") -> list[str]:
    return [f.code for f in found.findings if f.severity == severity]


FALLING = [4.0, 3.5, 3.2, 3.1, 3.05, 3.02]


def test_repeated_steps_count_once_and_the_later_value_stays(tmp_path: Path) -> None:
    rows = curve(FALLING)
    found = import_logs(log(tmp_path, [*rows, {**rows[-1], "eval_loss": 3.0}, rows[2]]))
    assert found.runs["loss"].tolist() == [3.0]
    assert codes(found, "info") == ["REPEATED_STEPS", "RESTARTED"]
    assert "2 logs" in found.findings[0].reason


def test_missing_values_are_counted(tmp_path: Path) -> None:
    found = import_logs(log(tmp_path, curve([4.0, math.nan, 3.2, math.inf, 3.0])))
    assert found.runs["loss"].tolist() == [3.0]
    assert [f.reason.split()[0] for f in found.findings if f.code == "NOT_FINITE"] == ["2"]


def test_run_that_ends_as_nan_has_diverged(tmp_path: Path) -> None:
    path = log(tmp_path, curve([*FALLING, math.nan]))
    log(tmp_path, curve(FALLING), "good")
    found = import_logs(tmp_path)
    assert [(f.run, f.code) for f in found.dropped] == [("run", "DIVERGED")]
    assert found.runs.refused[0].code == "DIVERGED"
    kept = import_logs(path, keep=["DIVERGED"])
    assert (kept.runs["loss"].tolist(), kept.runs["D"].tolist()) == ([3.02], [60_000.0])


@pytest.mark.parametrize(
    ("end", "severity", "code"), [(3.4, "dropped", "DIVERGED"), (3.1, "warning", "RISING")]
)
def test_loss_that_rises_at_the_end(tmp_path: Path, end: float, severity: str, code: str) -> None:
    log(tmp_path, curve(FALLING), "good")
    log(tmp_path, curve([*FALLING, 3.0, 3.0, 3.0, 3.0, 3.0, end, end, end]))
    assert code in codes(import_logs(tmp_path), severity)


def test_spikes_are_found_and_matter_at_the_end_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = 3 + 2 / np.arange(1, 201) + 0.01 * rng.standard_normal(200)
    values[100] = 6
    found = import_logs(log(tmp_path, curve(values.tolist())), final="last:20")
    assert "SPIKES" in codes(found, "info")
    values[195] = 4
    found = import_logs(log(tmp_path, curve(values.tolist())), final="last:20")
    (finding,) = [f for f in found.findings if f.code == "SPIKES"]
    assert (finding.severity, finding.reason.split()[0]) == ("warning", "2")
    assert codes(import_logs(log(tmp_path, curve((values * 0 + 3).tolist()))), "info") == []


def test_unfinished_runs_are_dropped_unless_kept(tmp_path: Path) -> None:
    log(tmp_path, curve(FALLING), "good", max_steps=60)
    path = log(tmp_path, curve(FALLING), max_steps=200)
    assert [(f.run, f.code) for f in import_logs(tmp_path).dropped] == [("run", "UNFINISHED")]
    assert codes(import_logs(path, keep=["UNFINISHED"])) == ["UNFINISHED"]
    assert len(import_logs(path, columns={"planned": "60"}).runs) == 1


def test_under_annealed_runs_are_flagged_or_dropped(tmp_path: Path) -> None:
    cosine = [0.5, 1.0, 0.8, 0.6, 0.4, 0.3]
    path = log(tmp_path, curve(FALLING, lr=cosine))
    found = import_logs(path)
    assert codes(found) == ["UNDER_ANNEALED"]
    assert "30 %" in found.findings[0].reason
    assert not codes(import_logs(path, anneal=0.3))
    with pytest.raises(InputError, match="UNDER_ANNEALED 1"):
        import_logs(path, drop=["UNDER_ANNEALED"])
    annealed = log(tmp_path, curve(FALLING, lr=[*cosine[:-1], 0.01]))
    assert not codes(import_logs(annealed))


def test_warmup_is_cut_where_the_rate_first_peaks(tmp_path: Path) -> None:
    path = log(tmp_path, curve(FALLING, lr=[0.1, 1.0, 0.8, 0.5, 0.2, 0.01]))
    assert import_logs(path).rows[0].logs == 5
    assert import_logs(path, warmup=50).rows[0].logs == 2
    with pytest.raises(InputError, match="WARMUP_ONLY"):
        import_logs(path, warmup=1000)
    rising = log(tmp_path, curve(FALLING, lr=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert import_logs(rising).rows[0].logs == 6


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("nats", 1), ("bits", math.log(2)), ("base10", math.log(10)), ("bpb", math.log(2))],
)
def test_units_become_nats(tmp_path: Path, unit: str, factor: float) -> None:
    found = import_logs(log(tmp_path, curve(FALLING)), loss_unit=unit)
    assert found.runs["loss"][0] == pytest.approx(3.02 * factor, rel=1e-15)
    assert found.runs.conventions.loss.startswith(
        "nats per " + ("byte" if unit == "bpb" else "token")
    )


def test_perplexity_is_averaged_as_a_loss(tmp_path: Path) -> None:
    rows = [
        {"step": k, "tokens": k, "eval/ppl": math.exp(v)} for k, v in ((1, 3.5), (2, 3.1), (3, 3.0))
    ]
    path = log(tmp_path, rows)
    with pytest.raises(InputError, match="--loss-unit perplexity"):
        import_logs(path)
    found = import_logs(path, loss_unit="perplexity", final="last:2")
    assert found.runs["loss"][0] == pytest.approx(3.05, rel=1e-12)


def test_two_held_out_losses_are_ambiguous_and_listed(tmp_path: Path) -> None:
    rows = [{"step": k, "tokens": k, "eval/c4_loss": 3.0, "eval/pile_loss": 2.0} for k in (1, 2)]
    path = log(tmp_path, rows)
    with pytest.raises(InputError, match=r"'eval/c4_loss', 'eval/pile_loss'; choose one"):
        import_logs(path)
    assert import_logs(path, metric="*pile*").runs["loss"].tolist() == [2.0]
    with pytest.raises(InputError, match="'eval/c4_loss', 'eval/pile_loss'"):
        import_logs(path, metric="eval/*")


def test_plain_name_wins_and_the_others_are_named(tmp_path: Path) -> None:
    rows = [{"step": k, "tokens": k, "eval/loss": 3.0, "eval/pile_loss": 2.0} for k in (1, 2)]
    found = import_logs(log(tmp_path, rows))
    assert found.runs["loss"].tolist() == [3.0]
    assert "eval/pile_loss" in found.findings[0].reason


def test_different_measures_are_not_mixed(tmp_path: Path) -> None:
    log(tmp_path, [{"step": k, "tokens": k, "eval/c4_loss": 3.0} for k in (1, 2)], "a")
    log(tmp_path, [{"step": k, "tokens": k, "test/pile_loss": 3.0} for k in (1, 2)], "b")
    with pytest.raises(InputError, match="different measures"):
        import_logs(tmp_path)
    log(tmp_path, [{"step": k, "tokens": k, "val_loss": 3.0} for k in (1, 2)], "a")
    log(tmp_path, [{"step": k, "tokens": k, "eval/loss": 2.9} for k in (1, 2)], "b")
    assert len(import_logs(tmp_path).runs) == 2


def test_run_without_a_held_out_loss_is_dropped_with_the_remedy(tmp_path: Path) -> None:
    log(tmp_path, curve(FALLING), "good")
    log(tmp_path, [{"step": k, "tokens": k, "loss": 3.0} for k in (1, 2)], "bad")
    (gone,) = import_logs(tmp_path).dropped
    assert (gone.run, gone.code) == ("bad", "NO_METRIC")
    assert "--metric train" in gone.remedy


def no_tokens() -> list[dict[str, Any]]:
    return [{"step": k, "eval_loss": 3.0} for k in (50, 100)]


def test_data_from_steps_batch_and_context(tmp_path: Path) -> None:
    found = import_logs(log(tmp_path, no_tokens(), batch_size=32, seq_len=1024))
    assert found.runs["D"].tolist() == [100 * 32 * 1024]
    assert found.rows[0].how["D"] == "100 steps x batch 32 x context 1024"
    given = import_logs(tmp_path, columns={"batch": "8", "context": "10"})
    assert given.runs["D"].tolist() == [8000]


def test_batch_of_one_device_is_never_taken_for_the_whole(tmp_path: Path) -> None:
    parts = {"batch_size": 32, "gradient_accumulation_steps": 4, "seq_len": 1024}
    path = log(tmp_path, no_tokens(), **parts)
    found = import_logs(path)
    assert "D" not in found.runs
    assert codes(found) == ["NO_D"]
    log(tmp_path, no_tokens(), **parts, global_batch_size=128)
    assert import_logs(path).runs["D"].tolist() == [100 * 128 * 1024]


def test_sizes_that_disagree_are_not_guessed(tmp_path: Path) -> None:
    path = log(tmp_path, curve(FALLING), total_params=2_000_000)
    with pytest.raises(InputError, match=r"could be N; say which with --columns N=NAME"):
        import_logs(path)
    assert import_logs(path, columns={"N": "total_params"}).runs["N"].tolist() == [2e6]


def test_named_columns_numbers_and_units(tmp_path: Path) -> None:
    path = log(tmp_path, curve(FALLING), width=64, model={"size": "70M"})
    found = import_logs(path, columns={"N": "model.size", "w": "width", "D": "tokens", "one": "1"},
                        units={"D": 1e3})  # fmt: skip
    assert {k: float(v[0]) for k, v in found.runs.columns.items()} == {
        "N": 7e7, "D": 6e7, "C": 6 * 7e7 * 6e7, "w": 64, "one": 1, "loss": 3.02,
    }  # fmt: skip
    with pytest.raises(InputError, match="neither a metric nor a setting"):
        import_logs(path, columns={"N": "n_params", "w": "nothing"})


def test_pattern_reads_numbers_from_names(tmp_path: Path) -> None:
    for name in ("lm-70M-1.5B-s3", "lm-1e6-2B-s4", "odd"):
        log(tmp_path, [{"step": 1, "val_loss": 3.0}, {"step": 2, "val_loss": 2.5}], name)
    found = import_logs(tmp_path, pattern="lm-{N}-{D}-s{seed}")
    assert found.runs["N"].tolist() == [1e6, 7e7]
    assert found.runs["D"].tolist() == [2e9, 1.5e9]
    assert found.runs["seed"].tolist() == [4, 3]
    assert [f.run for f in found.dropped] == ["odd"]
    with pytest.raises(InputError, match="braces"):
        import_logs(tmp_path, pattern="lm-*")


@pytest.mark.parametrize(
    ("key", "code"), [("tokenizer", "MIXED_TOKENIZER"), ("eval_dataset", "MIXED_EVAL_SET")]
)
def test_two_tokenizers_or_evaluation_sets_are_refused(tmp_path: Path, key: str, code: str) -> None:
    log(tmp_path, curve(FALLING), "a", **{key: "x"})
    log(tmp_path, curve([4.0, 2.9]), "b", **{key: "y"})
    with pytest.raises(InputError, match=f"--keep {code}"):
        import_logs(tmp_path)
    found = import_logs(tmp_path, keep=[code])
    assert codes(found) == [code]
    assert "=x" in found.to_csv()


def test_names_that_are_the_same_get_numbers(tmp_path: Path) -> None:
    for folder, end in (("a", 3.0), ("b", 2.9), ("c", 2.9)):
        (tmp_path / folder).mkdir()
        log(tmp_path / folder, curve([4.0, 3.1, end]), "run")
    found = import_logs([tmp_path / name / "run.jsonl" for name in "abc"])
    assert found.runs.names == ("run", "run (2)")
    assert [(f.run, f.code) for f in found.dropped] == [("run (3)", "DUPLICATE_RUN")]


def test_steps_of_wandb_are_mapped_through_the_count_of_updates(tmp_path: Path) -> None:
    from runs.logs.writers import wandb_file, wandb_history, wandb_run

    config = {"n_params": 10, "batch_size": 2, "block_size": 5, "max_steps": 400}
    rows = [{"train/loss": 3.0, "trainer/global_step": 100 * k} for k in range(1, 5)]
    records = [wandb_run("r", "id", config)]
    for i, row in enumerate(rows):
        records += [wandb_history(row, 2 * i), wandb_history({"val_loss": 3.0 - i / 9}, 2 * i + 1)]
    path = tmp_path / "run-id.wandb"
    path.write_bytes(wandb_file(records))
    found = import_logs(path)
    assert found.rows[0].step == 450  # half a log after the last count, at its pace
    assert found.runs["D"].tolist() == [450 * 10]
    path.write_bytes(
        wandb_file([r.replace(b"trainer/global_step", b"trainer/global_size") for r in records])
    )
    assert "STEPS_COUNT_LOGS" in codes(import_logs(path))
    named = import_logs(path, columns={"step": "trainer/global_size"})
    assert named.runs["D"].tolist() == [450 * 10]


def test_last_log_long_before_the_end_is_flagged(tmp_path: Path) -> None:
    rows = curve(FALLING) + [{"step": s, "tokens": 1000 * s, "loss": 3.0} for s in range(61, 200)]
    found = import_logs(log(tmp_path, rows))
    assert "EARLY_LAST_LOG" in codes(found)
    assert found.runs["D"].tolist() == [60_000]


def test_flops_are_taken_where_all_runs_log_them(tmp_path: Path) -> None:
    log(tmp_path, curve(FALLING, total_flops=[1e12 * k for k in range(1, 7)]), "a")
    log(tmp_path, curve(FALLING, total_flops=[3e12 * k for k in range(1, 7)]), "b")
    assert import_logs(tmp_path).runs["C"].tolist() == [6e12, 1.8e13]


def test_drift_within_the_window_is_told(tmp_path: Path) -> None:
    values = (4 - 0.01 * np.arange(50)).tolist()
    found = import_logs(log(tmp_path, curve(values)), final="last:40")
    assert "DRIFT" in codes(found)


@pytest.mark.parametrize(
    "bad",
    [
        {"metric": ""},
        {"loss_unit": "dits"},
        {"final": "median"},
        {"warmup": "soon"},
        {"anneal": 0.0},
        {"columns": {"loss": "x"}},
        {"units": {"N": -1.0}},
        {"keep": ["NO_N"]},
        {"drop": ["FUN"]},
        {"pattern": "*" * 9 + "{N}"},
    ],
)
def test_bad_choices_are_refused(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        import_logs(log(tmp_path, curve(FALLING)), **bad)


def test_all_choices_are_in_the_report(tmp_path: Path) -> None:
    found = import_logs(log(tmp_path, curve(FALLING)), metric="eval_loss", final="ema:3", warmup=1)
    text = found.summary()
    for words in ("metric: eval_loss", "exp(-age / 3 logs)", "before step 1 are cut", "0.1"):
        assert words in text
