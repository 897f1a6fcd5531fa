"""Names people give to columns."""

from __future__ import annotations

import pytest

from isoloss.errors import InputError
from isoloss.runs.columns import ALIASES, resolve


@pytest.mark.parametrize(
    ("axis", "name"),
    [
        ("N", "n_params"),
        ("N", "Num Params"),
        ("N", "Model Size"),
        ("N", "parameters"),
        ("N", "n"),
        ("N", "non_embedding_params"),
        ("N", "config.n_params"),
        ("N", "active-params"),
        ("D", "tokens"),
        ("D", "n_tokens"),
        ("D", "Train Tokens"),
        ("D", "Seen Examples"),
        ("D", "data"),
        ("C", "flops"),
        ("C", "Training FLOP"),
        ("C", "compute"),
        ("C", "train_flops"),
        ("U", "unique_tokens"),
    ],
)
@pytest.mark.parametrize("loss", ["loss", "val_loss", "eval/loss", "Validation Loss", "final_loss"])
def test_aliases(axis: str, name: str, loss: str) -> None:
    roles = resolve([name, loss, "width"], {})
    assert roles.axes == {axis: 0, "loss": 1}
    assert roles.free == {"width": 2}


def test_no_name_means_two_axes() -> None:
    names = [name for aliases in ALIASES.values() for name in aliases]
    assert len(names) == len(set(names))


def test_the_very_name_wins_with_a_warning() -> None:
    roles = resolve(["params", "N", "loss", "val_loss"], {})
    assert roles.axes == {"N": 1, "loss": 2}
    assert [note.code for note in roles.notes] == ["AMBIGUOUS_COLUMNS"] * 2
    assert set(roles.free) == {"params", "val_loss"}


def test_ambiguity_gives_the_remedy_and_a_mapping_settles_it() -> None:
    header = ["params", "params_no_embed", "tokens", "loss"]
    with pytest.raises(InputError, match=r"'params' and 'params_no_embed'.*--columns N=params"):
        resolve(header, {})
    roles = resolve(header, {"N": "params_no_embed"})
    assert roles.axes["N"] == 1
    assert roles.conventions == {"N": "non-embedding parameters", "D": "tokens seen"}
    assert roles.free == {"params": 0}


def test_run_names_by_rank_and_ambiguous_rates_stay_free() -> None:
    roles = resolve(["id", "name", "N", "loss", "max_lr", "peak_lr"], {})
    assert roles.name == 1
    assert set(roles.free) == {"id", "max_lr", "peak_lr"}


def test_rates_and_seeds_are_optional_unless_mapped() -> None:
    header = ["N", "loss", "seed", "lr"]
    assert set(resolve(header, {}).required) == {"N", "loss"}
    assert set(resolve(header, {"seed": "seed"}).required) == {"N", "loss", "seed"}


def test_a_name_used_by_a_mapping_is_not_used_twice() -> None:
    roles = resolve(["N", "loss", "val_loss"], {"loss": "val_loss"})
    assert roles.axes["loss"] == 2
    assert roles.free == {}
    with pytest.raises(InputError, match="used twice"):
        resolve(["N", "loss"], {"loss": "N", "N": "N"})


def test_loose_mapping_must_be_unique() -> None:
    assert resolve(["N", "Val Loss"], {"loss": "val_loss"}).axes["loss"] == 1
    with pytest.raises(InputError, match="ambiguous"):
        resolve(["N", "Val Loss", "VAL-LOSS"], {"loss": "val_loss"})
