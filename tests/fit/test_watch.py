"""Runs under way: forecasts, replayed intervals, flags, and bad input."""

import numpy as np
import pytest

from fit.curves_made import PUBLISHED_PLANS, SHARED, TRUE, drawn, published, schedule
from isoloss.errors import InputError
from isoloss.fit.curves import watch_run
from isoloss.fit.curves.collapse import collapse
from isoloss.fit.curves.health import health
from isoloss.laws import Schedule, curve_loss, make_schedule
from isoloss.runs import Curve

TRAIN = ("cosine", "constant", "drop")
SPARSE = {"noise": 5e-4, "every": 60}


def plans(names):
    return {n: schedule(n) for n in names}


def codes(found):
    return [r.code for r in found.reasons]


def test_a_run_is_forecast_by_others_of_its_size():
    like = [drawn(n, **SPARSE) for n in TRAIN]
    run = drawn("wsd", **SPARSE, seed=3).until(2400)
    found = watch_run(run, schedule("wsd"), like=like, schedules=plans(TRAIN))
    want = curve_loss("multi-power", TRUE, schedule("wsd"), at=[5999])[0]
    assert found.final_loss == pytest.approx(want, rel=5e-3)
    assert want in found.final
    assert set(found.replayed) == set(TRAIN)
    assert found.verdict == "go on"
    assert found.done == pytest.approx(0.4, abs=0.01)


def test_the_level_of_the_run_itself_counts():
    like = [drawn(n, **SPARSE) for n in TRAIN]
    run = drawn("wsd", **SPARSE, factor=1.05).until(2400)
    found = watch_run(run, schedule("wsd"), like=like, schedules=plans(TRAIN))
    want = 1.05 * curve_loss("multi-power", TRUE, schedule("wsd"), at=[5999])[0]
    assert found.final_loss == pytest.approx(want, rel=5e-3)


def family(names=("a", "b", "c")):
    found = []
    for i, name in enumerate(names):
        curve = drawn("cosine", true=TRUE | {"A": 0.5 + 0.1 * i}, **SPARSE, seed=i)
        found.append(Curve(curve.step, curve.loss, curve.lr, name=name))
    return found


def test_a_run_is_forecast_by_a_family():
    plan = schedule("cosine")
    members = family()
    true = TRUE | {"A": 0.9}
    run = drawn("cosine", true=true, **SPARSE, seed=9).until(2000)
    found = watch_run(run, plan, family=members, schedules={c.name: plan for c in members})
    want = curve_loss("multi-power", true, plan, at=[5999])[0]
    assert found.final_loss == pytest.approx(want, rel=5e-3)
    assert want in found.final
    assert found.verdict == "go on"


def test_a_family_with_a_common_floor_collapses_to_first_order():
    plan, step = Schedule(np.ones(1000)), np.arange(50, 1000)
    runs = [Curve(step, 2 + a * (step / 999) ** -0.3, name=str(a)) for a in (0.9, 1.0)]
    shared = collapse(runs, [plan, plan])
    early = step[100:300]
    assert shared.end(early / 1000, 2 + 0.95 * (early / 999) ** -0.3) == pytest.approx(
        2.95, rel=1.5e-3
    )
    ends = shared.expected(np.array([1.0]), 2.95)
    assert ends == pytest.approx(2.95, rel=2e-3)


def test_its_own_curve_says_less_and_knows_it():
    for name, share in (("constant", 0.3), ("wsd", 0.5), ("cosine", 0.5)):
        run = drawn(name, **SPARSE).until(share * 6000)
        found = watch_run(run, schedule(name))
        want = curve_loss("multi-power", TRUE, schedule(name), at=[5999])[0]
        assert want in found.final
        assert found.final.method.startswith("errors usual")


