"""Information of rows: against plain linear algebra, and where rows see nothing."""

import numpy as np
import pytest

from isoloss.plan.precision import Precision


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((12, 4)) * [1.0, 1e3, 1e-4, 1.0]


def test_variance_and_leverage_are_those_of_the_normal_equations(rows):
    seen, g = Precision.of(rows), np.array([1.0, -2.0, 0.5, 3.0])
    scale = np.array([1.0, 1e3, 1e-4, 1.0])
    inverse = np.linalg.inv((rows / scale).T @ (rows / scale)) / np.outer(scale, scale)
    assert seen.variance(g) == pytest.approx(g @ inverse @ g, rel=1e-9)
    assert np.allclose(seen.leverage(), np.diag(rows @ inverse @ rows.T), atol=1e-12)
    assert seen.leverage().sum() == pytest.approx(4)
    assert np.allclose(seen.pulls(g), rows @ inverse @ g)
    assert seen.rank == 4
    assert seen.groups() == []


def test_without_and_with_a_row_are_what_refactoring_gives(rows):
    seen, g = Precision.of(rows), np.array([1.0, 1e3, 0.0, 1.0])
    less = [Precision.of(np.delete(rows, k, axis=0)).variance(g) for k in range(12)]
    assert np.allclose(seen.without_each(g), less, rtol=1e-8)
    more = [Precision.of(np.vstack([rows, rows[k]])).variance(g) for k in range(12)]
    assert np.allclose(seen.with_each(g, rows), more, rtol=1e-8)


def test_a_row_without_which_all_is_lost():
    seen = Precision.of(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]))
    assert seen.without_each(np.array([0.0, 1.0]))[2] == np.inf
    assert np.isfinite(seen.without_each(np.array([1.0, 0.0]))).all()


def test_directions_that_no_row_sees_stay_open_however_often_rows_are_repeated():
    u, v, w = np.random.default_rng(0).standard_normal((3, 8))
    rows = np.stack([u, 2 * u, v, w, v - w], axis=1)
    for times in (1, 50):
        seen = Precision.of(np.tile(rows, (times, 1)))
        assert seen.rank == 3
        found = [(m.tolist(), k) for m, k in seen.groups()]
        assert found == [([0, 1], 1), ([2, 3, 4], 1)]
        assert seen.variance(np.array([1.0, 0, 0, 0, 0])) == np.inf
        assert np.isfinite(seen.variance(np.array([1.0, 2, 0, 0, 0])))
    assert np.allclose(rows @ seen.null, 0, atol=1e-12)


def test_directions_have_the_variances_they_claim(rows):
    seen = Precision.of(rows)
    turned, errors = seen.directions()
    assert (np.diff(errors) <= 0).all()
    for v, e in zip(turned.T, errors, strict=True):
        assert seen.variance(v) == pytest.approx(e**2, rel=1e-8)


def test_fewer_rows_than_parameters():
    seen = Precision.of(np.array([[1.0, 2.0, 3.0]]))
    assert (seen.rank, seen.null.shape) == (1, (3, 2))
    assert seen.variance(np.array([1.0, 2.0, 3.0])) == pytest.approx(1.0)
