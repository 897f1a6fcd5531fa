import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep import DataSpec, load_data
from isoloss.sweep.data.generators import LEFT, ReluTeacher, data_spectrum
from isoloss.sweep.data.mnist1d import TEMPLATES, distort, templates
from isoloss.sweep.data.stream import TRUTH, stream
from isoloss.theory import draw_teacher, power_law, random_features

FIELDS = {
    "teacher": {"dimension": 5, "teacher_width": 16, "teacher_depth": 2},
    "spectrum": {"dimension": 50, "exponent": 0.5},
    "perceptron": {"dimension": 10},
    "information": {"dimension": 6, "teacher_width": 10},
    "mnist1d": {},
}


def drawn(name, examples=3000, **fields):
    return load_data(DataSpec(name=name, examples=examples, **(FIELDS[name] | fields)))


@pytest.mark.parametrize("name", FIELDS)
def test_an_example_does_not_depend_on_how_many_there_are(name):
    few, many = drawn(name, 1500), drawn(name, 5000)
    assert few.examples == 1500
    assert few.train_x.tobytes() == many.train_x[:1500].tobytes()
    assert few.train_y.tobytes() == many.train_y[:1500].tobytes()
    for part in ("valid", "test"):
        assert getattr(few, f"{part}_x").tobytes() == getattr(many, f"{part}_x").tobytes()
        assert getattr(few, f"{part}_y").tobytes() == getattr(many, f"{part}_y").tobytes()
    assert few.digest != many.digest
    assert drawn(name, 1500).digest == few.digest


@pytest.mark.parametrize("name", FIELDS)
def test_seeds_and_parts_share_no_example(name):
    one, other = drawn(name), drawn(name, seed=1)
    rows = [
        {row.tobytes() for row in x}
        for x in (one.train_x, one.valid_x, one.test_x, other.train_x, other.test_x)
    ]
    assert sum(map(len, rows)) == len(set().union(*rows)) == 2 * (3000 + 8192) + 2048
    assert one.train_x.dtype == np.float32
    assert one.digest != other.digest


@pytest.mark.parametrize("inputs", ["uniform", "normal"])
def test_the_teacher_gives_targets_and_inputs_of_variance_one(inputs):
    data = drawn("teacher", 20_000, inputs=inputs)
    assert (data.kind, data.outputs, data.train_y.shape) == ("numbers", 1, (20_000, 1))
    y = data.train_y.astype(float)
    # Fourth moments of targets and inputs bound the scatter of both variances.
    for values, n in ((y, len(y)), (data.train_x.astype(float).ravel(), 100_000)):
        spread = np.sqrt(np.var(values**2) * (1 / n + 1 / 16_384))
        assert abs(values.mean()) < 4 * np.sqrt(1 / n + 1 / 16_384)
        assert abs(np.mean(values**2) - 1) < 4 * spread
    top = np.abs(data.train_x).max()
    assert top <= np.sqrt(3) + 1e-6 if inputs == "uniform" else top > 3


def test_the_teacher_is_a_network_of_relu_layers():
    spec = DataSpec(name="teacher", **FIELDS["teacher"])
    teacher = ReluTeacher(spec)
    data = load_data(DataSpec(name="teacher", examples=100, **FIELDS["teacher"]))
    hidden = data.train_x.astype(float)
    for weights, biases in teacher._layers:
        hidden = np.clip(np.einsum("ni,ij->nj", hidden, weights) + biases, 0, None)
    y = hidden @ teacher._last
    # Up to place and size, which only the standardisation knows.
    slope, place = np.polyfit(y, data.train_y[:, 0], 1)
    np.testing.assert_allclose(slope * y + place, data.train_y[:, 0], atol=1e-5)
    # Linear along a short line almost everywhere, and not along a long one.
    line = np.linspace(0, 1, 101)[:, None] * np.full(5, 3.0)
    bends = np.abs(np.diff(teacher(line), n=2)) > 1e-9
    assert 0 < bends.sum() < 60


