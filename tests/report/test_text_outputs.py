import re

import numpy as np
import pytest

from isoloss.report import render_latex_table, render_markdown
from isoloss.report.latex import quote as latex_quote
from isoloss.report.markdown import quote as markdown_quote
from report.example import HOSTILE, example_study, variants


@pytest.mark.parametrize("name", sorted(variants()))
@pytest.mark.parametrize("render", [render_markdown, render_latex_table])
def test_every_variant_renders_without_bare_non_numbers(render, name):
    shown = render(variants()[name]())
    assert shown.endswith("\n")
    assert not re.search(r"(?<![\w.])(nan|inf|None|null)\b", shown)
    shown.encode("utf8")


def test_markdown_tables_keep_their_columns_under_hostile_names():
    shown = render_markdown(variants()["hostile"]())
    blocks = re.findall(r"(?:^\|.*\n)+", shown, re.M)
    assert len(blocks) >= 6
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_markdown_holds_no_html_of_the_study():
    shown = render_markdown(variants()["hostile"]())
    assert not re.search("[<>]", shown)
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_quotes_every_special_character(name):
    quoted = markdown_quote(name)
    assert "\n" not in quoted
    assert not re.search(r"(?<!\\)[`*_\[\]|~$]", quoted.replace("\\\\", ""))


def test_markdown_tells_parameters_and_intervals():
    study = example_study()
    shown = render_markdown(study)
    assert "| chinchilla | alpha | 0.3478 | 0.3235 – 0.3756 | 90 %, case bootstrap" in shown
    assert "**high**" in shown


def test_latex_braces_and_environments_balance_under_hostile_names():
    shown = render_latex_table(variants()["hostile"]())
    bare = shown.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    assert re.findall(r"\\begin\{(\w+)\}", shown) == ["table", "tabular"] * 2
    rows = [line for line in shown.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {5}


def test_latex_runs_no_command_of_the_study():
    assert latex_quote(r"\input{/etc/passwd}") == r"\textbackslash{}input\{/etc/passwd\}"
    ours = {"usepackage", "begin", "end", "centering", "caption", "toprule", "midrule",
            "bottomrule", "addlinespace", "times", "alpha", "beta", "gamma",
            "textbackslash", "textasciitilde", "textasciicircum",
            "textless", "textgreater", "textbar", "textquotedbl"}  # fmt: skip
    shown = render_latex_table(variants()["hostile"]())
    assert set(re.findall(r"\\([A-Za-z]+)", shown)) <= ours


def test_latex_table_holds_each_parameter():
    study = example_study()
    shown = render_latex_table(study)
    first, second = shown.split(r"\end{table}")[:2]
    rows = [line for line in first.splitlines() if line.endswith(r"\\")]
    assert len(rows) == sum(len(law["parameters"]) for law in study["laws"])
    assert r"$\alpha$ & $0.3478$ & [$0.3235$, $0.3756$] \\" in shown
    told = [line for line in second.splitlines() if line.endswith(r"\\")]
    assert len(told) == 2
    assert told[1].endswith(r"& over 99 \% & 1 \\")
    assert r"chinchilla\_tied $2.374$ [$2.200$, $2.600$]" in told[1]


def test_latex_has_one_table_without_runs_that_would_tell():
    shown = render_latex_table(example_study() | {"telling_runs": {"sentence": "No rival."}})
    assert shown.count(r"\begin{table}") == 1
    assert shown.endswith("\\end{table}\n")


def test_markdown_tells_which_run_would_tell():
    shown = render_markdown(example_study())
    part = shown[shown.index("## Which run would tell") : shown.index("## Influence")]
    assert "would tell chinchilla from chinchilla" in part
    rows = [line for line in part.splitlines() if line.startswith("| 10")]
    assert [row.split(" | ")[-2:] for row in rows] == [["41 %", "over 100 |"], ["over 99 %", "1 |"]]
    assert "chinchilla 2.329 (2.200 – 2.600)" in rows[0]


def test_markdown_puts_both_answers_side_by_side():
    shown = render_markdown(example_study())
    part = shown[shown.index("## Influence") : shown.index("## What limits")]
    assert "| C = 1e+21 | 12 | 2.101 (−4.2) | 8.8B (−4.2)" in part
    assert (part.count("**decides**"), part.count("**disagrees**")) == (1, 1)
    assert "N is the same in all runs" in part
    head = next(line for line in part.splitlines() if line.startswith("| Quantity"))
    assert [h.strip() for h in head.strip("|").split("|")][1:] == [
        "All runs", "Without the flagged run",
        "Without the largest budget (C = 1e+21, 12 runs)", "Without the smallest N",
    ]  # fmt: skip
    row = next(line for line in part.splitlines() if line.startswith("| E of chinchilla"))
    assert [c.split(" (")[0].strip() for c in row.strip("|").split("|")][1:] == [
        "1.820", "1.830", "1.760", "–",
    ]  # fmt: skip


def test_markdown_says_what_limits_the_largest_runs():
    study = example_study()
    shown = render_markdown(study)
    part = shown[shown.index("## What limits") : shown.index("## Checklist")]
    rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| sweep")]
    assert len(rows) == 20
    largest = study["runs"]["name"][int(np.argmax(study["runs"]["C"]))]
    assert rows[0][0].removeprefix("| ").replace("\\", "") == largest
    assert rows[0][2] == "93 %"


def test_markdown_leaves_out_what_the_study_lacks():
    study = example_study()
    for key in ("influence", "telling_runs", "regimes"):
        study[key] = None
    shown = render_markdown(study)
    assert "## Influence" not in shown
    assert "## Which run" not in shown
    assert "## What limits" not in shown
