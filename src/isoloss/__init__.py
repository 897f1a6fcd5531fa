"""isoloss: fit, forecast and plan with neural scaling laws.

>>> import isoloss
>>> runs = isoloss.embedded_runs()
>>> law = isoloss.fit(runs, "chinchilla", draws=0)
>>> law.status in ("ok", "suspect")
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name to where it lives; nothing is imported before it is asked for.
_HOME = {
    "InputError": "isoloss.errors:InputError",
    "FitError": "isoloss.errors:FitError",
    "IsolossError": "isoloss.errors:IsolossError",
    "LawError": "isoloss.errors:LawError",
    "Fit": "isoloss.fit:Fit",
    "Huber": "isoloss.fit:Huber",
    "Interval": "isoloss._core.interval:Interval",
    "Law": "isoloss.laws:Law",
    "LawSet": "isoloss.fit:LawSet",
    "LeastAbsolute": "isoloss.fit:LeastAbsolute",
    "LeastSquares": "isoloss.fit:LeastSquares",
    "OneSided": "isoloss.fit:OneSided",
    "PUBLISHED": "isoloss.laws:PUBLISHED",
    "Regression": "isoloss.fit:Regression",
    "Runs": "isoloss.runs:Runs",
    "allocate": "isoloss.plan:allocate",
    "backtest": "isoloss.fit:backtest",
    "bootstrap": "isoloss.fit:bootstrap",
    "embedded_runs": "isoloss.runs:embedded_runs",
    "fit": "isoloss.fit",
    "fit_laws": "isoloss.fit:fit_laws",
    "forecast": "isoloss.study:forecast_runs",
    "get_law": "isoloss.laws:get_law",
    "law_from_expression": "isoloss.laws:law_from_expression",
    "law_names": "isoloss.laws:law_names",
    "plan_runs": "isoloss.study:plan_runs",
    "read_runs": "isoloss.runs:read_runs",
    "regress": "isoloss.fit:regress",
    "study": "isoloss.study",
}

if TYPE_CHECKING:
    from isoloss._core.interval import Interval as Interval
    from isoloss.errors import FitError as FitError
    from isoloss.errors import InputError as InputError
    from isoloss.errors import IsolossError as IsolossError
    from isoloss.errors import LawError as LawError
    from isoloss.fit import Fit as Fit
    from isoloss.fit import Huber as Huber
    from isoloss.fit import LawSet as LawSet
    from isoloss.fit import LeastAbsolute as LeastAbsolute
    from isoloss.fit import LeastSquares as LeastSquares
    from isoloss.fit import OneSided as OneSided
    from isoloss.fit import Regression as Regression
    from isoloss.fit import backtest as backtest
    from isoloss.fit import bootstrap as bootstrap
    from isoloss.fit import fit as fit
    from isoloss.fit import fit_laws as fit_laws
    from isoloss.fit import regress as regress
    from isoloss.laws import PUBLISHED as PUBLISHED
    from isoloss.laws import Law as Law
    from isoloss.laws import get_law as get_law
    from isoloss.laws import law_from_expression as law_from_expression
    from isoloss.laws import law_names as law_names
    from isoloss.plan import allocate as allocate
    from isoloss.runs import Runs as Runs
    from isoloss.runs import embedded_runs as embedded_runs
    from isoloss.runs import read_runs as read_runs
    from isoloss.study import forecast_runs as forecast
    from isoloss.study import plan_runs as plan_runs
    from isoloss.study import study as study

__all__ = [
    "PUBLISHED",
    "Fit",
    "FitError",
    "Huber",
    "InputError",
    "Interval",
    "IsolossError",
    "Law",
    "LawError",
    "LawSet",
    "LeastAbsolute",
    "LeastSquares",
    "OneSided",
    "Regression",
    "Runs",
    "__version__",
    "allocate",
    "backtest",
    "bootstrap",
    "embedded_runs",
    "fit",
    "fit_laws",
    "forecast",
    "get_law",
    "law_from_expression",
    "law_names",
    "plan_runs",
    "read_runs",
    "regress",
    "study",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'isoloss' has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    value = import_module(module)
    return getattr(value, attribute) if attribute else value


def __dir__() -> list[str]:
    return list(__all__)
