"""Selections of pieces of text: what is kept, what is refused, what names it."""

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep import DataSpec, Mlp, RunSpec, load_data
from isoloss.sweep.data.pieces import cut_pieces, pieces


@pytest.fixture
def text(tmp_path):
    content = np.random.default_rng(0).integers(97, 123, size=2000).astype(np.uint8)
    (tmp_path / "a.txt").write_bytes(content.tobytes())
    np.save(tmp_path / "kept.npy", np.array([7, 2, 3]))
    return tmp_path


def spec(folder, name="kept.npy", piece=100):
    selection = str(folder / name) if name else None
    return DataSpec(name="text", path=str(folder / "a.txt"), selection=selection, piece=piece)


def test_kept_pieces_stand_in_order_and_the_next_byte_behind_them(text):
    whole, some = load_data(spec(text, None, 0)), load_data(spec(text))
    own = whole.train_x.tobytes()
    assert some.train_x.tobytes() == own[200:400] + own[700:801]
    assert some.test_x.tobytes() == whole.test_x.tobytes()
    assert "3 of 17 pieces" in some.notes[-1]
    rows = np.array([7, 2])
    assert cut_pieces(whole, 100, rows).tobytes() == own[700:800] + own[200:300]


def test_the_digest_knows_pieces_and_their_size(text):
    np.save(text / "mask.npy", np.isin(np.arange(17), [2, 3, 7]))
    np.save(text / "other.npy", np.array([2, 3, 8]))
    one, same, other = (load_data(spec(text, f"{n}.npy")) for n in ("kept", "mask", "other"))
    assert one.digest == same.digest
    # As many pieces (17) of another size: the size itself tells them apart.
    near = load_data(spec(text, piece=101))
    assert pieces(load_data(spec(text, None, 0)), 101) == 17
    assert len({one.digest, other.digest, near.digest, load_data(spec(text, None, 0)).digest}) == 4


@pytest.mark.parametrize(
    ("name", "piece", "why"),
    [("kept.npy", 0, "both or neither"), (None, 100, "both or neither"),
     ("kept.npy", 5000, "longer than"), ("kept.npy", 300, "id 7"), ("kept.npy", -1, "piece")],
)  # fmt: skip
def test_pieces_that_cannot_be_are_refused(text, name, piece, why):
    with pytest.raises(InputError, match=why):
        load_data(spec(text, name, piece))


def test_only_text_has_pieces_and_names_of_other_runs_stay():
    with pytest.raises(InputError, match="does not use it"):
        DataSpec(name="mnist1d", piece=10)
    plain = DataSpec(name="mnist1d")
    assert "piece" not in plain.to_dict()
    run = RunSpec(model=Mlp(width=4), data=plain, D=64, batch=8, lr=0.01)
    assert "piece" not in run.to_dict()["data"]
    assert run.record()["data"] == plain.record()
