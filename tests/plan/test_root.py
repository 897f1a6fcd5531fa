import numpy as np

from isoloss.plan.root import bracketed_root


def test_many_roots_at_once_to_the_last_digits():
    target = np.geomspace(1e-6, 1e6, 41)
    root = bracketed_root(lambda x: np.exp(x) - target, np.full(41, -50.0), np.full(41, 50.0))
    np.testing.assert_allclose(root, np.log(target), atol=3e-12)


def test_flat_start_does_not_stall():
    # The ninth power is so flat at its root that secant steps crawl.
    root = bracketed_root(lambda x: (x - 0.3) ** 9, np.array([-4.0]), np.array([5.0]))
    assert abs(root[0] - 0.3) < 1e-8


def test_a_jump_is_found_as_its_place():
    root = bracketed_root(lambda x: np.where(x < 1.25, -1.0, 2.0), np.zeros(3), np.full(3, 9.0))
    np.testing.assert_allclose(root, 1.25, atol=1e-11)


def test_ends_of_one_sign_give_nan_and_do_not_disturb_others():
    shift = np.array([-1.0, 2.0, -3.0])
    root = bracketed_root(lambda x: x + shift, np.zeros(3), np.full(3, 10.0))
    np.testing.assert_allclose(root, [1.0, np.nan, 3.0], atol=1e-11)


def test_root_at_an_end():
    assert bracketed_root(lambda x: x, np.array([0.0]), np.array([1.0]))[0] == 0.0
    assert bracketed_root(lambda x: x - 1, np.array([0.0]), np.array([1.0]))[0] == 1.0


def test_empty():
    assert bracketed_root(lambda x: x, np.empty(0), np.empty(0)).shape == (0,)
