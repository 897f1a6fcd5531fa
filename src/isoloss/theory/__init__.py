"""Solvable models of scaling laws: exact curves, their simulation, and where they agree."""

from isoloss.theory.agreement import (
    Agreement,
    agree_gradient_descent,
    agree_gradient_flow,
    agree_random_features,
    agree_sgd,
)
from isoloss.theory.compute_optimal import ComputeOptimal, compute_optimal
from isoloss.theory.contributions import (
    Contributions,
    group_contributions,
    stream_contributions,
)
from isoloss.theory.elo import Ratings, elo_ratings, win_probability
from isoloss.theory.error_curve import ErrorCurve, fit_error_curve
from isoloss.theory.exchange import Exchange, exchange
from isoloss.theory.exponents import (
    Asymptote,
    ComputeExponents,
    compute_exponents,
    data_asymptote,
    early_model_cost,
    model_asymptote,
    noisy_kernel_exponent,
    spectral_constant,
    time_asymptote,
)
from isoloss.theory.feature_test import FeatureCurves, feature_curves, measured_spectrum
from isoloss.theory.flow import (
    flow_ensemble,
    gradient_descent,
    gradient_flow,
    transfer,
)
from isoloss.theory.information import (
    BoundConstants,
    InformationBound,
    distinct_atoms,
    first_sticks_error,
    information_bound,
)
from isoloss.theory.information_optimum import (
    InformationOptimum,
    few_neurons,
    information_optimum,
    many_neurons,
    two_term_optimum,
)
from isoloss.theory.kappa import Kappa, solve_kappa
from isoloss.theory.kernel import KernelLoss, kernel_regression
from isoloss.theory.linear_flow import (
    LinearFlow,
    peak_time,
    scale_time,
    scale_time_law,
    two_group_spectrum,
    two_groups,
)
from isoloss.theory.linear_flow_draw import (
    agree_scale_time,
    simulate_scale_time,
    simulate_two_groups,
)
from isoloss.theory.manifold import (
    DimensionExponents,
    Interpolation,
    dimension_exponents,
    kernel_exponent,
    simulate_interpolation,
)
from isoloss.theory.nonlinear import chaos_spectrum, gaussian_equivalent, sphere_spectrum
from isoloss.theory.optimal import optimal_ridge
from isoloss.theory.perceptron import PrunedPerceptron, pruned_perceptron
from isoloss.theory.perceptron_gibbs import VersionSpace, version_space
from isoloss.theory.perceptron_limits import (
    beyond_capacity,
    few_examples,
    growing_pool,
    many_examples,
    margin_constant,
    over_pruned,
    probe_angle,
)
from isoloss.theory.perceptron_optimal import (
    Frontier,
    crossover,
    frontier,
    lossless_fraction,
    optimal_fraction,
)
from isoloss.theory.perceptron_simulate import agree_perceptron, simulate_perceptron
from isoloss.theory.phases import Phase, Terms, sgd_phase, sgd_terms
from isoloss.theory.point_draw import (
    draw_contributions,
    draw_mean_contributions,
    mean_contribution,
)
from isoloss.theory.point_select import Selection, select_points
from isoloss.theory.point_value import PointLaws, fit_points, fit_stream, join_points
from isoloss.theory.power_sums import mean_power
from isoloss.theory.regime import Regimes, classify, regimes
from isoloss.theory.ridge import PerSample, RidgeLoss, random_features
from isoloss.theory.schedule import Schedule
from isoloss.theory.scheduled import ScheduledRisk, scheduled_sgd
from isoloss.theory.sensitivity import Gradients, gradients
from isoloss.theory.sgd import SgdRisk, one_pass_sgd, sgd_spectrum
from isoloss.theory.simulate import (
    Simulated,
    simulate_gradient_descent,
    simulate_gradient_flow,
    simulate_random_features,
    simulate_sgd,
)
from isoloss.theory.smooth_loss import Logistic, Quadratic, SmoothLoss
from isoloss.theory.spectrum import Spectrum, from_binned, from_modes, power_law
from isoloss.theory.split import Split, best_split
from isoloss.theory.subspace import (
    SubspaceFlow,
    simulate_subspace,
    subspace_deviation,
    subspace_flow,
)
from isoloss.theory.surrogate import agree_surrogate
from isoloss.theory.teacher import DirichletTeacher, draw_teacher, logit_divergence
from isoloss.theory.time_loss import TimeLoss
from isoloss.theory.turns import Turns, find_turns
from isoloss.theory.width import WidthConsistency, WidthLosses, width_consistency, width_losses
from isoloss.theory.width_simulate import SimulatedWidths, simulate_widths
from isoloss.theory.width_slope import WidthExponent

