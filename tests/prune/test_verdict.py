import csv
import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import FitError, InputError
from isoloss.prune import judge_metrics, judge_pilots
from isoloss.prune.verdict_forms import Design, columns, make_law
from isoloss.theory import pruned_perceptron
from prune.exact_form import exact_columns, perceptron_law

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "memorization-drop-curves" / "test_accuracy_runs.csv"


def made(worth, *, noise=0.01, seeds=3, sizes=(500, 1000, 2000, 4000), keeps=(0.6, 0.3), rng=0,
         random=None, policies=("hard", "easy"), **columns_of):  # fmt: skip
    """Pilots of a law: `worth(policy, cut, D)` is the log of what an example is worth."""
    curve = random or (lambda D: 0.05 + 12 * D**-0.5)
    normal, rows = np.random.default_rng(rng), defaultdict(list)
    for D in sizes:
        for policy, keep in [("random", 1.0), *((p, k) for p in policies for k in keeps)]:
            m = 0.0 if keep == 1 else worth(policy, -math.log(keep), D)
            for s in range(seeds):
                row = {"policy": policy, "keep": keep, "D": D, "pool": round(D / keep), "seed": s}
                row["loss"] = curve(D * math.exp(m)) * math.exp(noise * normal.standard_normal())
                row |= {name: f(policy, keep, D) for name, f in columns_of.items()}
                for name, value in row.items():
                    rows[name].append(value)
    return rows


def steady(policy, cut, D):
    return 0.7 * cut if policy == "hard" else -0.5 * cut


def crossing(policy, cut, D):
    return 0.5 * cut * math.log(D / 1500) if policy == "hard" else -0.1 * cut


def useless(policy, cut, D):
    return 0.0


@pytest.fixture(scope="module")
def hard():
    return judge_pilots(
        made(
            steady, seen=lambda p, k, D: 2 * D, flops=lambda p, k, D: 20 * D,
            score_flops=lambda p, k, D: 3 * D / k,
            worst_error=lambda p, k, D: 0.3 * D**-0.2 * (2 if p == "hard" and k < 1 else 1)
            * (1 + 0.01 * math.sin(D + 7 * k)),
        ),
        budget=16000, draws=80,
    )  # fmt: skip


def test_forms_return_to_the_random_law_where_all_is_kept():
    designs = [Design(policy=p, curved=True, scaled=True) for p in ("hard", "easy")]
    x = np.array([0.3, 1.0, 4.0])
    rng = np.random.default_rng(0)
    for worth in ("constant", "drift", "pool", "floor"):
        law = make_law("power", worth, designs)
        theta = rng.uniform(0.2, 1.0, len(law.names))
        for policy in ("hard", "easy"):
            kept = law(theta, {a: columns(x, policy, np.ones(3), designs)[a] for a in law.axes})
            base = theta[0] + theta[1] * x ** -theta[2]
            if worth == "pool":
                kept = law(theta, {a: columns(x, "none", np.ones(3), designs)[a] for a in law.axes})
            assert kept == pytest.approx(base, rel=1e-12)


def test_worths_are_the_formulas():
    designs = [Design(policy="hard", curved=True, scaled=True)]
    table = columns(np.array([3.0]), "hard", np.array([0.25]), designs)
    values = {"E": 0.1, "B": 2.0, "beta": 0.5, "u_hard": 0.3, "w_hard": -0.1, "v_hard": 0.4}
    cut, law = math.log(4), make_law("power", "drift", designs)
    m = math.exp(0.3 * cut - 0.1 * cut**2 + 0.4 * cut * math.log(3))
    found = law(values, {a: table[a] for a in law.axes})
    assert found[0] == pytest.approx(0.1 + 2 / math.sqrt(3 * m))
    pool = make_law("power", "pool", designs)
    values |= {"v_hard": 40.0}
    capped = pool(values, {a: table[a] for a in pool.axes})[0]
    assert capped == pytest.approx(0.1 + 2 / math.sqrt(3 * 4), rel=1e-9)


def test_the_exact_form_is_the_theory():
    designs = [Design(policy=p, curved=True, scaled=True) for p in ("hard", "easy")]
    law = perceptron_law(designs)
    values = {"E": 0.0, "A": 1.0, "M": 1.0, "theta": 0.3}
    for policy, keep in (("hard", 0.4), ("easy", 0.4), ("none", 1.0)):
        table = exact_columns(np.array([0.7, 3.0]), policy, np.array([keep, keep]), designs)
        word = "random" if policy == "none" else policy
        exact = pruned_perceptron([0.7, 3.0], keep, 0.3, keep=word).eps
        assert law(values, {a: table[a] for a in law.axes}) == pytest.approx(exact, rel=2e-4)


