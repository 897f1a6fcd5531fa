import numpy as np
import pytest

from isoloss.coverage.cells import ALL_CELLS, SIZES, select_cells
from isoloss.coverage.designs import DESIGNS
from isoloss.coverage.noises import NOISES
from isoloss.coverage.truths import TRUTHS
from isoloss.errors import InputError
from isoloss.fit.procedure import default_laws

JOINT = [t for t in TRUTHS.values() if "N" in t.axes]
RUNS = {"isoflop-20": 20, "isoflop-45": 45, "random-30": 30, "seeds-60": 60, "wide-200": 200,
        "points-12": 12, "points-24": 24, "points-40": 40}  # fmt: skip
INSIDE = {"chinchilla", "coupled-1.15", "coupled-0.8", "additive", "kaplan", "curve-floor",
          "curve-broken", "curve-saturating", "curve-sigmoid"}  # fmt: skip


def test_sizes_hold_known_cells():
    for names, repeats in SIZES.values():
        assert len(set(names)) == len(names) > 0
        assert set(names) <= set(ALL_CELLS)
        assert repeats > 0
    assert set(SIZES["nightly"][0]) == set(ALL_CELLS)
    quick = [ALL_CELLS[n] for n in SIZES["quick"][0]]
    assert {c.truth.name in INSIDE for c in quick} == {True, False}
    assert {c.noise.name for c in quick} == set(NOISES)


@pytest.mark.parametrize("name", RUNS)
def test_designs_have_the_runs_they_say(name):
    design = DESIGNS[name]
    x = design.draw(np.random.default_rng(0))
    assert {len(v) for v in x.values()} == {RUNS[name]}
    scale = 6 * x["N"] * x["D"] if "N" in x else x["D"]
    assert scale.max() <= design.high * (1 + 1e-12)
    assert scale.min() >= design.low * (1 - 1e-12)
    if name == "seeds-60":
        assert len(set(zip(x["N"], x["D"], strict=True))) == 20


@pytest.mark.parametrize("truth", JOINT, ids=lambda t: t.name)
def test_targets_lie_on_the_best_ray_of_the_truth(truth):
    for target in DESIGNS["isoflop-20"].targets(truth):
        N, C = target.N_opt, target.scale
        assert 6 * target.at["N"] * target.at["D"] == pytest.approx(C)
        sizes = N * np.geomspace(0.5, 2, 2001)
        loss = truth.loss({"N": sizes, "D": C / (6 * sizes)})
        assert sizes[np.argmin(loss)] == pytest.approx(N, rel=2e-3)
        assert target.loss == pytest.approx(loss.min(), rel=1e-9)
        # A design that never looks where the optimum is would be a test of something else.
        assert 0.2 < N / (0.09 * C**0.5) < 6


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=lambda t: t.name)
def test_losses_fall_and_are_of_the_size_that_people_see(truth):
    for design in DESIGNS.values():
        if design.axes == truth.axes:
            x = design.draw(np.random.default_rng(0))
            loss = truth.loss(x)
            assert 0.5 < loss.min() < loss.max() < 8
            for axis in truth.axes:
                assert (truth.law.slope(truth.values, x, axis) < 0).all()


def test_inside_is_told_by_the_default_sets():
    for cell in ALL_CELLS.values():
        if cell.noise.name == "normal":
            laws = tuple(default_laws(cell.simulate(0, 0)[0]))
            inside = cell.truth.name in INSIDE
            # Too few points for a break: its law is not tried.
            inside &= (cell.truth.name, cell.design.name) != ("curve-broken", "points-12") or (
                "broken_power" in laws
            )
            assert cell.truth.is_in(laws) == inside, cell.name


def test_a_special_case_is_inside_the_law_that_contains_it():
    assert TRUTHS["chinchilla"].is_in(("coupled",))
    assert not TRUTHS["coupled-1.15"].is_in(("chinchilla",))
    assert TRUTHS["kaplan"].is_in(("E + A*N**-a + B*D**-b", "kaplan"))


def test_tables_depend_on_seed_names_and_number_alone():
    cell = ALL_CELLS["chinchilla/random-30/normal"]
    runs, fresh = cell.simulate(3, 1)
    ALL_CELLS["kaplan/random-30/normal"].simulate(0, 1)
    again, fresh_again = cell.simulate(3, 1)
    assert runs.digest == again.digest
    assert fresh == fresh_again
    others = [cell.simulate(4, 1), cell.simulate(3, 2)]
    others.append(ALL_CELLS["chinchilla/random-30/heavy"].simulate(3, 1))
    assert len({runs.digest, *(r.digest for r, _ in others)}) == 4


def test_cells_do_not_share_their_noise():
    names = ("chinchilla/isoflop-20/normal", "kaplan/isoflop-20/normal")
    noise = []
    for cell in (ALL_CELLS[n] for n in names):
        runs = cell.simulate(0, 0)[0]
        noise.append(np.log(runs["loss"] / cell.truth.loss({a: runs[a] for a in ("N", "D")})))
    assert abs(np.corrcoef(noise)[0, 1]) < 0.8


def test_noise_has_the_moments_it_names():
    rng, n = np.random.default_rng(0), 200_000
    one = np.ones(n)
    assert NOISES["normal"].draw(one, rng).std() == pytest.approx(0.003, rel=0.01)
    shrinking = NOISES["shrinking"]
    assert shrinking.draw(one, rng).std() == pytest.approx(0.002, rel=0.01)
    assert shrinking.draw(one / 16, rng).std() == pytest.approx(0.004, rel=0.01)
    heavy = NOISES["heavy"].draw(one, rng) / 0.002
    # Quartiles of Student's t with three degrees of freedom.
    assert np.quantile(heavy, [0.25, 0.75]) == pytest.approx([-0.7649, 0.7649], rel=0.02)
    assert (np.abs(heavy) > 5.841).mean() == pytest.approx(0.01, rel=0.1)
    late = NOISES["one-sided"].draw(one, rng)
    assert late.mean() == pytest.approx(0.3 * 0.01, rel=0.02)
    assert (late < -0.006).mean() < 0.02
    wild = NOISES["outliers"].draw(one, rng)
    assert (wild > 0.03).mean() == pytest.approx(0.02, rel=0.06)
    assert np.median(wild[wild > 0.03]) == pytest.approx(np.log(1.05), rel=0.01)


def test_the_loss_of_a_table_is_truth_and_noise():
    cell = ALL_CELLS["drifting/isoflop-45/normal"]
    runs, fresh = cell.simulate(0, 0)
    ratio = runs["loss"] / cell.truth.loss({a: runs[a] for a in ("N", "D")})
    assert 0.002 < np.log(ratio).std() < 0.004
    assert all(abs(f / t.loss - 1) < 0.015 for f, t in zip(fresh, cell.targets, strict=True))
    assert all(f != t.loss for f, t in zip(fresh, cell.targets, strict=True))


def test_patterns_pick_cells_of_any_size():
    assert {c.name for c in select_cells("quick", ["farseer/*/heavy", "farseer/wide-200/*"])} == {
        n for n in ALL_CELLS if n.startswith("farseer/") and ("heavy" in n or "wide-200" in n)
    }
    with pytest.raises(InputError, match=r"chinchila.*no cell.*isoflop-20.*one-sided"):
        select_cells("quick", ["chinchilla/*", "chinchila/*"])
    with pytest.raises(InputError, match=r"size = 'weekly'.*quick, nightly"):
        select_cells("weekly")