def test_the_spectrum_has_the_moments_of_the_theory():
    spec = DataSpec(name="spectrum", dimension=30, exponent=0.5, examples=60_000)
    data = load_data(spec)
    x, y = data.train_x.astype(float), data.train_y[:, 0].astype(float)
    lam = np.arange(1, 31.0) ** -1.5
    z = x / np.sqrt(lam)
    covariance = z.T @ z / len(z)
    assert np.abs(covariance - np.eye(30)).max() < 6 / np.sqrt(len(z)) * np.sqrt(2)
    slopes = np.linalg.lstsq(x, y, rcond=None)[0]
    np.testing.assert_allclose(x @ slopes, y, atol=1e-4)
    # One coefficient for every latent, but for its sign.
    np.testing.assert_allclose(slopes**2, 1 / lam.sum(), rtol=1e-4)
    assert set(np.sign(slopes)) == {-1.0, 1.0}
    exact = data_spectrum(spec)
    np.testing.assert_allclose([exact.power, exact.trace], [1, lam.sum()], rtol=1e-12)


def test_the_target_has_its_own_exponent_where_one_is_given():
    spec = DataSpec(name="spectrum", dimension=20, exponent=1.0, target_exponent=1.8, examples=2000)
    data = load_data(spec)
    slopes = np.linalg.lstsq(data.train_x.astype(float), data.train_y[:, 0], rcond=None)[0]
    index = np.arange(1, 21.0)
    power = slopes**2 * index**-2.0
    np.testing.assert_allclose(power, index**-1.8 / (index**-1.8).sum(), rtol=1e-3)
    assert data_spectrum(spec).power == pytest.approx(1)


def test_ridge_regression_on_it_has_the_loss_of_the_theory():
    N, T, ridge, noise, losses = 40, 120, 3.0, 0.3, []
    for seed in range(40):
        spec = DataSpec(
            name="spectrum", dimension=200, exponent=0.7, label_noise=noise, examples=T, seed=seed
        )
        data = load_data(spec)
        U = np.random.default_rng([seed, 9]).standard_normal((200, N))
        phi, test = data.train_x @ U, data.test_x @ U
        weights = np.linalg.solve(phi.T @ phi + ridge * np.eye(N), phi.T @ data.train_y)
        losses.append(np.mean((test @ weights - data.test_y) ** 2))
    exact = random_features(data_spectrum(spec), N, T, ridge=ridge, noise=noise**2)
    error = np.std(losses, ddof=1) / np.sqrt(len(losses))
    assert error < 0.05 * exact.test_excess
    # Test targets carry no noise, so the loss is the excess; finite size moves it by about 1/N.
    assert abs(np.mean(losses) - exact.test_excess) < 4 * error + exact.test_excess / N


def test_the_perceptron_is_a_plane_through_the_origin():
    data = drawn("perceptron", 20_000)
    plane = stream(DataSpec(name="perceptron", **FIELDS["perceptron"]), TRUTH).standard_normal(10)
    assert ((data.test_x @ plane > 0) == data.test_y).all()
    assert abs(data.train_y.mean() - 0.5) < 4 * 0.5 / np.sqrt(20_000)
    # The mean of label times input points along the plane's normal with length sqrt(2/pi).
    mean = ((2 * data.train_y - 1)[:, None] * data.train_x).mean(axis=0)
    np.testing.assert_allclose(
        mean, np.sqrt(2 / np.pi) * plane / np.linalg.norm(plane), atol=5 / np.sqrt(20_000)
    )


def test_coins_of_the_information_teacher_are_as_fair_as_it_says():
    spec = DataSpec(name="information", **FIELDS["information"])
    data = load_data(spec)
    teacher = draw_teacher(6, 10, stream(spec, TRUTH), left=LEFT)
    f = teacher.logit(data.train_x)
    p = 1 / (1 + np.exp(-f))
    miss = data.train_y - p
    assert abs(miss.mean()) < 4 * np.sqrt((p * (1 - p)).mean() / len(p))
    # And in proportion to the logit: the score of its size vanishes.
    assert abs((f * miss).mean()) < 4 * np.sqrt((f**2 * p * (1 - p)).mean() / len(p))
    assert np.std(f) > 0.1


