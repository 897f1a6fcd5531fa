"""From runs to certified fits, law sets and forecasts."""

from isoloss._core.callable_module import make_callable
from isoloss.fit.backtest import Backtest, backtest
from isoloss.fit.certificate import Certificate, Reason
from isoloss.fit.fit import fit
from isoloss.fit.forecast import Forecast, forecast
from isoloss.fit.influence import Influence, influence
from isoloss.fit.jackknife import Jackknife, jackknife
from isoloss.fit.lawset import LawSet
from isoloss.fit.leave_out import Quantity, forecast_of, refit_without
from isoloss.fit.levels import Level, scale_levels
from isoloss.fit.measured_regimes import MeasuredRegimes, measured_regimes
from isoloss.fit.objective import (
    Huber,
    LeastAbsolute,
    LeastSquares,
    Objective,
    OneSided,
    parse_objective,
)
from isoloss.fit.procedure import fit_laws
from isoloss.fit.profile import profile
from isoloss.fit.profile_result import Profile
from isoloss.fit.regress import regress
from isoloss.fit.regression import Regression
from isoloss.fit.result import Fit
from isoloss.fit.rivals import telling_runs
from isoloss.fit.scales import ScaleInfluence, scale_influence
from isoloss.fit.telling import TellingRun, TellingRuns
from isoloss.fit.uncertainty import bootstrap, bootstrap_responses

__all__ = [
    "Backtest",
    "Certificate",
    "Fit",
    "Forecast",
    "Huber",
    "Influence",
    "Jackknife",
    "LawSet",
    "LeastAbsolute",
    "LeastSquares",
    "Level",
    "MeasuredRegimes",
    "Objective",
    "OneSided",
    "Profile",
    "Quantity",
    "Reason",
    "Regression",
    "ScaleInfluence",
    "TellingRun",
    "TellingRuns",
    "backtest",
    "bootstrap",
    "bootstrap_responses",
    "fit",
    "fit_laws",
    "forecast",
    "forecast_of",
    "influence",
    "jackknife",
    "measured_regimes",
    "parse_objective",
    "profile",
    "refit_without",
    "regress",
    "scale_influence",
    "scale_levels",
    "telling_runs",
]

make_callable(__name__)
