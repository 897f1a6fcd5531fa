import hashlib
import json

import pytest

from isoloss.errors import InputError
from isoloss.study.sealed import read_sealed
from isoloss.study.sealed.file import MAX_BYTES
from study.sealing import answers, forecast, forged, plain_file


@pytest.fixture
def path(tmp_path):
    return forecast().write(tmp_path / "f.json")


def test_a_file_comes_back_as_it_was_written(path):
    back = read_sealed(path)
    assert back.answers == forecast().answers
    assert back.sha256 == forecast().sha256
    assert path.read_bytes() == forecast().write(path.with_name("again.json")).read_bytes()


def test_the_hash_can_be_computed_without_us(path):
    def whole(v):
        if isinstance(v, float) and v == int(v):
            return int(v)
        if isinstance(v, list):
            return [whole(x) for x in v]
        return {k: whole(x) for k, x in v.items()} if isinstance(v, dict) else v

    content = json.loads(path.read_text("utf8"))
    stated = content.pop("sha256")
    text = json.dumps(whole(content), sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == stated


def test_order_of_keys_spaces_and_whole_numbers_are_not_content(tmp_path):
    def turned(v):
        if isinstance(v, dict):
            return {k: turned(v[k]) for k in reversed(v)}
        if isinstance(v, list):
            return [turned(x) for x in v]
        return int(v) if isinstance(v, float) and v.is_integer() else v

    changed = turned(answers())
    assert list(changed) != list(answers())
    assert read_sealed(plain_file(tmp_path, changed)).sha256 == forecast().sha256


def changes():
    def digit(a):
        a["points"][0]["loss"] += 1e-12

    def quantile(a):
        a["points"][1]["quantiles"]["new_run"][0] *= 0.99

    def note(a):
        a["note"] += "."

    def time(a):
        a["made"]["time_utc"] = "2020-01-01T00:00:00Z"

    def extra(a):
        a["points"][0]["comment"] = "as agreed"

    def outside(a):
        a["comment"] = None

    def fewer(a):
        del a["points"][1]

    def order(a):
        a["points"].reverse()

    return [digit, quantile, note, time, extra, outside, fewer, order]


@pytest.mark.parametrize("change", changes(), ids=lambda f: f.__name__)
def test_any_change_is_seen(change, tmp_path):
    content = answers()
    change(content)
    with pytest.raises(InputError, match="was changed after it was sealed"):
        read_sealed(plain_file(tmp_path, content))


def test_a_key_given_twice_is_refused(path):
    # Python would read the second, another program the first.
    text = path.read_text("utf8").replace('"note":', '"note": "other", "note":', 1)
    path.write_text(text, "utf8")
    with pytest.raises(InputError, match="a key stands twice"):
        read_sealed(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"kind": "isoloss sealed forecast", "x": NaN}', "NaN is no JSON"),
        ('{"x": 1e999}', "beyond 1.8e308"),
        ('{"x": ' + "9" * 5000 + "}", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"a": ' * 5000 + "1" + "}" * 5000, "forecast|JSON"),
        ("[1, 2]", "no object"),
        ("{}", "no sealed forecast"),
        ('{"kind": "isoloss sealed forecast", "schema": 1, "sha256": 3}', "no sealed forecast"),
        ('{"kind": "isoloss sealed forecast", "schema": 99, "sha256": "a"}', "schema '99'"),
        ("", "cannot be read as JSON"),
        ("N,D,loss\n1,2,3\n", "cannot be read as JSON"),
        ("\x00\xff", "cannot be read as JSON"),
    ],
)
def test_what_is_no_sealed_forecast_is_refused(tmp_path, text, said):
    path = tmp_path / "bad.json"
    path.write_text(text, "utf8")
    with pytest.raises(InputError, match=said):
        read_sealed(path)


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(100 * MAX_BYTES)
    with pytest.raises(InputError, match="larger than"):
        read_sealed(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_sealed(tmp_path)


def spoilt():
    def drop(name):
        return lambda a: a.pop(name)

    def points(value):
        return lambda a: a.update(points=value)

    def point(name, value):
        return lambda a: a["points"][0].update({name: value})

    def quantiles(name, change):
        def apply(a):
            q = a["points"][0]["quantiles"]
            q[name] = change(q[name])

        return apply

    return {
        "no runs": (drop("runs"), "'runs' is missing"),
        "no points": (points([]), "points: must be a list"),
        "too many points": (points([{}] * 1001), "points: must be a list"),
        "a point of another kind": (points([3]), "points\\[0\\]"),
        "negative loss": (point("loss", -1.0), "positive"),
        "true for a number": (point("loss", True), "must be a number"),
        "a huge whole number": (point("loss", 10**400), "must be finite"),
        "text for a number": (point("reach", "far"), "must be a number"),
        "no axis": (point("at", {"D": 1e9}), "'N' is missing"),
        "falling quantiles": (quantiles("mean", lambda v: v[::-1]), "must not fall"),
        "short quantiles": (quantiles("mean", lambda v: v[:-1]), "one length"),
        "null quantile": (quantiles("new_run", lambda v: [None, *v[1:]]), "must be a number"),
        "lopsided": (quantiles("probability", lambda v: [v[0] / 2, *v[1:]]), "must rise"),
        "baselines": (point("baselines", {"last_run": {"loss": 0}}), "positive"),
        "draws": (lambda a: a["options"].update(draws=10**9), "draws = "),
        "time": (lambda a: a["made"].update(time_utc="yesterday"), "must look like"),
        "axes": (lambda a: a.update(axes=[]), "axes"),
        "digest": (lambda a: a["runs"].update(digest="../x"), "64 hex"),
        "conventions": (lambda a: a["runs"]["conventions"].pop("N"), "'N' is missing"),
    }


@pytest.mark.parametrize("kind", spoilt())
def test_a_right_hash_is_no_proof_of_a_right_file(kind, tmp_path):
    change, said = spoilt()[kind]
    content = answers()
    change(content)
    with pytest.raises(InputError, match=said):
        read_sealed(forged(tmp_path, content))


def test_texts_of_strangers_are_cleaned_where_people_read_them(tmp_path):
    content = answers()
    content["note"] = "\x1b[31mred\x07 <script>alert(1)</script>"
    content["runs"]["source"] = "a\x1b]0;title\x07b\nc"
    back = read_sealed(forged(tmp_path, content))
    assert back.summary().isascii()
    assert not any(ord(c) < 32 for c in back.summary().replace("\n", ""))
    assert "<script" not in back._repr_html_()
    assert "&lt;script" in back._repr_html_()
