"""Descriptions from files that nobody vouches for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.runs.counting import (
    ConvModel,
    DecoderModel,
    Experts,
    Layer,
    count_model,
    model_from,
    read_model,
)
from isoloss.runs.counting.huggingface import from_huggingface
from runs.test_model_counts import GOLDEN

CONFIGS = {m["name"]: m for m in GOLDEN["model"]}


@pytest.mark.parametrize("name", CONFIGS)
def test_released_models_have_the_parameters_that_their_checkpoints_hold(name):
    golden = CONFIGS[name]
    model, unknown = from_huggingface(golden["config"])
    counts = count_model(model)
    assert counts.N_total == golden["N"]
    assert counts.N_active == golden.get("active", counts.N_active)
    assert unknown == ()


def test_windows_are_read():
    mistral, _ = from_huggingface(CONFIGS["mistral-7b"]["config"])
    assert (mistral.window, mistral.windowed_layers) == (4096, None)
    gemma, _ = from_huggingface(CONFIGS["gemma-2-2b"]["config"])
    assert (gemma.window, gemma.windowed_layers) == (4096, 13)
    qwen, _ = from_huggingface(CONFIGS["qwen2-0.5b"]["config"])
    assert qwen.window is None
    base = CONFIGS["qwen2-7b"]["config"] | {"use_sliding_window": True, "sliding_window": 1024}
    some, _ = from_huggingface(base | {"max_window_layers": 20})
    assert (some.window, some.windowed_layers) == (1024, 8)
    kinds = ["sliding_attention"] * 3 + ["full_attention"] * 25
    listed, _ = from_huggingface(base | {"layer_types": kinds})
    assert listed.windowed_layers == 3


def test_unknown_keys_are_named_and_not_dropped():
    config = CONFIGS["llama-2-7b"]["config"] | {"rope_theta": 1e4, "zeta": 1, "adapter_rank": 8}
    _, unknown = from_huggingface(config)
    assert unknown == ("adapter_rank", "zeta")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "the families read here are llama"),
        ({"model_type": ["llama"]}, "the families read here are"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"hidden_size": "4096"}, "hidden_size = '4096': must be a whole number"),
        ({"hidden_size": float("nan")}, "hidden_size = nan"),
        ({"num_hidden_layers": 0}, "depth = 0"),
        ({"num_attention_heads": 33}, "width = 4096 is not divisible by heads = 33"),
        ({"tie_word_embeddings": "no"}, "must be true or false"),
        ({"vocab_size": 10**30}, "vocabulary = 1000"),
    ],
)
def test_configs_that_cannot_be(change, message):
    with pytest.raises(InputError, match=message):
        from_huggingface(CONFIGS["llama-2-7b"]["config"] | change)


def test_mixed_layers_of_experts_are_refused_rather_than_miscounted():
    config = CONFIGS["qwen3-30b-a3b"]["config"]
    for change in ({"decoder_sparse_step": 2}, {"mlp_only_layers": [0]}):
        with pytest.raises(InputError, match="dense layers among those of experts"):
            from_huggingface(config | change)


def test_own_descriptions_in_json_and_toml(tmp_path):
    plain: dict[str, Any] = {
        "kind": "decoder", "width": 64, "depth": 2, "heads": 4, "vocabulary": 100, "context": 32,
        "experts": {"count": 4, "active": 2},
    }  # fmt: skip
    path = tmp_path / "model.json"
    path.write_text(json.dumps(plain), "utf8")
    made = read_model(path).model
    assert made == DecoderModel(width=64, depth=2, heads=4, vocabulary=100, context=32,
                                experts=Experts(count=4, active=2))  # fmt: skip
    text = """
    kind = "conv"
    inputs = [1, 28, 28]
    layers = [{kind = "conv", channels = 8, kernel = 3}, {kind = "mean"},
              {kind = "dense", channels = 10}]
    """
    path = tmp_path / "net.TOML"
    path.write_text(text, "utf8")
    made = read_model(path).model
    assert made == ConvModel(inputs=(1, 28, 28), layers=(
        Layer(kind="conv", channels=8, kernel=3), Layer(kind="mean"),
        Layer(kind="dense", channels=10)))  # fmt: skip
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIGS["gpt2"]["config"] | {"odd": 1}), "utf8")
    read = read_model(config)
    assert (read.unknown, read.source) == (("odd",), "config.json")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected a table of fields, got list"),
        ({}, "kind = None: must be one of decoder, vit, mlp, conv"),
        ({"kind": ["mlp"]}, "kind = "),
        ({"kind": "mlp", "inputs": 3}, "mlp: outputs, widths missing"),
        ({"kind": "mlp", "inputs": 3, "widths": [2], "outputs": 1, "dropout": 0.1},
         "unknown field 'dropout'; its fields: inputs, widths, outputs, bias"),
        ({"kind": "mlp", "inputs": 3, "widths": "wide", "outputs": 1}, "must be a list of whole"),
        ({"kind": "conv", "inputs": [1, 2], "layers": []}, "widths|inputs|layers"),
        ({"kind": "conv", "inputs": [1, 2, 2], "layers": {}}, "expected a list of tables"),
        ({"kind": "conv", "inputs": [1, 2, 2], "layers": [3]}, "layer 1: expected a table"),
        ({"kind": "decoder", "experts": {"count": 2}}, "experts: active missing"),
        ({"kind": "decoder", "experts": 3}, "experts: expected a table"),
    ],
)  # fmt: skip
def test_descriptions_that_cannot_be(given, message):
    with pytest.raises(InputError, match=message):
        model_from(given)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"{", "not valid JSON"),
        ("a.json", b"[" * 100_000, "not valid JSON"),
        ("a.json", b"[1]", "expected one table of fields, got list"),
        ("a.json", b"\xff\xfe{}", "not UTF-8 text"),
        ("a.toml", b"kind = ", "not valid TOML"),
        ("a.json", b'{"kind": "mlp", "inputs": NaN, "widths": [], "outputs": 1}', "inputs = nan"),
        ("a.json", b'{"kind": "mlp", "inputs": 1e400, "widths": [], "outputs": 1}', "inputs = inf"),
        ("a.json", b"9" * 10_000, "not valid JSON"),
        ("a.json", b" " * (2**20 + 1), "larger than 1,048,576 bytes"),
    ],
)
def test_files_that_cannot_be(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_model(path)
    assert name in str(error.value)


def test_a_file_of_ten_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)  # sparse: it takes no room
    with pytest.raises(InputError, match="larger than"):
        read_model(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_model(tmp_path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_model(tmp_path / "none.json")
    if Path("/dev/zero").exists():
        with pytest.raises(InputError, match="larger than"):
            read_model("/dev/zero")


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(sorted({k for m in CONFIGS.values() for k in m["config"]} | {"kind", "zz"}))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(CONFIGS)), st.dictionaries(names, values, max_size=4))
def test_any_content_counts_or_is_an_input_error(name, changes):
    for read in (from_huggingface, lambda c: (model_from(c), ())):
        try:
            model, _ = read(CONFIGS[name]["config"] | changes)
            counts = count_model(model)
        except InputError:
            continue
        assert counts.N_total > 0
        assert counts.flops > 0
