import pytest

from isoloss.sweep import RandomFeatures, RunSpec, make_tasks, tasks
from isoloss.sweep.speed import measured_speed, time_text
from sweep import made


@pytest.fixture(autouse=True)
def alike(monkeypatch):
    """Perceptrons of width 4 and 5 train side by side, each width apart."""
    monkeypatch.setattr(
        tasks, "batch_of", lambda s: (str(s.model.width), 64) if s.model.width in (4, 5) else None
    )


def costs(specs):
    return {s.name: float(s.D) for s in specs}


def kinds(found):
    return sorted((t.kind, len(t.specs)) for t in found)


def test_what_differs_in_d_alone_shares_a_trunk():
    specs = [made.spec(seed, D=D, schedule="wsd") for seed in (0, 1) for D in (1600, 400, 800)]
    found = make_tasks(specs, costs(specs))
    assert kinds(found) == [("trunk", 3), ("trunk", 3)]
    assert [s.D for s in found[0].specs] == [400, 800, 1600]
    assert found[0].cost == 1600 + 0.2 * (400 + 800)
    assert {t.specs[0].seed for t in found} == {0, 1}


@pytest.mark.parametrize(
    "changes", [{"passes": 2.0}, {"steps": 20}, {"schedule": "linear"},
                {"warmup": 45}]
)  # fmt: skip
def test_what_sees_other_examples_or_rates_has_no_trunk(changes):
    specs = [made.spec(D=D, **({"schedule": "wsd"} | changes)) for D in (400, 404, 408)]
    assert kinds(make_tasks(specs, costs(specs))) == [("single", 1)] * 3


def test_small_networks_go_side_by_side_in_groups_for_every_worker():
    specs = [made.spec(seed, width=w) for w in (4, 5, 6) for seed in range(10)]
    assert kinds(make_tasks(specs, costs(specs))) == [("batched", 10)] * 2 + [("single", 1)] * 10
    parts = make_tasks(specs, costs(specs), parts=4)
    assert kinds(parts) == [("batched", 3)] * 6 + [("single", 1)] * 12
    apart = make_tasks(specs, costs(specs), batched=False)
    assert kinds(apart) == [("single", 1)] * 30
    many = [made.spec(seed, width=4) for seed in range(200)]
    assert max(len(t.specs) for t in make_tasks(many, costs(many))) == 64


def test_every_run_is_in_one_task_and_the_longest_task_is_first():
    specs = [made.spec(s, width=w, D=D, schedule="wsd") for s in (0, 1) for w in (4, 9)
             for D in (64, 640)]  # fmt: skip
    specs += [RunSpec(model=RandomFeatures(width=5), data=specs[0].data, D=50, batch=1, lr=1.0)]
    found = make_tasks(specs, costs(specs))
    assert sorted(s.name for t in found for s in t.specs) == sorted(s.name for s in specs)
    assert [t.cost for t in found] == sorted((t.cost for t in found), reverse=True)
    assert [t.kind for t in found].count("solved") == 1
    assert len({t.name for t in found}) == len(found)


def features_run(width, ridge=0.0, D=50, seed=0):
    return RunSpec(
        model=RandomFeatures(width=width, ridge=ridge), data=made.spec().data, D=D, batch=1,
        lr=1.0, seed=seed,
    )  # fmt: skip


def test_solved_runs_that_differ_in_width_and_ridge_are_one_task():
    specs = [features_run(w, r, D) for w in (5, 9) for r in (0.0, 0.1, 1.0) for D in (50, 60)]
    prices = {s.name: float(s.model.width) for s in specs}
    found = make_tasks(specs, prices)
    assert kinds(found) == [("solved", 6), ("solved", 6)]
    assert {len({s.D for s in task.specs}) for task in found} == {1}
    # A width is paid once, whatever the number of its ridges.
    assert {task.cost for task in found} == {5 + 9}
    other = [features_run(5, seed=1), features_run(5), features_run(9)]
    assert kinds(make_tasks(other, prices | costs(other))) == [("solved", 1), ("solved", 2)]


def test_a_group_of_widths_is_split_where_workers_would_wait():
    specs = [features_run(w, r) for w in (5, 6, 7, 8, 9) for r in (0.0, 1.0)]
    found = make_tasks(specs, costs(specs), parts=2)
    assert [sorted({s.model.width for s in task.specs}) for task in found] == [[5, 7, 9], [6, 8]]
    assert len(make_tasks(specs, costs(specs), parts=64)) == 5


def test_the_speed_of_like_runs_decides():
    rows = [{"flops": 1e6 * n, "steps": 1000, "cpu_seconds": 1.0, "joules": 12.0}
            for n in (1, 1.1, 1.2, 1.3)]  # fmt: skip
    rows += [{"flops": 1e12, "steps": 1000, "cpu_seconds": 10.0, "joules": 120.0}] * 7
    rows += [{"flops": None, "status": "failed"}, {"run": "x"}]
    speed = measured_speed(rows)
    assert speed.watts == 12
    assert speed.of(1e12, 1000) == pytest.approx(10)
    assert speed.of(2e12, 2000) == pytest.approx(20)
    assert 0.5 < speed.of(1e6, 1000) < 1.5


def test_without_measurements_time_goes_with_steps_and_flops():
    speed = measured_speed([])
    assert not speed.measured
    assert speed.of(0, 1000) == 0.5
    assert speed.of(8e10, 0) == pytest.approx(1, rel=1e-3)
    assert time_text(5400) == "90 min"


def test_a_trunk_takes_the_steps_of_its_longest_run_and_the_decay_of_the_others():
    specs = [made.spec(D=D, schedule="wsd") for D in (800, 1600)]
    (trunk,) = make_tasks(specs, dict.fromkeys((s.name for s in specs), 0.0))
    assert measured_speed([]).of_task(trunk) == pytest.approx(5e-4 * (200 + 0.2 * 100))
