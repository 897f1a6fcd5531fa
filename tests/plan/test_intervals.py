import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.plan.intervals import from_draws

POLICY = {"weights": None, "level": 0.9, "method": None, "what": "answer"}


def test_equal_weights_are_quantiles():
    values = np.random.default_rng(0).standard_normal((500, 2))
    made, reasons = from_draws(values, **POLICY)
    np.testing.assert_allclose((made[1].low, made[1].high), np.quantile(values[:, 1], [0.05, 0.95]))
    assert reasons == []
    assert made[0].method == "parameter draws, law taken as right"


def test_infinite_draws_stay_infinite():
    values = np.r_[np.arange(90.0), np.full(10, np.inf)][:, None]
    (one,), _ = from_draws(values, **POLICY)
    assert one.low == 4.0
    assert one.high == np.inf


def test_missing_draws_beyond_a_tail_give_no_interval():
    values = np.arange(100.0)[:, None]
    values[:5] = np.nan
    made, (reason,) = from_draws(values, **POLICY)
    assert made == (None,)
    assert reason.code == "DRAWS_WITHOUT_OPTIMUM"
    weights = np.r_[np.zeros(5), np.ones(95)]
    made, reasons = from_draws(values, **POLICY | {"weights": weights})
    assert made[0] is not None
    assert reasons == []


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, np.nan]])
def test_bad_weights(weights):
    with pytest.raises(InputError, match="weights"):
        from_draws(np.ones((2, 1)), **POLICY | {"weights": weights})
