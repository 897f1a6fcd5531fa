"""Every picture of the gallery, and all of them written to a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isoloss._core.serial import write_atomic
from isoloss.errors import InputError
from isoloss.plot.gallery.balance import (
    draw_optimal_ridge,
    draw_valley,
    optimal_ridge_series,
    valley_series,
)
from isoloss.plot.gallery.information import (
    draw_information_split,
    draw_model_share,
    information_split_series,
)
from isoloss.plot.gallery.learning import draw_learning_curves, learning_curves_series
from isoloss.plot.gallery.one_pass import draw_sgd_phases, draw_sgd_risk, sgd_risk_series
from isoloss.plot.gallery.perceptron import (
    draw_pruning,
    draw_pruning_fraction,
    draw_pruning_frontier,
    draw_pruning_information,
    pruning_series,
)
from isoloss.plot.gallery.plateau import draw_plateau, plateau_series
from isoloss.plot.gallery.points import draw_point_value
from isoloss.plot.gallery.regime_map import draw_regime_map, regime_map_series
from isoloss.plot.gallery.scale_time import (
    descent_series,
    draw_descent,
    draw_early_noise,
    draw_equivalence,
    equivalence_series,
)
from isoloss.plot.gallery.spectra import (
    draw_nonlinear_spectrum,
    draw_sphere_spectrum,
    nonlinear_spectrum_series,
)
from isoloss.plot.gallery.style import panels
from isoloss.plot.gallery.training import (
    draw_compute_envelope,
    draw_training_curves,
    training_curves_series,
)
from isoloss.plot.gallery.widths import draw_widths, widths_series
from isoloss.plot.save import png_bytes, svg_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OnStep = Callable[[str], None]


def picture_names() -> tuple[str, ...]:
    """Names of the pictures, in the order of the page that shows them.

    Examples
    --------
    >>> picture_names()[0]
    'learning-curves'
    """
    return tuple(_PICTURES)


def draw_picture(name: str, *, simulate: int = 10, rng: int = 0) -> Axes:
    """Draw one picture of the gallery; its figure holds one panel or two.

    Parameters
    ----------
    name
        One of `picture_names`.
    simulate, rng
        Draws a simulated point, 2 or more, or 0 for none; and their seed.

    Returns
    -------
    matplotlib.axes.Axes
        The first panel.

    Raises
    ------
    InputError
        If there is no picture of that name, or a number of draws cannot be used.
    MissingExtra
        Without matplotlib.
    """
    if name not in _PICTURES:
        raise InputError(f"name = {name!r}: write one of {', '.join(_PICTURES)}")
    if simulate < 0 or simulate == 1:
        raise InputError(f"simulate = {simulate!r}: must be 0, or 2 and more for a standard error")
    return _PICTURES[name](simulate, rng)


def draw_gallery(
    folder: Path | str, *, only: Sequence[str] = (), simulate: int = 10, rng: int = 0,
    png: bool = False, on_step: OnStep | None = None,
) -> list[Path]:  # fmt: skip
    """Draw the pictures and write each as soon as it stands, as SVG of the same bytes each time.

    Parameters
    ----------
    folder
        Where to; made if it is not there.
    only
        Names of pictures; all when absent.
    simulate, rng
        As in `draw_picture`.
    png
        Write PNG as well.
    on_step
        Called with a sentence before each picture.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        As `draw_picture`.
    MissingExtra
        Without matplotlib.
    """
    names = list(only) or list(_PICTURES)
    files = []
    for i, name in enumerate(names):
        if on_step:
            on_step(f"{name}, picture {i + 1} of {len(names)}")
        ax = draw_picture(name, simulate=simulate, rng=rng)
        files.append(Path(folder) / f"{name}.svg")
        write_atomic(files[-1], svg_bytes(ax))
        if png:
            files.append(Path(folder) / f"{name}.png")
            write_atomic(files[-1], png_bytes(ax))
    return files


def _learning_curves(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    for ax, ridge in zip(axes, ("ridgeless", "optimal"), strict=True):
        draw_learning_curves(learning_curves_series(ridge=ridge, simulate=simulate, rng=rng), ax=ax)
    return axes[0]


def _optimal_ridge(simulate: int, rng: int) -> Axes:
    return draw_optimal_ridge(optimal_ridge_series())


def _best_split(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    for ax, held in zip(axes, ("N*T", "N+T"), strict=True):
        draw_valley(valley_series(constraint=held, simulate=simulate, rng=rng), ax=ax)
    return axes[0]


def _plateau(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    for ax, noise in zip(axes, (0.0, 1e-3), strict=True):
        draw_plateau(plateau_series(noise=noise, simulate=simulate, rng=rng), ax=ax)
    return axes[0]


def _out_of_reach(simulate: int, rng: int) -> Axes:
    return draw_plateau(plateau_series(beyond=True, simulate=simulate, rng=rng))


def _nonlinear_spectra(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    draw_nonlinear_spectrum(nonlinear_spectrum_series(simulate=simulate, rng=rng), ax=axes[0])
    draw_sphere_spectrum(ax=axes[1])
    return axes[0]


def _regimes(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    draw_regime_map(regime_map_series(M=3000), ax=axes[0])
    draw_regime_map(regime_map_series(ridge="optimal", noise=0.1), ax=axes[1])
    return axes[0]


def _training(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    draw_training_curves(training_curves_series(simulate=simulate, rng=rng), ax=axes[0])
    draw_compute_envelope(ax=axes[1])
    return axes[0]


def _one_pass_sgd(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    draw_sgd_phases(ax=axes[0])
    draw_sgd_risk(sgd_risk_series(simulate=simulate, rng=rng), ax=axes[1])
    return axes[0]


def _widths(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    for ax, t in zip(axes, (5.0, 500.0), strict=True):
        draw_widths(widths_series(t=t, rng=rng), ax=ax)
    return axes[0]


def _information_split(simulate: int, rng: int) -> Axes:
    axes, series = panels(2), information_split_series()
    for ax, quantity in zip(axes, ("n", "T"), strict=True):
        draw_information_split(series, quantity=quantity, ax=ax)
    return axes[0]


def _model_share(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    draw_model_share(ax=axes[0])
    draw_information_split(quantity="loss", ax=axes[1])
    return axes[0]


def _scale_time(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    for ax, together in zip(axes, (False, True), strict=True):
        series = equivalence_series(collapsed=together, simulate=simulate, rng=rng)
        draw_equivalence(series, ax=ax)
    return axes[0]


def _three_descents(simulate: int, rng: int) -> Axes:
    axes = panels(3)
    for ax, axis in zip(axes, ("D", "t", "p"), strict=True):
        draw_descent(descent_series(axis, simulate=simulate, rng=rng), ax=ax)
    return axes[0]


def _early_noise(simulate: int, rng: int) -> Axes:
    return draw_early_noise()


def _point_value(simulate: int, rng: int) -> Axes:
    return draw_point_value()


def _pruning(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    for ax, keep in zip(axes, ("hard", "easy"), strict=True):
        draw_pruning(pruning_series(keep=keep, simulate=simulate, rng=rng), ax=ax)
    return axes[0]


def _pruning_frontier(simulate: int, rng: int) -> Axes:
    axes = panels(2)
    draw_pruning_fraction(ax=axes[0])
    draw_pruning_frontier(ax=axes[1])
    return axes[0]


def _pruning_information(simulate: int, rng: int) -> Axes:
    return draw_pruning_information()


_PICTURES: dict[str, Callable[[int, int], Axes]] = {
    "learning-curves": _learning_curves,
    "optimal-ridge": _optimal_ridge,
    "best-split": _best_split,
    "plateau": _plateau,
    "out-of-reach": _out_of_reach,
    "nonlinear-spectra": _nonlinear_spectra,
    "regimes": _regimes,
    "training": _training,
    "one-pass-sgd": _one_pass_sgd,
    "widths": _widths,
    "information-split": _information_split,
    "model-share": _model_share,
    "scale-time": _scale_time,
    "three-descents": _three_descents,
    "early-noise": _early_noise,
    "point-value": _point_value,
    "pruning": _pruning,
    "pruning-frontier": _pruning_frontier,
    "pruning-information": _pruning_information,
}
