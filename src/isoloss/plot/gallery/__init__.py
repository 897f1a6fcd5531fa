"""Pictures of the solvable models: ``*_series`` for numbers, ``draw_*`` for matplotlib.

Each ``draw_*`` takes the numbers of its series, or computes those of the defaults, and makes one
panel of a column's width. Importing this room does not import matplotlib.
"""

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
    model_share_series,
)
from isoloss.plot.gallery.learning import draw_learning_curves, learning_curves_series
from isoloss.plot.gallery.one_pass import (
    draw_sgd_phases,
    draw_sgd_risk,
    sgd_phases_series,
    sgd_risk_series,
)
from isoloss.plot.gallery.perceptron import (
    draw_pruning,
    draw_pruning_fraction,
    draw_pruning_frontier,
    draw_pruning_information,
    pruning_fraction_series,
    pruning_frontier_series,
    pruning_information_series,
    pruning_series,
)
from isoloss.plot.gallery.pictures import draw_gallery, draw_picture, picture_names
from isoloss.plot.gallery.plateau import draw_plateau, plateau_series
from isoloss.plot.gallery.points import draw_point_value, point_value_series
from isoloss.plot.gallery.regime_map import draw_regime_map, regime_map_series
from isoloss.plot.gallery.scale_time import (
    descent_series,
    draw_descent,
    draw_early_noise,
    draw_equivalence,
    early_noise_series,
    equivalence_series,
)
from isoloss.plot.gallery.spectra import (
    draw_nonlinear_spectrum,
    draw_sphere_spectrum,
    nonlinear_spectrum_series,
    sphere_spectrum_series,
)
from isoloss.plot.gallery.training import (
    compute_envelope_series,
    draw_compute_envelope,
    draw_training_curves,
    training_curves_series,
)
from isoloss.plot.gallery.widths import draw_widths, widths_series

__all__ = [
    "compute_envelope_series",
    "descent_series",
    "draw_compute_envelope",
    "draw_descent",
    "draw_early_noise",
    "draw_equivalence",
    "draw_gallery",
    "draw_information_split",
    "draw_learning_curves",
    "draw_model_share",
    "draw_nonlinear_spectrum",
    "draw_optimal_ridge",
    "draw_picture",
    "draw_plateau",
    "draw_point_value",
    "draw_pruning",
    "draw_pruning_fraction",
    "draw_pruning_frontier",
    "draw_pruning_information",
    "draw_regime_map",
    "draw_sgd_phases",
    "draw_sgd_risk",
    "draw_sphere_spectrum",
    "draw_training_curves",
    "draw_valley",
    "draw_widths",
    "early_noise_series",
    "equivalence_series",
    "information_split_series",
    "learning_curves_series",
    "model_share_series",
    "nonlinear_spectrum_series",
    "optimal_ridge_series",
    "picture_names",
    "plateau_series",
    "point_value_series",
    "pruning_fraction_series",
    "pruning_frontier_series",
    "pruning_information_series",
    "pruning_series",
    "regime_map_series",
    "sgd_phases_series",
    "sgd_risk_series",
    "sphere_spectrum_series",
    "training_curves_series",
    "valley_series",
    "widths_series",
]
