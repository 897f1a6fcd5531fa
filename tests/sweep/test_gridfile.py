import math
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.sweep import RunSpec, built_in_grids, grid, read_grid, spec_from

BASE = {
    "batch": 8,
    "lr": 0.01,
    "D": 1000,
    "model": {"kind": "mlp", "width": 8},
    "data": {"name": "mnist-5k"},
}


def with_(**changes):
    """The base with changes; those of model and data are added to what stands there."""
    made = BASE | changes
    for table in ("model", "data"):
        if isinstance(changes.get(table), dict):
            made[table] = BASE[table] | changes[table]
    return made


def test_a_grid_without_lists_is_one_run():
    assert grid(BASE) == [spec_from(BASE)]


def test_lists_are_axes_of_a_product():
    specs = grid(with_(model={"width": [8, 16, 32]}, seed=[0, 1], D=[1000, 2000]))
    assert {(s.model.width, s.seed, s.D) for s in specs} == {
        (w, s, d) for w in (8, 16, 32) for s in (0, 1) for d in (1000, 2000)
    }
    assert len(specs) == 12


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(1, 4))
def test_the_number_of_runs_is_the_product_of_distinct_points(widths, seeds):
    specs = grid(with_(model={"width": widths}, seed=list(range(seeds))))
    assert len(specs) == len(set(widths)) * seeds
    assert all(spec_from(s.to_dict()) == s for s in specs)


def test_blocks_add_up_override_and_count_equal_runs_once():
    specs = grid(
        with_(
            seed=[0, 1],
            grid=[
                {"model": {"width": [8, 16]}},
                {"model": {"width": 16}, "seed": [1, 2], "lr": 0.01},
            ],
            zip=[{"model": {"width": [64, 128]}, "D": [3000, 4000], "seed": 0}],
        )
    )
    assert Counter((s.model.width, s.seed, s.D) for s in specs) == {
        (8, 0, 1000): 1, (8, 1, 1000): 1, (16, 0, 1000): 1, (16, 1, 1000): 1, (16, 2, 1000): 1,
        (64, 0, 3000): 1, (128, 0, 4000): 1,
    }  # fmt: skip


def test_lists_of_a_zip_block_go_together_and_common_lists_beside_them():
    specs = grid(with_(seed=[0, 1], zip=[{"model": {"width": [8, 16]}, "lr": [0.1, 0.05]}]))
    assert [(s.seed, s.model.width, s.lr) for s in specs] == [
        (0, 8, 0.1), (0, 16, 0.05), (1, 8, 0.1), (1, 16, 0.05),
    ]  # fmt: skip


def test_another_kind_of_model_drops_the_common_shape():
    common = with_(model={"depth": 3})
    specs = grid(
        common | {"grid": [{}, {"model": {"kind": "random-features", "width": 50, "ridge": 1.0}}]}
    )
    assert [s.model.kind for s in specs] == ["mlp", "random-features"]


def test_expressions_read_other_fields_and_each_other():
    specs = grid(
        with_(
            model={"width": [8, 32]},
            lr="0.256 / width",
            D="20 * width**2",
            warmup="D / 150",
            data={
                "name": "teacher",
                "dimension": "width / 4",
                "teacher_width": 8,
                "teacher_depth": 1,
            },
        )
    )
    assert [(s.lr, s.D, s.warmup, s.data.dimension) for s in specs] == [
        (0.032, 1280, 9, 2), (0.008, 20480, 137, 8),
    ]  # fmt: skip


def test_tables_look_up_and_ranges_have_equal_ratios():
    (spec,) = grid(with_(model={"depth": {"by": "width", "8": 5, "16": 6}}))
    assert spec.model.depth == 5
    specs = grid(with_(D={"from": 256, "to": 65536, "count": 9}))
    assert [s.D for s in specs] == [256 * 2**i for i in range(9)]
    rates = [s.lr for s in grid(with_(lr={"from": 0.001, "to": 0.1, "count": 3}))]
    assert rates == pytest.approx([0.001, 0.01, 0.1])


def test_whole_numbers_may_be_written_as_floats():
    (spec,) = grid(with_(D=1.5e6, lr=1))
    assert (spec.D, type(spec.D), spec.lr) == (1_500_000, int, 1.0)


