"""The pages say what the code does: examples run, and names, options and codes are complete."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from isoloss.cli import main
from isoloss.laws import PUBLISHED, law_names

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "isoloss"
PAGES = [
    p
    for p in (*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md")
    if p.exists()
]
CODE_PAGES = (
    "fitting", "regression", "forecasting", "planning", "theory", "pruned-perceptron", "data",
    "coverage", "importing", "pruning-verdict", "design-of-runs", "schedules", "watching",
    "comparing", "next-runs",
)  # fmt: skip
_FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


console, tables = load("console"), load("tables")


def examples(text: str) -> str:
    """Python blocks alone, on their own lines, so that a failure names the right line."""
    kept, end = [], 0
    for match in _FENCE.finditer(text):
        kept.append("\n" * text.count("\n", end, match.start(1)) + match[1])
        end = match.end(1)
    return "".join(kept)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = examples(page.read_text("utf8"))
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    if not test.examples:
        pytest.skip("no runnable example")
    shutil.copytree(DOCS / "examples", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.DocTestRunner(optionflags=flags).run(test, out=printed.append)
    assert result.failed == 0, "".join(printed)


# Commands of these stand on the files that those before them wrote.
WALKS = [p for p in PAGES if p.name == "walk.md"]


def shown() -> list[object]:
    found: list[object] = []
    for page in PAGES:
        if page in WALKS:
            continue
        for command, output in console.blocks(page.read_text("utf8")):
            slow = not command.startswith(("isoloss fit", "isoloss laws"))
            marks = [pytest.mark.slow] if slow else []
            found.append(pytest.param(command, output, id=command, marks=marks))
    return found


@pytest.mark.parametrize(("command", "output"), shown())
def test_shown_outputs_are_what_is_printed(command: str, output: str) -> None:
    with console.scratch_folder() as folder:
        printed = console.output(command, folder)
    compare(printed, output)


def compare(printed: str, output: str) -> None:
    printed, output = console.lasting(printed), console.lasting(output)
    number = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
    assert number.sub("#", printed) == number.sub("#", output)
    # The last digits of resampled numbers differ between machines.
    for ours, theirs in zip(number.findall(printed), number.findall(output), strict=True):
        assert float(ours) == pytest.approx(float(theirs), rel=0.05, abs=2e-3), (ours, theirs)


@pytest.mark.parametrize("page", WALKS, ids=lambda p: p.name)
def test_a_walk_can_be_walked(page: Path) -> None:
    with console.scratch_folder() as folder:
        for command, output in console.blocks(page.read_text("utf8")):
            compare(console.output(command, folder), output)


def options() -> dict[str, set[str]]:
    """Long and short options of every command."""
    assert isinstance(main, click.Group)
    context = click.Context(main)
    found: dict[str, set[str]] = {}
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        inner = [command]
        if isinstance(command, click.Group):
            inner += [command.commands[n] for n in command.list_commands(context)]
        found[name] = {
            o for c in inner for p in c.params if isinstance(p, click.Option) for o in p.opts
        }
    return found


SHARED = {"--columns", "--units", "--where", "--axis", "--level", "--draws", "--seed", "--json"}


def test_cli_page_names_every_command_and_option_and_no_other() -> None:
    page = (DOCS / "cli.md").read_text("utf8")
    known = options()
    assert set(re.findall(r"`isoloss ([a-z]+)", page)) == set(known)
    # Theory has a page of its own.
    everything = set().union(*(known[n] for n in known if n != "theory"))
    assert named(page) - {"--help", "--version"} == everything
    sections = dict(re.findall(r"^## `isoloss ([a-z]+)[^\n]*\n(.*?)(?=^\(|\Z)", page, re.M | re.S))
    assert set(sections) == set(known)
    for name, text in sections.items():
        if name != "theory":
            described(name, rows(text), known[name], SHARED)


def test_theory_page_names_every_model_and_option_and_no_other() -> None:
    page = (DOCS / "cli-theory.md").read_text("utf8")
    head, *parts = re.split(r"^## `isoloss theory ([a-z-]+)[^\n]*\n", page, flags=re.M)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    group = main.get_command(click.Context(main), "theory")
    assert isinstance(group, click.Group)
    assert set(sections) == set(group.commands)
    assert set(re.findall(r"^\| `([a-z-]+)", cli_section("theory"), re.M)) <= set(group.commands)
    for name, command in group.commands.items():
        known = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
        assert named(sections[name]) - rows(head) <= known, name
        described(name, rows(sections[name]), known, rows(head) | SHARED)


def cli_section(name: str) -> str:
    page = (DOCS / "cli.md").read_text("utf8")
    return page.partition(f"({name})=")[2].partition("\n(")[0]


def named(page: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[A-Za-z][A-Za-z0-9-]*", page))


def rows(text: str) -> set[str]:
    return set(re.findall(r"^\| `(--[A-Za-z0-9-]+)", text, re.M))


def described(name: str, own: set[str], known: set[str], elsewhere: set[str]) -> None:
    assert own <= known, f"{name}: {own - known} does not exist"
    assert known - elsewhere <= own, f"{name}: {known - elsewhere - own} is not described"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_in_pages_exist(page: Path) -> None:
    known = options()
    for name, rest in re.findall(
        r"^(?:\$ )?(?:\S+ \| )?isoloss ([a-z]+)(.*)$", page.read_text("utf8"), re.M
    ):
        if name == "study" or name in known:
            used = set(re.findall(r"(?<![\w-])--[A-Za-z][A-Za-z0-9-]*", rest.partition("#")[0]))
            assert used <= known[name] | {"--help"}, (name, used - known[name])
        else:
            pytest.fail(f"no command {name}")


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "runs.csv"],
        ["forecast", "runs.csv", "--at", "N=1e9,D=2e10", "--law", "chinchilla"],
        ["plan", "runs.csv", "--budget", "1e20", "--law", "chinchilla"],
        ["next", "runs.csv", "--goal", "loss@C=1e20", "--budget", "1e18", "--law", "chinchilla"],
        pytest.param(["study", "runs.csv", "--law", "chinchilla"], marks=pytest.mark.slow),
    ],
    ids=lambda words: words[0],
)
def test_cli_page_names_every_json_key(words: list[str]) -> None:
    page = (DOCS / "cli.md").read_text("utf8")
    with console.scratch_folder():
        result = CliRunner().invoke(main, [*words, "--draws", "20", "--json"])
    for key in json.loads(result.stdout):
        assert f"`{key}`" in page, key


def test_laws_page_shows_every_law_and_constant() -> None:
    page = tables.fill((DOCS / "laws.md").read_text("utf8"))
    for name in (*law_names(), *PUBLISHED):
        assert f"### {name}\n" in page
    assert "<!-- table: laws -->\n\n### chinchilla\n\n```text\nE + A*N**-alpha" in page


def test_every_table_mark_is_known() -> None:
    for page in DOCS.glob("*.md"):
        text = page.read_text("utf8")
        assert text.count("<!-- table:") == len(tables._MARK.findall(text)), page.name
        tables.fill(text)


def codes() -> set[str]:
    """Reason codes that the source can give: texts in capitals that are passed on or returned.

    Not those that are only compared with, looked up by, asked of the environment, or names of
    public things; commands, laws and readers of data sets give none of their own.
    """
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if path.parent.name in ("cli", "laws", "data"):
            continue
        nodes = list(ast.walk(ast.parse(path.read_text("utf8"))))
        passed_over: list[ast.AST] = []
        for node in nodes:
            if isinstance(node, ast.Compare):
                passed_over.append(node)
            elif isinstance(node, ast.Dict):
                passed_over += [key for key in node.keys if key is not None]
            elif isinstance(node, ast.arguments):
                passed_over += node.defaults
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "os.environ.get":
                passed_over += node.args
            elif isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id in ("__all__", "_HOME") for t in node.targets
            ):
                passed_over.append(node)
        hidden = {id(inner) for node in passed_over for inner in ast.walk(node)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                if id(node) not in hidden and re.fullmatch(r"[A-Z]{3,}|[A-Z]+(_[A-Z]+)+", text):
                    found.add(text)
    return found


def test_every_reason_code_is_explained() -> None:
    text = "".join((DOCS / f"{name}.md").read_text("utf8") for name in CODE_PAGES)
    found = codes()
    assert {"BOUND_HIT", "DUPLICATE", "NO_INTERIOR_OPTIMUM", "FAR_BEYOND"} <= found
    missing = sorted(c for c in found if f"`{c}`" not in text)
    assert not missing, f"not in docs/{{{','.join(CODE_PAGES)}}}.md: {missing}"


def test_no_code_is_explained_that_does_not_exist() -> None:
    source = "".join(p.read_text("utf8") for p in SOURCE.rglob("*.py"))
    for name in CODE_PAGES:
        rows = re.findall(r"^\| (`[A-Z][^|]*)\|", (DOCS / f"{name}.md").read_text("utf8"), re.M)
        for code in re.findall(r"`([A-Z]{3,}|[A-Z]+(?:_[A-Z]+)+)`", " ".join(rows)):
            stem = re.sub(r"^(DERIVED|UNITS)_[NDC]$", r"\1_", code)
            assert stem in source, f"{name}.md explains {code}"
