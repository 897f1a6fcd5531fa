import subprocess
import sys

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep import Data, DataSpec, load_data
from isoloss.sweep.data import names
from isoloss.sweep.data.place import size_of
from isoloss.sweep.data.standard import digest_arrays, set_apart


def data(**fields):
    parts = {f"{part}_x": np.zeros((4, 3), np.float32) for part in ("train", "valid", "test")}
    parts |= {f"{part}_y": np.zeros(4, np.int64) for part in ("train", "valid", "test")}
    return Data(**({"kind": "classes", **parts, "outputs": 2, "digest": "0123456789"} | fields))


def test_a_line_says_what_the_data_are():
    assert repr(data()) == "Data(classes, 4 + 4 + 4 of 3, 2 outputs, 01234567)"
    assert (data().examples, data().features) == (4, (3,))


def test_parts_that_do_not_go_together_are_refused():
    with pytest.raises(InputError, match="valid: 4 inputs and 5 targets"):
        data(valid_y=np.zeros(5, np.int64))
    with pytest.raises(InputError, match="kind = 'class'"):
        data(kind="class")


@pytest.mark.parametrize(("n", "held"), [(10, 1), (1000, 100), (60_000, 5000)])
def test_rows_set_apart_are_the_last_of_a_permutation_and_meet_no_other(n, held):
    stay, leave = set_apart(n, held)
    assert (len(stay), len(leave)) == (n - held, held)
    assert np.array_equal(np.union1d(stay, leave), np.arange(n))
    assert (np.diff(stay) > 0).all()
    fewer = set_apart(n, held // 2 + 1)[1]
    assert set(fewer) <= set(leave)


def test_digests_know_shape_type_and_contents():
    a = np.arange(6, dtype=np.int64)
    others = [a.reshape(2, 3), a.astype(np.int32), a + 1, a[:5]]
    found = {digest_arrays([x]) for x in (a, *others)}
    assert len(found) == 5
    # The order in memory is no part of the contents.
    assert digest_arrays([a.reshape(2, 3).copy("F")]) == digest_arrays([a.reshape(2, 3)])
    assert digest_arrays([a[::1], a]) != digest_arrays([a])


def test_what_is_no_plain_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no plain file"):
        size_of(tmp_path)
    (tmp_path / "x").write_bytes(b"12345")
    with pytest.raises(InputError, match="5 bytes, more than the 4"):
        size_of(tmp_path / "x", 4)


def test_a_machine_without_pillow_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError, match="pip install pillow"):
        load_data(DataSpec(name="images", path=str(tmp_path)))


def test_a_grid_is_planned_without_what_only_loading_needs():
    code = (
        "import isoloss.sweep, isoloss.sweep.data, sys\n"
        "isoloss.sweep.data.names()\n"
        "print(*sorted({'torch', 'PIL', 'scipy.ndimage', 'mlxtend', 'mnist1d'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == ""


@pytest.mark.parametrize(
    ("fields", "piece"),
    [
        *(
            ({"name": name, "path": "a" * 5000}, "cannot be read|File name too long")
            for name in ("text", "images", "arrays", "mnist", "mnist-5k", "cifar10")
        ),
        ({"name": "mnist", "path": "~nobody-of-this-name/x"}, "not found in ~nobody"),
        ({"name": "text", "path": "/dev/zero"}, "is no folder"),
        ({"name": "mnist1d", "selection": "/dev/zero"}, "is no plain file"),
        ({"name": "mnist1d", "selection": "/"}, "cannot be read"),
        ({"name": "mnist1d", "selection": "b" * 5000}, "cannot be read"),
    ],
)
def test_places_that_cannot_be_are_named_and_raise_nothing_else(fields, piece):
    drawn = {"examples": 100} if fields["name"] == "mnist1d" else {}
    with pytest.raises(InputError, match=piece):
        load_data(DataSpec(**fields, **drawn))


def test_the_list_is_made_where_a_place_cannot_be_looked_at(monkeypatch):
    monkeypatch.setenv("ISOLOSS_DATA", "a" * 5000)
    assert not {found.name for found in names() if not found.present} & {"stdlib", "mnist1d"}
