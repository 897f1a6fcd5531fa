import subprocess
import sys

import pytest

HEAVY = ("numpy", "scipy", "torch", "matplotlib", "click", "rich", "pandas", "polars", "pyarrow")
ROOMS = ("_core", "theory", "laws", "runs", "fit", "spectra", "plan", "prune", "plot", "sweep",
         "report", "study", "coverage", "cli")  # fmt: skip


def python(code: str, *, hidden: tuple[str, ...] = ()) -> str:
    """What another interpreter prints, with some packages not to be found."""
    start = f"import sys; sys.path[:] = {sys.path!r}\n"
    start += "".join(f"sys.modules[{name!r}] = None\n" for name in hidden)
    done = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(names: tuple[str, ...]) -> str:
    return f"print(*[n for n in {names!r} if n in sys.modules])"


def test_importing_the_package_imports_nothing_heavy():
    assert python(f"import isoloss; dir(isoloss); {loaded(HEAVY)}").split() == []
    # The check itself sees what is imported.
    assert python(f"import isoloss; isoloss.Interval; {loaded(HEAVY)}").split() == ["numpy"]


def test_help_imports_no_engine():
    code = "from isoloss.cli import main\nmain(['--help'], standalone_mode=False)\n"
    names = ("numpy", "scipy", "torch", "matplotlib", "pandas", "polars", "pyarrow")
    shown = python(f"{code}print('imported:', end=' '); {loaded(names)}")
    assert shown.splitlines()[-1].strip() == "imported:"
    assert "forecast" in shown


def test_fitting_and_planning_import_neither_torch_nor_matplotlib_nor_click():
    code = """
import isoloss
columns = {"N": [1e7, 2e7, 4e7] * 4, "D": [v for v in (1e8, 2e8, 4e8, 8e8) for _ in "abc"]}
columns["loss"] = [1 + 9 * n**-0.1 + 9 * d**-0.1 for n, d in zip(columns["N"], columns["D"])]
isoloss.study(columns, laws=["chinchilla"], draws=0)
"""
    names = ("torch", "matplotlib", "click", "rich", "pandas", "polars", "pyarrow")
    assert python(code + loaded(names)).split() == []


def test_every_room_imports_without_the_extras():
    code = "".join(f"import isoloss.{room}\n" for room in ROOMS)
    assert python(code + "print('fine')", hidden=("matplotlib", "pyarrow", "torch")) == "fine\n"


@pytest.mark.parametrize(
    ("package", "extra", "code"),
    [
        (
            "matplotlib",
            "plot",
            "from isoloss.plot import draw_weights\ndraw_weights({'laws': [{'law': 'a', "
            "'weight': 1.0}]})",
        ),
        (
            "pyarrow",
            "parquet",
            "import io, isoloss\nisoloss.read_runs(io.BytesIO(b'PAR1' + bytes(64) + b'PAR1'))",
        ),
        (
            "torch",
            "train",
            "from pathlib import Path\nfrom isoloss.sweep import read_grid, run_sweep\n"
            "run_sweep(read_grid('quick')[:1], Path('never-written.jsonl'))",
        ),
    ],
)
def test_what_needs_an_extra_names_it(package, extra, code):
    body = code.replace("\n", "\n    ")
    guarded = (
        "from isoloss.errors import MissingExtra\n"
        f"try:\n    {body}\nexcept MissingExtra as error:\n    print(error)\n"
    )
    shown = python(guarded, hidden=(package,))
    assert package in shown
    assert f"pip install 'isoloss[{extra}]'" in shown


def test_a_study_without_matplotlib_leaves_out_the_figures_alone(tmp_path):
    path = tmp_path / "runs.csv"
    rows = [
        f"{n},{d},{1 + 9 * n**-0.1 + 9 * d**-0.1!r}"
        for n in (1e7, 2e7, 4e7)
        for d in (1e8, 2e8, 4e8, 8e8)
    ]
    path.write_text("N,D,loss\n" + "\n".join(rows) + "\n")
    words = ["study", str(path), "--out", str(tmp_path / "out"), "--law", "chinchilla"]
    code = (
        "from isoloss.cli import main\n"
        f"try:\n    main({[*words, '--draws', '0']!r})\n"
        "except SystemExit as end:\n    print('exit', end.code)\n"
    )
    assert python(code, hidden=("matplotlib", "pyarrow", "torch")).split()[-1] in ("0", "3")
    names = {p.name for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert {"report.html", "report.md", "laws.tex", "study.json"} <= names