__all__ = [
    "Agreement",
    "Asymptote",
    "BoundConstants",
    "ComputeExponents",
    "ComputeOptimal",
    "Contributions",
    "DimensionExponents",
    "DirichletTeacher",
    "ErrorCurve",
    "Exchange",
    "FeatureCurves",
    "Frontier",
    "Gradients",
    "InformationBound",
    "InformationOptimum",
    "Interpolation",
    "Kappa",
    "KernelLoss",
    "LinearFlow",
    "Logistic",
    "PerSample",
    "Phase",
    "PointLaws",
    "PrunedPerceptron",
    "Quadratic",
    "Ratings",
    "Regimes",
    "RidgeLoss",
    "Schedule",
    "ScheduledRisk",
    "Selection",
    "SgdRisk",
    "Simulated",
    "SimulatedWidths",
    "SmoothLoss",
    "Spectrum",
    "Split",
    "SubspaceFlow",
    "Terms",
    "TimeLoss",
    "Turns",
    "VersionSpace",
    "WidthConsistency",
    "WidthExponent",
    "WidthLosses",
    "agree_gradient_descent",
    "agree_gradient_flow",
    "agree_perceptron",
    "agree_random_features",
    "agree_scale_time",
    "agree_sgd",
    "agree_surrogate",
    "best_split",
    "beyond_capacity",
    "chaos_spectrum",
    "classify",
    "compute_exponents",
    "compute_optimal",
    "crossover",
    "data_asymptote",
    "dimension_exponents",
    "distinct_atoms",
    "draw_contributions",
    "draw_mean_contributions",
    "draw_teacher",
    "early_model_cost",
    "elo_ratings",
    "exchange",
    "feature_curves",
    "few_examples",
    "few_neurons",
    "find_turns",
    "first_sticks_error",
    "fit_error_curve",
    "fit_points",
    "fit_stream",
    "flow_ensemble",
    "from_binned",
    "from_modes",
    "frontier",
    "gaussian_equivalent",
    "gradient_descent",
    "gradient_flow",
    "gradients",
    "group_contributions",
    "growing_pool",
    "information_bound",
    "information_optimum",
    "join_points",
    "kernel_exponent",
    "kernel_regression",
    "logit_divergence",
    "lossless_fraction",
    "many_examples",
    "many_neurons",
    "margin_constant",
    "mean_contribution",
    "mean_power",
    "measured_spectrum",
    "model_asymptote",
    "noisy_kernel_exponent",
    "one_pass_sgd",
    "optimal_fraction",
    "optimal_ridge",
    "over_pruned",
    "peak_time",
    "power_law",
    "probe_angle",
    "pruned_perceptron",
    "random_features",
    "regimes",
    "scale_time",
    "scale_time_law",
    "scheduled_sgd",
    "select_points",
    "sgd_phase",
    "sgd_spectrum",
    "sgd_terms",
    "simulate_gradient_descent",
    "simulate_gradient_flow",
    "simulate_interpolation",
    "simulate_perceptron",
    "simulate_random_features",
    "simulate_scale_time",
    "simulate_sgd",
    "simulate_subspace",
    "simulate_two_groups",
    "simulate_widths",
    "solve_kappa",
    "spectral_constant",
    "sphere_spectrum",
    "stream_contributions",
    "subspace_deviation",
    "subspace_flow",
    "time_asymptote",
    "transfer",
    "two_group_spectrum",
    "two_groups",
    "two_term_optimum",
    "version_space",
    "width_consistency",
    "width_losses",
    "win_probability",
]
