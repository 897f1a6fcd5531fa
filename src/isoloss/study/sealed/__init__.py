"""Forecasts written down before the truth is known, scored after, and the record of them all."""

from isoloss.study.sealed.calibration import Calibration, calibration
from isoloss.study.sealed.check import SealCheck, check_sealed
from isoloss.study.sealed.file import SealedForecast, read_sealed
from isoloss.study.sealed.make import seal
from isoloss.study.sealed.record import Record, add_score, add_sealed, read_record
from isoloss.study.sealed.rules import clopper_pearson, crps, interval_score
from isoloss.study.sealed.score import Score, score_sealed

__all__ = [
    "Calibration",
    "Record",
    "Score",
    "SealCheck",
    "SealedForecast",
    "add_score",
    "add_sealed",
    "calibration",
    "check_sealed",
    "clopper_pearson",
    "crps",
    "interval_score",
    "read_record",
    "read_sealed",
    "score_sealed",
    "seal",
]
