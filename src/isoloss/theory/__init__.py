"""Solvable models of scaling laws: exact curves, their simulation, and where they agree."""

from isoloss.theory.agreement import (
    Agreement,
    agree_gradient_descent,
    agree_gradient_flow,
    agree_random_features,
    agree_sgd,
)
from isoloss.theory.compute_optimal import ComputeOptimal, compute_optimal
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
from isoloss.theory.flow import (
    TimeLoss,
    flow_ensemble,
    gradient_descent,
    gradient_flow,
    transfer,
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
from isoloss.theory.regime import Regimes, classify, regimes
from isoloss.theory.ridge import PerSample, RidgeLoss, random_features
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

__all__ = [
    "Agreement",
    "Asymptote",
    "ComputeExponents",
    "ComputeOptimal",
    "DimensionExponents",
    "Frontier",
    "Gradients",
    "Interpolation",
    "Kappa",
    "KernelLoss",
    "PerSample",
    "Phase",
    "PrunedPerceptron",
    "Regimes",
    "RidgeLoss",
    "SgdRisk",
    "Simulated",
    "Spectrum",
    "Split",
    "Terms",
    "TimeLoss",
    "VersionSpace",
    "agree_gradient_descent",
    "agree_gradient_flow",
    "agree_perceptron",
    "agree_random_features",
    "agree_sgd",
    "best_split",
    "beyond_capacity",
    "chaos_spectrum",
    "classify",
    "compute_exponents",
    "compute_optimal",
    "crossover",
    "data_asymptote",
    "dimension_exponents",
    "early_model_cost",
    "few_examples",
    "flow_ensemble",
    "from_binned",
    "from_modes",
    "frontier",
    "gaussian_equivalent",
    "gradient_descent",
    "gradient_flow",
    "gradients",
    "growing_pool",
    "kernel_exponent",
    "kernel_regression",
    "lossless_fraction",
    "many_examples",
    "margin_constant",
    "model_asymptote",
    "noisy_kernel_exponent",
    "one_pass_sgd",
    "optimal_fraction",
    "optimal_ridge",
    "over_pruned",
    "power_law",
    "probe_angle",
    "pruned_perceptron",
    "random_features",
    "regimes",
    "sgd_phase",
    "sgd_spectrum",
    "sgd_terms",
    "simulate_gradient_descent",
    "simulate_gradient_flow",
    "simulate_interpolation",
    "simulate_perceptron",
    "simulate_random_features",
    "simulate_sgd",
    "solve_kappa",
    "spectral_constant",
    "sphere_spectrum",
    "time_asymptote",
    "transfer",
    "version_space",
]
