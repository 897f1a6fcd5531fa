import inspect

import pytest

import isoloss

NAMES = {
    "__version__", "FitError", "Fit", "Huber", "InputError", "Interval", "IsolossError", "Law",
    "LawError", "LawSet", "LeastAbsolute", "LeastSquares", "OneSided", "PUBLISHED", "Regression",
    "Runs",
    "allocate", "backtest", "bootstrap", "embedded_runs", "fit", "fit_laws", "forecast",
    "get_law", "law_from_expression", "law_names", "plan_runs", "read_runs", "regress", "study",
}  # fmt: skip
VERBS = {
    "fit": ["runs", "law"],
    "fit_laws": ["runs", "laws"],
    "forecast": ["runs", "at"],
    "plan_runs": ["runs", "budget"],
    "study": ["runs"],
    "read_runs": ["source"],
    "regress": ["columns", "formula"],
}


def test_the_public_names_are_these():
    assert set(dir(isoloss)) == NAMES == set(isoloss.__all__)


def test_every_public_name_is_there_and_says_what_it_is():
    for name in NAMES - {"__version__", "PUBLISHED"}:
        assert inspect.getdoc(getattr(isoloss, name)), name


def test_data_are_positional_and_policy_is_by_keyword():
    for name, positional in VERBS.items():
        kinds = inspect.signature(getattr(isoloss, name)).parameters
        free = [n for n, p in kinds.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert free == positional, name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        isoloss.nonsense  # noqa: B018


def test_errors_made_on_purpose_share_a_root_and_what_they_replace():
    assert issubclass(isoloss.InputError, isoloss.IsolossError)
    assert issubclass(isoloss.InputError, ValueError)
    assert issubclass(isoloss.LawError, ValueError)
    assert issubclass(isoloss.FitError, isoloss.IsolossError)
    assert issubclass(isoloss.LawError, isoloss.IsolossError)
