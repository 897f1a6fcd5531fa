"""Solvable models of scaling laws: exact curves, their simulation, and where they agree."""

from isoloss.theory.gradients import Gradients, gradients
from isoloss.theory.kappa import Kappa, solve_kappa
from isoloss.theory.optimal import optimal_ridge
from isoloss.theory.ridge import PerSample, RidgeLoss, random_features
from isoloss.theory.spectrum import Spectrum, from_binned, from_modes, power_law
from isoloss.theory.split import Split, best_split

__all__ = [
    "Gradients",
    "Kappa",
    "PerSample",
    "RidgeLoss",
    "Spectrum",
    "Split",
    "best_split",
    "from_binned",
    "from_modes",
    "gradients",
    "optimal_ridge",
    "power_law",
    "random_features",
    "solve_kappa",
]
