"""One ledger of N, D and FLOPs: descriptions of models, their counts, and conventions."""

from isoloss.runs.counting.bill import (
    HARDWARE,
    Hardware,
    TrainingBill,
    model_utilisation,
    training_bill,
)
from isoloss.runs.counting.compare import ConventionRow, ConventionTable, compare_conventions
from isoloss.runs.counting.conventions import CONVENTIONS, Convention, get_convention
from isoloss.runs.counting.convert import convert_runs, describe_runs
from isoloss.runs.counting.count import count_model
from isoloss.runs.counting.decoder import DecoderModel, Experts
from isoloss.runs.counting.describe import ModelFile, model_from, read_model
from isoloss.runs.counting.near import NearShape, shapes_near
from isoloss.runs.counting.terms import ModelCounts, Term
from isoloss.runs.counting.vision import ConvModel, Layer, MlpModel, VitModel

__all__ = [
    "CONVENTIONS",
    "HARDWARE",
    "ConvModel",
    "Convention",
    "ConventionRow",
    "ConventionTable",
    "DecoderModel",
    "Experts",
    "Hardware",
    "Layer",
    "MlpModel",
    "ModelCounts",
    "ModelFile",
    "NearShape",
    "Term",
    "TrainingBill",
    "VitModel",
    "compare_conventions",
    "convert_runs",
    "count_model",
    "describe_runs",
    "get_convention",
    "model_from",
    "model_utilisation",
    "read_model",
    "shapes_near",
    "training_bill",
]
