"""Solvable models of scaling laws: exact curves, their simulation, and where they agree."""

from isoloss.theory.agreement import (
    Agreement,
    agree_gradient_descent,
    agree_gradient_flow,
    agree_random_features,
    agree_sgd,
)
from isoloss.theory.compute_optimal import ComputeOptimal, compute_optimal
from isoloss.theory.elo import Ratings, elo_ratings, win_probability
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
from isoloss.theory.manifold import (
    DimensionExponents,
    Interpolation,
    dimension_exponents,
    kernel_exponent,
    simulate_interpolation,
)
from isoloss.theory.nonlinear import chaos_spectrum, gaussian_equivalent, sphere_spectrum
from isoloss.theory.optimal import optimal_ridge
from isoloss.theory.phases import Phase, Terms, sgd_phase, sgd_terms
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
from isoloss.theory.spectrum import Spectrum, from_binned, from_modes, power_law
from isoloss.theory.split import Split, best_split
from isoloss.theory.surrogate import agree_surrogate
from isoloss.theory.teacher import DirichletTeacher, draw_teacher, logit_divergence
from isoloss.theory.time_loss import TimeLoss
from isoloss.theory.width import WidthConsistency, WidthLosses, width_consistency, width_losses
from isoloss.theory.width_simulate import SimulatedWidths, simulate_widths
from isoloss.theory.width_slope import WidthExponent

__all__ = [
    "Agreement",
    "Asymptote",
    "BoundConstants",
    "ComputeExponents",
    "ComputeOptimal",
    "DimensionExponents",
    "DirichletTeacher",
    "FeatureCurves",
    "Gradients",
    "InformationBound",
    "InformationOptimum",
    "Interpolation",
    "Kappa",
    "KernelLoss",
    "PerSample",
    "Phase",
    "Ratings",
    "Regimes",
    "RidgeLoss",
    "Schedule",
    "ScheduledRisk",
    "SgdRisk",
    "Simulated",
    "SimulatedWidths",
    "Spectrum",
    "Split",
    "Terms",
    "TimeLoss",
    "WidthConsistency",
    "WidthExponent",
    "WidthLosses",
    "agree_gradient_descent",
    "agree_gradient_flow",
    "agree_random_features",
    "agree_sgd",
    "agree_surrogate",
    "best_split",
    "chaos_spectrum",
    "classify",
    "compute_exponents",
    "compute_optimal",
    "data_asymptote",
    "dimension_exponents",
    "distinct_atoms",
    "draw_teacher",
    "early_model_cost",
    "elo_ratings",
    "feature_curves",
    "few_neurons",
    "first_sticks_error",
    "flow_ensemble",
    "from_binned",
    "from_modes",
    "gaussian_equivalent",
    "gradient_descent",
    "gradient_flow",
    "gradients",
    "information_bound",
    "information_optimum",
    "kernel_exponent",
    "kernel_regression",
    "logit_divergence",
    "many_neurons",
    "measured_spectrum",
    "model_asymptote",
    "noisy_kernel_exponent",
    "one_pass_sgd",
    "optimal_ridge",
    "power_law",
    "random_features",
    "regimes",
    "scheduled_sgd",
    "sgd_phase",
    "sgd_spectrum",
    "sgd_terms",
    "simulate_gradient_descent",
    "simulate_gradient_flow",
    "simulate_interpolation",
    "simulate_random_features",
    "simulate_sgd",
    "simulate_widths",
    "solve_kappa",
    "spectral_constant",
    "sphere_spectrum",
    "time_asymptote",
    "transfer",
    "two_term_optimum",
    "width_consistency",
    "width_losses",
    "win_probability",
]
