"""The numbers of the pictures of size, time, data and points; nothing is drawn."""

import numpy as np
import pytest

from isoloss.plot import gallery
from isoloss.theory import gradient_flow, two_group_spectrum


def test_models_of_every_size_lie_on_one_curve_of_size_times_time():
    raw, collapsed = (
        gallery.equivalence_series(p=(50, 1000), collapsed=v, simulate=12) for v in (False, True)
    )
    for one, other in zip(raw["sizes"], collapsed["sizes"], strict=True):
        assert one["p"] * one["x"] == pytest.approx(other["x"], rel=1e-12)
        assert one["simulated"]["mean"] == pytest.approx(other["simulated"]["mean"], rel=1e-12)
        points = other["simulated"]
        law = np.interp(points["x"], other["x"], other["limit"])
        assert (abs(points["mean"] - law) < 4 * points["sem"] + 0.02).all()


@pytest.mark.parametrize("axis", ["D", "t", "p"])
def test_every_resource_has_a_double_descent(axis):
    words = {"others": (1e4,)} if axis == "D" else {}
    series = gallery.descent_series(axis, **words)
    for curve in series["curves"]:
        turns = curve["turns"]
        assert turns.peak.size == 1
        assert curve["loss"][-1] < turns.peak_value[0]
    if axis == "D":
        assert turns.peak[0] == pytest.approx(series["M"], rel=0.05)
    else:
        # The peak is at one product of size and time.
        places = [c["held"][1] * c["turns"].peak[0] for c in series["curves"]]
        assert places == pytest.approx(places[0] * np.ones(3), rel=0.02)


@pytest.mark.parametrize("axis", ["D", "t"])
def test_simulated_descents_lie_on_the_theory(axis):
    curve = gallery.descent_series(axis, others=(10.0,), points=21, simulate=20)["curves"][0]
    points = curve["simulated"]
    spectrum = two_group_spectrum(ls=0.01, ln=1, Ms=10, Mn=80, S2=5)
    for x, mean, sem in zip(points["x"], points["mean"], points["sem"], strict=True):
        D, tau = (x, 10.0) if axis == "D" else (4000.0, 10.0 * x)
        exact = float(gradient_flow(spectrum, np.inf, D, tau, noise=1).test_excess)
        assert abs(mean - exact) < 4 * sem + 0.02 * exact


def test_early_noise_has_its_peak_between_the_two_times():
    series = gallery.early_noise_series()
    for curve in series["curves"]:
        assert 1 / series["ln"] < curve["turns"]["peak"][0] < 1 / series["ls"]
        assert curve["loss"][0] == pytest.approx(series["start"], rel=0.01)
    few, many = (abs(c["loss"] / c["exact"] - 1).max() for c in series["curves"])
    assert few > 3 * many


def test_points_change_places_as_the_set_grows():
    series = gallery.point_value_series()
    assert [r.tolist() for r in series["ranks"]] == [[0, 1, 2], [2, 1, 0]]
    for point in series["points"]:
        assert (point["low"] < point["value"]).all()
        inside = (point["low"] < point["truth"]) & (point["truth"] < point["high"])
        assert inside.mean() > 0.5