def test_a_score_that_helps(hard):
    assert (hard.answer, hard.policy("easy").finding) == ("hard", "worse")
    keep = 0.3
    m = math.exp(0.7 * -math.log(keep))
    assert hard.question.D == 8000
    true = 0.05 + 12 * (8000 * m) ** -0.5
    base = 0.05 + 12 * 8000**-0.5
    assert true in hard.loss.interval
    assert base in hard.loss_none.interval
    assert 1 - true / base in hard.gain.interval
    assert m in hard.multiplier.interval
    assert 0.3 in hard.keep.interval
    assert hard.frontier.difference.interval.low <= 0.01
    assert "smallest that was piloted" in " ".join(hard.notes)


def test_break_even_is_the_arithmetic_of_what_an_example_is_worth(hard):
    found, m = hard.break_even, hard.multiplier
    assert (found.unit, found.train) == ("flops", 20.0)
    assert found.score == pytest.approx(3, rel=1e-3)
    keep = hard.keep.value
    for end, other in ((m.interval.low, found.trainings.interval.high),
                       (m.interval.high, found.trainings.interval.low)):  # fmt: skip
        assert 3 / keep / (20 * (end - 1)) == pytest.approx(other, rel=0.02)
    assert found.multiplier.value == pytest.approx(m.value / (1 + 3 / keep / 20), rel=0.02)


def test_the_worst_class_is_watched(hard):
    found = next(w for w in hard.worst_class if w.policy == "hard")
    assert found.ratio.interval.low > 1
    assert "WORST_CLASS" in [r.code for r in hard.reasons]
    assert hard.status == "suspect"
    with pytest.raises(FitError):
        hard.require()


def test_what_a_picture_needs(hard):
    assert {(c.policy, c.keep) for c in hard.curves} >= {
        ("none", 1.0),
        ("hard", 0.3),
        ("easy", 0.6),
    }
    for c in hard.curves:
        assert (c.low <= c.loss * 1.0001).all()
        assert (c.loss <= c.high * 1.0001).all()
    assert len(hard.points) == 20
    assert hard.frontier.D.shape == hard.frontier.loss.shape == hard.frontier.keep.shape
    text = json.dumps(hard.to_dict(), allow_nan=False)
    assert json.loads(text)["answer"] == "hard"
    assert "keep the hardest" in hard.summary()
    assert repr(hard).startswith("Verdict(hard, keep 0.3")


def test_a_score_that_harms_is_not_used():
    found = judge_pilots(made(lambda p, cut, D: -0.6 * cut), budget=8000, draws=80)
    assert (found.answer, found.status) == ("none", "ok")


def test_a_useless_score_has_no_verdict_and_a_next_pilot():
    found = judge_pilots(made(useless, rng=3), budget=12000, draws=80)
    assert (found.answer, found.status) == ("no verdict", "refused")
    assert found.reasons[0].code == "OVERLAP"
    assert found.next_pilots[0].narrows_to < 1
    assert "train 3 seeds" in found.next_pilots[0].sentence
    assert all(0 in g.interval for p in found.policies for g in p.gains)


def test_crossovers_are_found_where_they_are():
    found = judge_pilots(made(crossing, noise=0.005), budget=8000, draws=80)
    over = [c for c in found.crossovers if (c.winner, c.loser) == ("hard", "random")]
    assert len(over) == 2
    for c in over:
        assert 1500 in c.D.interval
        assert c.D.interval.low > 1000
        assert c.D.interval.high < 2500
        assert c.pool.value == pytest.approx(c.D.value / c.keep)


@pytest.mark.slow
def test_pools_ask_about_all_of_them():
    found = judge_pilots(made(steady), pool=10000, tol=0.05, draws=80)
    assert found.question.D_none == 10000
    p = found.policy("hard")
    assert p.gain.value < 0
    # A share k is worth k^0.3 of the pool.
    edge = ((12 / (1.05 * (0.05 + 0.12) - 0.05)) ** 2 / 10000) ** (1 / 0.3)
    assert p.lossless.interval.low * 0.97 <= edge <= p.lossless.interval.high * 1.03
    both = judge_pilots(made(steady), pool=10000, budget=5000, draws=80)
    assert both.policy("hard").D == 5000 if both.policy("hard").keep.value > 0.5 else True
    assert both.question.kept(0.3) == 3000


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"sizes": (500, 1000)}, "TOO_FEW_SIZES"),
        ({"seeds": 1}, "ONE_SEED"),
        ({"sizes": (500, 1000, 2000), "policies": ("hard",), "keeps": (0.5,)}, "TOO_FEW_SETTINGS"),
    ],
)
def test_pilots_that_cannot_tell(options, code):
    found = judge_pilots(made(steady, **options), budget=8000, draws=80)
    assert (found.answer, found.status) == ("no verdict", "refused")
    assert code in [r.code for r in found.reasons]


