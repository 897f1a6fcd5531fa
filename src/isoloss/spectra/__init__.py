"""From features to their spectrum, its exponents, and the learning curve that it predicts."""

from isoloss.spectra.check import CurveCheck, check_prediction
from isoloss.spectra.curve import PredictedCurve, predict_curve
from isoloss.spectra.deconvolve import Deconvolved, to_spectrum
from isoloss.spectra.dimension import Dimension, dimension_bias, intrinsic_dimension
from isoloss.spectra.exponent import (
    SpectralExponent,
    TargetExponent,
    default_range,
    spectral_exponent,
    target_exponent,
)
from isoloss.spectra.features import Features, as_features
from isoloss.spectra.gram import Sample
from isoloss.spectra.kernels import mlp_kernel
from isoloss.spectra.measure import MeasuredSpectrum, measure_spectrum
from isoloss.spectra.routes import Route, data_exponents
from isoloss.spectra.study import SpectrumStudy, study_spectrum

__all__ = [
    "CurveCheck",
    "Deconvolved",
    "Dimension",
    "Features",
    "MeasuredSpectrum",
    "PredictedCurve",
    "Route",
    "Sample",
    "SpectralExponent",
    "SpectrumStudy",
    "TargetExponent",
    "as_features",
    "check_prediction",
    "data_exponents",
    "default_range",
    "dimension_bias",
    "intrinsic_dimension",
    "measure_spectrum",
    "mlp_kernel",
    "predict_curve",
    "spectral_exponent",
    "study_spectrum",
    "target_exponent",
    "to_spectrum",
]