def package(name):
    """One file of the package mnist1d, without the package, which draws figures when imported."""
    found = importlib.util.find_spec("mnist1d")
    if found is None:
        pytest.skip("mnist1d is not installed")
    return Path(found.submodule_search_locations[0]) / name


def test_signals_are_those_of_the_package_for_the_same_chances():
    found = importlib.util.spec_from_file_location("transform", package("transform.py"))
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)

    class Args:
        template_len, padding, scale_coeff, max_translation = 12, [36, 60], 0.4, 48
        corr_noise_scale, iid_noise_scale, shear_scale, final_seq_length = 0.25, 0.02, 0.75, 40

    for seed in range(30):
        np.random.seed(seed)  # noqa: NPY002
        theirs, _ = module.transform(templates()[seed % 10], np.linspace(-5, 5, 12), Args)
        chance = np.random.RandomState(seed)
        padding, scale = 36 + int(chance.rand() * 25), chance.rand()
        moved = chance.choice(48)
        smooth, rough, shear = chance.randn(72), chance.randn(72), chance.rand()
        ours = distort(
            np.array([seed % 10]), np.array([padding]), np.array([scale]), np.array([moved]),
            smooth[None], rough[None], np.array([shear]),
        )  # fmt: skip
        np.testing.assert_allclose(ours[0], theirs, atol=1e-9)


def test_templates_are_those_of_the_package():
    text = package("data.py").read_text("utf8")
    found = re.findall(r"d\d = np\.asarray\(\[([0-9.,]+)\]\)", text)
    assert [tuple(map(float, row.split(","))) for row in found] == [
        tuple(map(float, row)) for row in TEMPLATES
    ]


def test_signals_are_standardised_and_of_even_classes():
    data = drawn("mnist1d", 20_000)
    assert data.features == (40,)
    assert abs(data.train_x.mean(dtype=np.float64)) < 0.05
    assert abs(data.train_x.std(dtype=np.float64) - 1) < 0.05
    counts = np.bincount(data.train_y, minlength=10)
    assert ((counts - 2000) ** 2 / 2000).sum() < 28  # chi square of 9: 1 in 1000
    means = np.array([data.train_x[data.train_y == c].mean(axis=0) for c in range(10)])
    nearest = (data.test_x @ means.T - 0.5 * (means**2).sum(axis=1)).argmax(axis=1)
    assert (nearest == data.test_y).mean() > 0.15


@pytest.mark.parametrize(
    ("fields", "piece"),
    [
        ({"name": "perceptron", "dimension": 10**6}, "lower examples or dimension"),
        ({"name": "perceptron", "dimension": 1000, "examples": 2**32}, "lower examples"),
        ({"name": "mnist1d", "examples": 2**32}, "lower examples"),
        ({"name": "spectrum", "dimension": 1000, "exponent": 19.0}, "beyond float32"),
        (
            {"name": "teacher", "dimension": 2**20, "teacher_width": 2**20, "teacher_depth": 2},
            "more than fit",
        ),
        ({"name": "information", "dimension": 10**6, "teacher_width": 10**6}, "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_drawn(fields, piece):
    with pytest.raises(InputError, match=piece):
        load_data(DataSpec(**fields))


def test_a_teacher_that_says_nothing_is_refused():
    # One neuron a layer: of thirty in a row one never wakes, but for one seed in very many.
    spec = DataSpec(name="teacher", dimension=1, teacher_width=1, teacher_depth=30)
    with pytest.raises(InputError, match="the same for all inputs"):
        load_data(spec)


def test_power_law_of_the_theory_is_the_one_used():
    exact = data_spectrum(DataSpec(name="spectrum", dimension=500, exponent=0.3))
    same = power_law(b=1.3, M=500, iid=True)
    np.testing.assert_allclose(exact.lam, same.lam)
