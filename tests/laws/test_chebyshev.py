"""Tables of Chebyshev polynomials: exact on polynomials, whatever the shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isoloss.laws.chebyshev import Table, nodes, resampled

ZERO = (0, 0, 0)


def cubic(x: Any, y: Any, z: Any) -> Any:
    return (1 + 2 * x - x**3) * (y**2 - 0.5) + z * x


def quartic(x: Any, u: Any, y: Any, z: Any) -> Any:
    return cubic(x, y, z) * (1 + u**2) + u * y * z


def three() -> Table:
    return Table(cubic(*np.meshgrid(nodes(5), nodes(4), nodes(3), indexing="ij")))


def four() -> Table:
    places = np.meshgrid(nodes(5), nodes(4), nodes(4), nodes(3), indexing="ij")
    return Table(quartic(*places), loss=1e-13)


@pytest.mark.parametrize("kind", [float, complex])
def test_polynomials_are_exact(kind: type) -> None:
    rng = np.random.default_rng(1)
    x, u, y, z = rng.uniform(0, 1, (4, 6, 1)).astype(kind)
    x, u = x + 0.1 * rng.uniform(-1, 1, (6, 7)), u * np.ones((6, 7))
    x = np.clip(x.real, 0, 1) + (0.01j if kind is complex else 0)
    np.testing.assert_allclose(three()(x, y, z, orders=ZERO), cubic(x, y, z), rtol=1e-12)
    found = four()(x, u, y, z, orders=(0, 0, 0, 0))
    np.testing.assert_allclose(found, quartic(x, u, y, z), rtol=1e-12)


def test_a_table_of_two_directions_keeps_what_it_needs() -> None:
    # 1 + u^2 and u are all there is in u.
    assert four().size == (3, 2, 4, 3)
    assert three().size == (5, 4, 3)


def test_derivatives_are_those_of_the_polynomial() -> None:
    x, u, y, z = 0.3, 0.6, 0.8, 0.1
    assert three()(x, y, z, orders=(1, 0, 0)) == pytest.approx((2 - 3 * x**2) * (y**2 - 0.5) + z)
    assert three()(x, y, z, orders=(2, 1, 0)) == pytest.approx(-12 * x * y)
    assert four()(x, u, y, z, orders=(0, 1, 0, 1)) == pytest.approx(2 * u * x + y)
    assert four()(x, u, y, z, orders=(1, 2, 1, 0)) == pytest.approx((2 - 3 * x**2) * 4 * y)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 1), (4, 3), (2, 4, 3)])
def test_any_shapes_that_broadcast(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, shape)
    # Shared by all, by a row, or by none.
    for other in {(), shape[:-1] + (1,) * (len(shape) > 0), shape}:
        u, y, z = rng.uniform(0, 1, (3, *other))
        found = four()(x, u, y, z, orders=(0, 0, 0, 0))
        assert found.shape == shape
        np.testing.assert_allclose(found, quartic(x, u, y, z), rtol=1e-12)
        np.testing.assert_allclose(three()(x, y, z, orders=ZERO), cubic(x, y, z), rtol=1e-12)


def test_beyond_the_box_there_is_no_answer() -> None:
    table = three()
    assert np.isfinite(table(1 + 1e-7, 0.5, -1e-7, orders=ZERO))
    for bad in ((1.1, 0.5, 0.5), (0.5, -0.1, 0.5), (0.5, 0.5, 1.1), (np.nan, 0.5, 0.5)):
        assert np.isnan(table(*bad, orders=ZERO))
    mixed = table([0.5, 2.0], 0.5, 0.5, orders=ZERO)
    np.testing.assert_array_equal(np.isnan(mixed), [False, True])
    rows = table(np.full((2, 3), 0.5), [[0.5], [2.0]], 0.5, orders=ZERO)
    np.testing.assert_array_equal(np.isnan(rows).all(axis=1), [False, True])


def test_values_at_other_places() -> None:
    x = np.array([0.0, 0.37, 1.0])
    values = np.stack([nodes(6) ** 5, np.cos(nodes(6))], axis=1)
    found = resampled(values, x)
    np.testing.assert_allclose(found[:, 0], x**5, atol=1e-14)
    np.testing.assert_allclose(found[:, 1], np.cos(x), atol=1e-6)