@pytest.mark.parametrize(
    ("changes", "piece"),
    [
        ({"width": 8}, r"width = 8: unknown field; .*write model.width"),
        ({"model": {"widht": 8}}, r"model.widht: unknown field; fields of model are .*width"),
        ({"model": {"heads": 2}}, "model.heads: unknown field"),
        ({"model": "mlp"}, r"model = 'mlp': write a table, \[model\]"),
        ({"model": {"kind": "mpl"}}, "model kind = 'mpl': must be one of"),
        ({"data": {"nam": "x"}}, "data.nam: unknown field"),
        ({"D": []}, r"D = \[\]: an empty list"),
        ({"D": [[1]]}, r"D = \[1\]: write a number"),
        ({"D": 10.5}, "D = 10.5: must be a whole number"),
        ({"D": math.inf}, "D = inf: must be a whole number"),
        ({"D": True}, "D = True: must be a number"),
        ({"D": [1000, 4]}, r"D = 4 gives 0 steps, .* \(in the run of D = 4\)"),
        ({"lr": math.nan}, "lr = nan"),
        ({"lr": "0.1 / wdth"}, "'wdth' is no field given in this grid; there are .*width"),
        ({"lr": "0.1 / "}, "lr = '0.1 / ': formula"),
        ({"lr": "name"}, "name = 'mnist-5k' is no number"),
        ({"lr": "exp(D)"}, "gives inf"),
        ({"lr": "__import__('os')"}, "unexpected character"),
        ({"lr": "D", "D": "lr"}, "each waits for another"),
        ({"lr": {"by": "width"}}, "no entry for width = 8; the table has none"),
        ({"lr": {"by": "wd", "8": 1}}, "'wd' is no field"),
        ({"lr": {"by": 8, "8": 1}}, "by = 8: name a field"),
        ({"lr": {"8": 1}}, "write { from = 256"),
        ({"D": {"from": 0, "to": 5, "count": 3}}, "from must be finite and positive"),
        ({"D": {"from": 1, "to": 5, "count": 10**9}}, "count must be"),
        ({"schedule": {"from": 1, "to": 5, "count": 2}}, "schedule is no number"),
        ({"schedule": 3}, "schedule = 3: must be a text"),
        ({"schedule": "lin"}, "schedule = 'lin': must be one of"),
        ({"grid": {"D": 5}}, r"write blocks, \[\[grid\]\]"),
        ({"zip": [{"D": [1000, 2000], "seed": [1, 2, 3]}]}, "D has 2, seed has 3; lists of a"),
        ({"grid": [{}, {"batch": 0}]}, r"\[\[grid\]\] 2: batch = 0"),
    ],
)
def test_mistakes_are_named_with_place_and_value(changes, piece):
    with pytest.raises(InputError, match=piece):
        grid(with_(**changes))


def test_a_grid_of_too_many_runs_is_refused_before_it_is_made():
    many = list(range(1000))
    with pytest.raises(InputError, match=r"1,000,000,000 runs, more than 20,000 .*shorten a list"):
        grid(with_(seed=many, D=[1000 + i for i in many], lr=[0.1 + i for i in many]))
    with pytest.raises(InputError, match="4 runs, more than 3"):
        grid(with_(seed=[0, 1, 2, 3]), max_runs=3)


def test_a_file_is_read_and_names_itself_in_errors(tmp_path: Path):
    path = tmp_path / "mine.toml"
    text = 'batch = 8\nlr = "0.1 / width"\nD = 1e3\nseed = [0, 1]\n'
    text += '[model]\nkind = "mlp"\nwidth = 8\n[data]\nname = "mnist-5k"\n'
    path.write_text(text)
    assert [s.seed for s in read_grid(path)] == [0, 1]
    for wrong, piece in (
        (text + "[[grid]]\nbatch = 0", r"mine.toml: \[\[grid\]\] 1: batch = 0"),
        ("batch = \n", "mine.toml: not valid TOML: .*line 1"),
        ("a = " + "[" * 5000, "not valid TOML"),
        ("x" * 2_000_000, "this is no grid"),
    ):
        path.write_text(wrong)
        with pytest.raises(InputError, match=piece):
            read_grid(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_grid(path)
    with pytest.raises(InputError, match=r"no built-in grid of that name .*quick.*stdlib"):
        read_grid("nowhere")


def test_every_built_in_grid_can_be_read_and_says_what_it_is():
    for name, text in built_in_grids().items():
        assert text.startswith("# "), name
        assert all(isinstance(spec, RunSpec) for spec in read_grid(name)), name


def test_the_grids_on_the_page_are_what_it_says():
    page = Path(__file__).parents[2] / "docs" / "sweeps.md"
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text("utf8"), re.S)
    assert [len(grid(tomllib.loads(block))) for block in blocks] == [36, 14, 132]


def test_the_grid_of_the_standard_library_is_the_one_described():
    specs = read_grid("stdlib")
    shapes = {s.model.width: (s.model.depth, s.model.heads) for s in specs}
    assert shapes == {
        12: (2, 1), 16: (2, 1), 24: (2, 2), 32: (2, 2), 40: (3, 2), 48: (3, 3), 64: (3, 4),
        96: (4, 6), 128: (5, 8), 192: (6, 12),
    }  # fmt: skip
    seeds = Counter((s.model.width, s.D) for s in specs)
    for width in shapes:
        count = 3 if width <= 24 else 2 if width <= 40 else 1
        assert {n for (w, _), n in seeds.items() if w == width} == {count}, width
    millions = sorted(s.D / 1e6 for s in specs if s.model.width == 40 and s.seed == 1)
    assert millions == [1, 1.5, 2, 3, 4, 6, 8]
    hidden = {(s.model.width, s.D) for s in specs if s.model.width > 96}
    assert hidden == {(128, 4_000_000), (128, 8_000_000), (192, 5_000_000)}
    for s in specs:
        assert (s.schedule, s.decay, s.batch, s.model.context, s.warmup) == (
            "wsd",
            0.2,
            4,
            128,
            100,
        )
        assert s.lr == pytest.approx(0.256 / s.model.width)