def test_flags_and_verdicts():
    plan = schedule("constant")
    run = drawn("constant", noise=5e-4, every=20).until(3000)
    good = watch_run(run, plan)
    assert good.verdict == "go on"
    assert watch_run(run, plan, ends_missing=True).verdict == "stop"
    assert codes(watch_run(run, plan, target=2.0)) == ["ABOVE_TARGET"]
    loss = run.loss.copy()
    loss[80] *= 1.4
    spiked = watch_run(Curve(run.step, loss, run.lr), plan)
    assert spiked.verdict == "look"
    assert "SPIKES" in codes(spiked)
    loss = run.loss.copy()
    loss[-30:] *= 1.3
    assert "DIVERGED" in codes(watch_run(Curve(run.step, loss, run.lr), plan))
    assert "EARLY" in codes(watch_run(run.until(580), plan))


def test_a_plateau_is_seen_only_where_a_fall_was_expected():
    step = np.arange(200.0)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(200)
    flat = Curve(step, 3 + noise)
    falling = 3 - 0.001 * (step - 199)
    assert [r.code for r in health(flat, falling)] == ["PLATEAU"]
    assert health(flat, np.full(200, 3.0)) == []
    assert health(Curve(step, falling + noise), falling) == []


def test_a_run_off_the_familys_curve_is_flagged():
    members = family()
    plan = schedule("cosine")
    run = drawn("cosine", **SPARSE, seed=9).until(3500)
    bent = Curve(run.step, run.loss * (1 + 0.04 * np.linspace(0, 1, len(run))), name="run")
    found = watch_run(bent, plan, family=members, schedules={c.name: plan for c in members})
    assert "OFF_FAMILY" in codes(found)
    assert found.verdict == "look"


def test_bad_input_is_named():
    run, plan = drawn("cosine"), schedule("cosine")
    with pytest.raises(InputError, match="are planned"):
        watch_run(run, make_schedule("cosine:900", peak=3e-4))
    with pytest.raises(InputError, match="so wait"):
        watch_run(run.until(400), plan)
    with pytest.raises(InputError, match="one of the two"):
        watch_run(run, plan, like=[run], family=[run])
    with pytest.raises(InputError, match="two complete runs"):
        watch_run(run, plan, family=[run])
    pair = [drawn("cosine"), drawn("wsd")]
    with pytest.raises(InputError, match="different schedules"):
        watch_run(run, plan, family=pair, schedules=plans(["cosine", "wsd"]))


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the published curves are not here")
@pytest.mark.parametrize(
    ("way", "share", "most", "least"),
    [("like", 0.3, 0.005, 22), ("like", 0.5, 0.004, 20), ("family", 0.3, 0.004, 24),
     ("family", 0.5, 0.003, 24), ("own", 0.3, 0.016, 23), ("own", 0.5, 0.011, 23)],
)  # fmt: skip
def test_replay_of_the_published_curves(way, share, most, least):
    errors, held = [], 0
    sizes = (25, 100, 400)
    for size in sizes:
        for name in PUBLISHED_PLANS:
            curve, plan = published(size, name)
            if way == "like":
                names = ("cosine_24000", "constant_24000", "wsdcon_9")
                pairs = [published(size, n) for n in names if n != name]
            else:
                pairs = [published(s, name) for s in sizes if s != size] if way == "family" else []
                pairs = [(Curve(c.step, c.loss, name=str(i)), p) for i, (c, p) in enumerate(pairs)]
            others = {way: [c for c, _ in pairs]} if pairs else {}
            found = watch_run(
                curve.until(share * len(plan)), plan, **others,
                schedules={c.name: p for c, p in pairs} or None,
            )  # fmt: skip
            errors.append(found.final_loss / curve.loss[-1] - 1)
            held += curve.loss[-1] in found.final
    assert np.sqrt(np.mean(np.square(errors))) < most
    assert held >= least


def test_the_picture_of_a_run_that_is_over_marks_what_was_used():
    pytest.importorskip("matplotlib")
    from isoloss.plot.curves import draw_watch

    plan = schedule("constant")
    run = drawn("constant", noise=5e-4, every=20)
    begun = run.until(3000)
    found = watch_run(begun, plan)
    marks = [line for line in draw_watch(run, found).lines if line.get_linestyle() == ":"]
    assert [float(m.get_xdata()[0]) for m in marks] == [pytest.approx(begun.step[-1])]
    assert not [li for li in draw_watch(begun, found).lines if li.get_linestyle() == ":"]