def test_one_policy_at_one_size_is_not_believed_elsewhere():
    rows = made(steady, keeps=(0.8, 0.6, 0.4, 0.3), policies=("hard",))
    part = [i for i, (p, D) in enumerate(zip(rows["policy"], rows["D"], strict=True))
            if p == "random" or D == 2000]  # fmt: skip
    some = {k: [v[i] for i in part] for k, v in rows.items()}
    assert judge_pilots(some, budget=2000, draws=80).answer == "hard"
    far = judge_pilots(some, budget=16000, draws=80)
    assert (far.answer, far.reasons[0].code) == ("no verdict", "ONE_SIZE")
    assert "easy was not piloted" in " ".join(far.notes)


@pytest.mark.slow
def test_rows_in_any_order_and_units_of_loss():
    rows = made(steady)
    first = judge_pilots(rows, budget=8000, draws=60)
    order = np.random.default_rng(1).permutation(len(rows["D"]))
    turned = {k: [v[i] for i in order] for k, v in rows.items()}
    turned["loss"] = [7 * v for v in turned["loss"]]
    again = judge_pilots(turned, budget=8000, draws=60)
    assert again.answer == first.answer
    assert again.gain.value == pytest.approx(first.gain.value, rel=1e-6)
    assert again.loss.value == pytest.approx(7 * first.loss.value, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "both are missing"),
        ({"budget": -1.0}, "budget"),
        ({"budget": 0.5}, "less than one"),
        ({"budget": 5, "unit": "hours"}, "seen"),
        ({"budget": 5, "unit": "flops"}, "no column flops"),
        ({"pool": 1e4, "level": 2.0}, "level"),
        ({"pool": 1e4, "draws": 3}, "draws"),
        ({"pool": 1e4, "outcome": "error"}, "the table has loss"),
        ({"pool": 1e4, "metric": "x"}, "no pruned row"),
        ({"pool": 1e4, "score_cost": -1.0}, "score_cost"),
    ],
)
def test_bad_questions(options, words):
    with pytest.raises(InputError, match=words):
        judge_pilots(made(steady), **options)


def test_nothing_pruned():
    with pytest.raises(InputError, match="no row prunes"):
        judge_pilots(made(steady, policies=()), pool=1e4)


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows)
        writer.writerows(zip(*rows.values(), strict=True))
    return path


def test_command(tmp_path):
    rows = made(steady, sizes=(500, 1000, 2000), policies=("hard",))
    rows["metric"] = ["" if p == "random" else "=cmd()" for p in rows["policy"]]
    path = write(tmp_path / "p.csv", rows)
    words = ["prune", "verdict", path, "--budget", 8000, "--draws", 60]
    result = call(*map(str, words))
    assert result.exit_code == 0, result.stderr
    assert "keep the hardest" in result.stderr
    assert "8,000 examples seen" in result.stderr
    answer = json.loads(call(*map(str, words), "--json").stdout)
    assert answer["verdicts"][0]["question"]["budget"] == 8000
    assert (answer["verdicts"][0]["metric"], answer["verdicts"][0]["answer"]) == ("=cmd()", "hard")
    assert call("prune", "verdict", str(path)).exit_code == 1
    assert call("prune", "verdict", str(tmp_path / "none.csv"), "--pool", "5").exit_code == 1
    assert call("prune", "verdict", str(path), "--pool", "x").exit_code == 2
    few = write(tmp_path / "few.csv", made(steady, seeds=1))
    result = call("prune", "verdict", str(few), "--budget", "8000")
    assert result.exit_code == 3
    assert "ONE_SEED" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(
    not SHARED.exists(), reason="the shared data folder is not beside the repository"
)
@pytest.mark.parametrize(
    "options",
    [
        {"pool": 1e5, "data": "cifar"},
        pytest.param({"pool": 1e5}, marks=pytest.mark.slow),
        pytest.param({"budget": 5e4}, marks=pytest.mark.slow),
    ],
)
def test_dropping_the_memorised_does_not_pay(options):
    rows = defaultdict(list)
    with SHARED.open(newline="") as file:
        for row in csv.DictReader(file):
            keep = 1 - float(row["drop_pct"]) / 100
            rows["policy"].append("easy" if row["selection"] == "mem" else "random")
            rows["keep"].append(keep)
            rows["pool"].append(100_000)
            rows["seed"].append(f"{row['selection']} {row['seed']}")
            rows["error"].append(1 - float(row["test_accuracy"]))
            rows["data"].append(row["dataset"])
    found = judge_metrics(rows, draws=60, **options)
    assert all(v.answer != "easy" for v in found)
    if len(options) == 1:
        assert len(found) == 4
        assert any(v.answer == "none" for v in found)
