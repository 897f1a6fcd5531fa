import copy
import json
from pathlib import Path

import pytest

from isoloss._core.serial import to_json
from isoloss.coverage import read_coverage, shipped_coverage, verify
from isoloss.coverage.page import render_markdown
from isoloss.coverage.result import content_digest, seal
from isoloss.errors import InputError

ROOT = Path(__file__).parents[2]


def write(folder, answers):
    path = folder / "changed.json"
    path.write_text(to_json(answers), encoding="utf8")
    return path


def leaves(value, path=()):
    if isinstance(value, dict):
        for k, v in value.items():
            yield from leaves(v, (*path, k))
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from leaves(v, (*path, i))
    else:
        yield path


def changed(answers, path):
    new = copy.deepcopy(answers)
    place = new
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    if isinstance(old, bool) or old is None:
        place[path[-1]] = not old
    elif isinstance(old, str):
        place[path[-1]] = old[:-1] + ("b" if old[-1:] != "b" else "a")
    else:
        place[path[-1]] = old * (1 + 1e-15) + (old == 0) or -1.0
    return new


def test_any_altered_value_is_seen(tiny, tmp_path):
    answers = tiny.to_dict()
    places = [p for p in leaves(answers) if changed(answers, p) != answers]
    # All but the few numbers that the smallest step does not move.
    assert len(places) > max(500, 0.95 * len(list(leaves(answers))))
    for place in places:
        other = changed(answers, place)
        assert content_digest(other) != other["sha256"], place
    for place in places[::100]:
        with pytest.raises(InputError, match=r"digest|schema"):
            read_coverage(write(tmp_path, changed(answers, place)))


def test_a_result_passes_its_own_check(tiny_folder):
    found = verify(tiny_folder / "coverage.json", sample=2)
    assert found.ok
    assert (found.rerun, found.differ) == (2, ())
    assert found.same_source
    assert found.same_libraries
    assert "2 of 2 repeats" in found.summary()


def resealed(tiny, tmp_path, change):
    answers = copy.deepcopy(tiny.to_dict())
    change(answers)
    return write(tmp_path, seal(answers))


def test_a_false_repeat_is_found_by_running_it_again(tiny, tmp_path):
    def lie(answers):
        answers["cells"][1]["digests"][1] = "0" * 16

    found = verify(resealed(tiny, tmp_path, lie), sample=99)
    assert found.rerun == 4
    assert found.differ == (f"{tiny.answers['cells'][1]['cell']} repeat 1",)
    assert not found.ok


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a["cells"][0]["scores"][0].update(hits="1"), "hits"),
        (lambda a: a["cells"][0]["scores"][0].update(hits="12"), "hits"),
        (lambda a: a["cells"][0]["scores"][0].update(covered=9), "does not follow"),
        (lambda a: a["cells"][0]["scores"][0].update(low=0.5), "does not follow"),
        (lambda a: a["summary"][0].update(covered=1, answered=1), "summary"),
        (lambda a: a["cells"][0]["digests"].pop(), "digests"),
        (lambda a: a.pop("timing"), "timing missing"),
        (lambda a: a.update(cells=3), "coverage|changed"),
        (lambda a: a["arguments"].update(draws=10**9), "draws"),
        (lambda a: a["arguments"].pop("seed"), "seed"),
        (lambda a: a.update(schema=2), "schema 2"),
    ],
)
def test_sums_that_do_not_add_up_are_refused(tiny, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        read_coverage(resealed(tiny, tmp_path, change))


def test_an_unknown_cell_cannot_be_run_again(tiny, tmp_path):
    def rename(answers):
        for line in (*answers["cells"], *(s["worst"] for s in answers["summary"])):
            line["cell"] = line["cell"].replace("chinchilla", "chin")

    path = resealed(tiny, tmp_path, rename)
    assert verify(path).ok
    with pytest.raises(InputError, match=r"chin/.*does not know"):
        verify(path, sample=99)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"sha256": NaN}', "\x00"])
def test_what_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "coverage.json"
    path.write_text(text, encoding="utf8")
    with pytest.raises(InputError, match=r"coverage\.json"):
        read_coverage(path)


def test_a_bad_sample_is_named(tiny_folder):
    with pytest.raises(InputError, match="sample = -1"):
        verify(tiny_folder / "coverage.json", sample=-1)


def test_another_source_is_said(tiny, tmp_path):
    path = resealed(tiny, tmp_path, lambda a: a.update(source="0" * 64))
    found = verify(path)
    assert not found.same_source
    assert "another source" in found.summary()


def test_the_shipped_result_is_whole_where_there_is_one():
    shipped = shipped_coverage()
    path = ROOT / "src" / "isoloss" / "data" / "coverage.json"
    assert (shipped is not None) == path.exists()
    if shipped is not None:
        assert shipped.complete
        assert shipped.answers["sha256"] in render_markdown(shipped.answers)


def test_the_page_shows_the_shipped_numbers_and_goes_without(tiny_folder, tmp_path, monkeypatch):
    import isoloss.coverage.check as module

    package = tmp_path / "isoloss"
    monkeypatch.setattr(module, "__file__", str(package / "coverage" / "check.py"))
    assert module.shipped_coverage() is None
    (package / "data").mkdir(parents=True)
    (package / "data" / "coverage.json").write_bytes((tiny_folder / "coverage.json").read_bytes())
    shipped = module.shipped_coverage()
    assert shipped is not None
    text = render_markdown(shipped.answers)
    assert (tiny_folder / "coverage.md").read_text("utf8").endswith(text)
    for cell in shipped.answers["cells"]:
        rows = {(r["target"], r["procedure"], r["quantity"]): r for r in cell["scores"]}
        row = rows["1e23", "set", "mean"]
        share = f"{row['coverage']:.2f} ({row['low']:.2f}-{row['high']:.2f})"
        line = f"| {cell['truth']} | {cell['design']} | {cell['noise']} | yes | 1e23 | {share} |"
        assert line in text


def test_every_key_of_the_file_is_explained(tiny):
    page = (ROOT / "docs" / "coverage.md").read_text("utf8")
    # Names that are data: of parameters, laws, designs.
    free = ("values", "at", "cpu_s_per_repeat")

    def keys(value):
        if isinstance(value, list):
            return {k for v in value for k in keys(v)}
        if isinstance(value, dict):
            inner = {k for n, v in value.items() if n not in free for k in keys(v)}
            return set(value) | inner
        return set()

    missing = {k for k in keys(tiny.to_dict()) if f"`{k}`" not in page}
    assert not missing


def test_the_answers_know_their_digest_from_outside(tiny_folder):
    """As the page says it: all but sha256, keys sorted, without spaces."""
    import hashlib

    answers = json.loads((tiny_folder / "coverage.json").read_text("utf8"))
    stated = answers.pop("sha256")
    text = json.dumps(answers, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == stated
    assert verify(tiny_folder / "coverage.json").sha256 == stated
