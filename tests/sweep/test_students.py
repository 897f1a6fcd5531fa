"""Students of random teachers: their training, the ledger, the table, and the best width."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError
from isoloss.runs import Runs, read_runs
from isoloss.sweep.ledger import read_ledger
from isoloss.sweep.student_optima import optima_text, student_optima, student_table
from isoloss.sweep.students import StudentSpec, run_students, student_grid
from isoloss.theory import draw_teacher, logit_divergence


def spec(**changes):
    return StudentSpec(**({"d": 4, "K": 3, "teacher": 1, "n": 3, "T": 800, "lr": 0.01} | changes))


def test_the_grid_has_every_cell_once_at_the_budgets_it_says():
    specs = student_grid()
    assert len({s.name for s in specs}) == len(specs) == (4 * 6 * 7 - 2) * 8 * 3
    assert {s.d * s.n * s.T for s in specs} == {1_024_000 * 4**i for i in range(6)}
    # Whole batches hold all but less than one batch of the samples asked for.
    assert all(0 <= s.T - s.samples < s.batch for s in specs)
    assert len(student_grid(quick=True)) == 3 * 7 * 3 * 3
    assert {s.lr for s in student_grid(quick=True, rates=[0.5, 0.5])} == {0.5}
    # A stream is trained in one go.
    streams = [s.stream for s in specs]
    assert sum(a != b for a, b in pairwise(streams)) + 1 == len(set(streams))


@pytest.mark.parametrize(
    "changes", [{"d": 0}, {"K": 0}, {"n": 0}, {"T": 7}, {"teacher": -1}, {"lr": 0}, {"lr": 1}]
)
def test_hostile_specs(changes):
    with pytest.raises(InputError, match=f"{next(iter(changes))} = "):
        spec(**changes)


def test_gradients_are_those_of_the_log_loss():
    torch = pytest.importorskip("torch")
    from isoloss.sweep.teacher import Students

    specs = [spec(n=n, lr=lr) for n in (1, 3, 8) for lr in (0.01, 0.03)]
    students = Students(specs, "cpu")
    students.W, students.a = students.W.double(), students.a.double()
    X = torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = (torch.arange(50) % 3 == 0).double()
    gW, ga = students.gradient(X, y)
    W, a = students.W.clone().requires_grad_(), students.a.clone().requires_grad_()
    students.a = a
    logits = students.logits((X @ W.T).relu())
    assert logits.shape == (50, 6)
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, y[:, None].expand(-1, 6), reduction="none"
    )
    each.mean(0).sum().backward()
    torch.testing.assert_close(gW, W.grad)
    torch.testing.assert_close(ga, a.grad)


def test_steps_are_adams():
    torch = pytest.importorskip("torch")
    from isoloss.sweep.teacher import Students

    one = spec(n=5, lr=0.02)
    students = Students([one], "cpu")
    W, a = students.W.clone().requires_grad_(), students.a.clone().requires_grad_()
    adam = torch.optim.Adam([W, a], lr=one.lr, betas=(0.9, 0.99))
    source = torch.Generator().manual_seed(1)
    for step in range(20):
        X = torch.randn(16, 4, generator=source)
        y = (torch.rand(16, generator=source) < 0.5).float()
        students.step(X, y, step, 20)
        adam.param_groups[0]["lr"] = one.lr * 0.5 * (1 + math.cos(math.pi * step / 20))
        adam.zero_grad()
        logits = (X @ W.T).relu() @ a
        torch.nn.functional.binary_cross_entropy_with_logits(logits, y).backward()
        adam.step()
    torch.testing.assert_close(students.W, W.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(students.a, a.detach(), rtol=1e-4, atol=1e-6)


def test_students_do_not_depend_on_who_trains_beside_them():
    pytest.importorskip("torch")
    from isoloss.sweep.teacher import train_students

    specs = [spec(n=n, lr=lr) for n in (2, 5) for lr in (0.01, 0.03)]
    together = {row["run"]: row["loss"] for row in train_students(specs)}
    for one in specs:
        assert train_students([one])[0]["loss"] == pytest.approx(together[one.name], rel=1e-3)
    with pytest.raises(InputError, match="streams"):
        train_students([specs[0], spec(T=900)])
    with pytest.raises(InputError, match="device"):
        train_students(specs, device="abacus")


def test_students_learn_and_are_judged_by_the_divergence():
    pytest.importorskip("torch")
    from isoloss.sweep.teacher import LEFT, train_students

    rows = train_students([spec(n=8, T=T, lr=0.03) for T in (40_000,)])
    # What says nothing, one half at every input, is judged the same way in numpy.
    teacher = draw_teacher(4, 3, np.random.default_rng([1, 4, 3]), left=LEFT)
    X = np.random.default_rng(0).standard_normal((20_000, 4))
    silent = np.mean(logit_divergence(teacher.logit(X), 0.0))
    assert 0 < rows[0]["loss"] < 0.2 * silent
    untrained = train_students([spec(n=8, T=8, lr=1e-9)])
    assert untrained[0]["loss"] == pytest.approx(silent, rel=1.0)


def test_a_sweep_goes_on_where_it_was_stopped(tmp_path):
    pytest.importorskip("torch")
    ledger = tmp_path / "deep" / "ledger.jsonl"
    specs = [spec(n=n, teacher=t) for t in (0, 1) for n in (1, 2, 4)]
    run_students(specs[:4], ledger)
    seen = []
    run_students(specs, ledger, on_row=lambda row, done, count: seen.append((row["run"], done)))
    assert [done for _, done in seen] == [5, 6]
    assert {row["run"] for row in read_ledger(ledger)} == {s.name for s in specs}
    run_students(specs, ledger, on_row=lambda *_: pytest.fail("trained again"))


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf8")


def row(n, teacher, lr, loss, **changes):
    fields = {"d": 10, "K": 5, "n": n, "teacher": teacher, "lr": lr, "T": 1600 // n}
    fields |= {"loss": loss, "samples": 1600 // n - 1} | changes
    return fields | {"run": f"{n}-{teacher}-{lr}-{changes}"}


def test_the_table_takes_the_rate_that_is_best_for_all_teachers(tmp_path):
    ledger = tmp_path / "l.jsonl"
    write(ledger, [
        row(4, 0, 0.01, 0.5), row(4, 1, 0.01, 0.5), row(4, 0, 0.03, 0.1), row(4, 1, 0.03, 0.95),
        row(8, 0, 0.01, math.nan), row(8, 1, 0.01, 0.1), row(8, 0, 0.03, 0.7), row(8, 1, 0.03, 0.7),
    ])  # fmt: skip
    lines = student_table(ledger).splitlines()
    assert lines[0] == "d,K,seed,N,D,C,loss,lr"
    assert lines[1] == "10,5,0,40,399,16000,0.5,0.01"
    # A rate at which one teacher's student diverged is out.
    assert lines[3] == "10,5,0,80,199,16000,0.7,0.03"
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([{"run": "a", "loss": 1}], "not a student's"),
        ([row(4, 0, 0.01, 0.5), row(4, 1, 0.01, 0.5), row(4, 0, 0.03, 0.1)], "to its end"),
    ],
)
def test_hostile_ledgers(tmp_path, rows, match):
    write(tmp_path / "l.jsonl", rows)
    with pytest.raises(InputError, match=match):
        student_table(tmp_path / "l.jsonl")


def made(best, *, noise=0.0, teachers=6, slope=0.5, widths=None, budgets=4):
    """A table whose best width grows as a power of compute."""
    source = np.random.default_rng(0)
    columns = {k: [] for k in ("d", "K", "seed", "N", "D", "C", "loss")}
    for i in range(budgets):
        C = 1e6 * 4.0**i
        n_best = best * 4 ** (slope * i)
        for seed in range(teachers):
            shift = noise * source.standard_normal()
            # The best width is none of those trained.
            for n in widths or np.round(1.3 * n_best) * 2.0 ** np.arange(-3, 4):
                loss = 0.01 * 4 ** (-0.4 * i) * math.exp(0.2 * math.log(n / n_best) ** 2 + shift)
                for k, v in zip(columns, (10, 5, seed, 10 * n, C / 10 / n, C, loss), strict=True):
                    columns[k].append(v)
    return Runs(columns={k: np.array(v, dtype=float) for k, v in columns.items()})


def test_the_vertex_and_slopes_of_exact_parabolas():
    found = student_optima(made(16.0), draws=20)
    np.testing.assert_allclose(found.n_opt, 16 * 2.0 ** np.arange(4), rtol=1e-9)
    np.testing.assert_allclose(found.loss, 0.01 * 4 ** (-0.4 * np.arange(4)), rtol=1e-9)
    np.testing.assert_allclose(found.n_opt * found.T_opt * 10, found.C, rtol=1e-12)
    np.testing.assert_allclose(found.exponent_p, [[0.5] * 3], atol=1e-9)
    np.testing.assert_allclose(found.exponent_loss, [[-0.4] * 3], atol=1e-9)
    np.testing.assert_allclose(found.local_exponents()[:3], 0.5, atol=1e-9)
    assert (found.found == 1).all()
    assert len(optima_text(found).splitlines()) == 5
    wide = student_optima(made(16.0), around=7, draws=20)
    np.testing.assert_allclose(wide.n_opt, found.n_opt, rtol=1e-9)
    np.testing.assert_allclose(found.early_p, found.late_p, atol=1e-9)
    # What all widths of a teacher share moves the loss and not the width.
    shaken = student_optima(made(16.0, noise=0.3), draws=50)
    np.testing.assert_allclose(shaken.n_high, shaken.n_opt, rtol=1e-9)
    assert (shaken.loss_high > 1.05 * shaken.loss_low).all()


def test_a_best_width_outside_those_trained_is_no_number():
    found = student_optima(made(16.0, widths=[64, 128, 256, 512]), draws=20)
    assert np.isnan(found.n_opt[0])
    assert found.found[0] == 0
    assert np.isfinite(found.n_opt[-1])
    assert np.isnan(found.exponent_p).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.select(slice(1, None)), "same seeds"),
        (lambda t: t.select(t["seed"] == 0), "same teachers"),
        (lambda t: t.select((t["seed"] < 2) | (t["C"] > 1e6)), "same teachers"),
        (lambda t: Runs(columns={k: t[k] for k in t.columns if k != "K"}), "no column K"),
    ],
)
def test_hostile_tables(change, match):
    for words in ({"draws": 1}, {"around": 2}):
        with pytest.raises(InputError, match=f"{next(iter(words))} = "):
            student_optima(made(16.0), **words)
    with pytest.raises(InputError, match=match):
        student_optima(change(made(16.0)))


def test_the_command_reads_a_table_and_refuses_what_does_not_go_together(tmp_path):
    table = made(16.0)
    path = tmp_path / "students.csv"
    rows = zip(*(table[k] for k in table.columns), strict=True)
    lines = [",".join(table.columns), *(",".join(f"{v:.17g}" for v in r) for r in rows)]
    path.write_text("\n".join(lines) + "\n")
    result = call("sweep", "teacher", "--read", str(path), "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["n_opt"] == pytest.approx([16, 32, 64, 128])
    assert call("sweep", "teacher", "--read", str(path)).exit_code == 0
    for words in (
        ("teacher",), ("teacher", "--read", str(path), "--out", str(tmp_path)),
        ("teacher", "--out", str(tmp_path), "--workers", "2"), ("stdlib", "--quick"),
        ("stdlib", "--rates", "0.01"),
    ):  # fmt: skip
        assert call("sweep", *words).exit_code == 2, words
    bad = tmp_path / "bad.csv"
    bad.write_text("N,D,loss\n1,2,3\n")
    result = call("sweep", "teacher", "--read", str(bad))
    assert result.exit_code == 1
    assert "error" in result.stderr


@pytest.mark.slow
def test_the_quick_sweep_gives_a_table_with_interior_optima(tmp_path):
    pytest.importorskip("torch")
    result = call("sweep", "teacher", "--quick", "--out", str(tmp_path))
    assert result.exit_code in (0, 3), result.stderr
    found = student_optima(read_runs(tmp_path / "students.csv", columns={"D": "D"}), draws=50)
    assert found.C.size == 3
    assert np.isfinite(found.n_opt).all()
    assert (np.diff(found.loss) < 0).all()
