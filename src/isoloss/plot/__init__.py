"""Pictures of a study: ``draw_*`` for matplotlib, ``*_series`` for the numbers they show.

Importing this room does not import matplotlib; calling a ``draw_*`` function does.
"""

from isoloss.plot.draw import (
    draw_backtest,
    draw_fan,
    draw_influence,
    draw_isoloss,
    draw_residuals,
    draw_weights,
)
from isoloss.plot.reliability import draw_reliability, reliability_series
from isoloss.plot.save import svg_bytes
from isoloss.plot.series import (
    backtest_series,
    fan_series,
    forecast_series,
    influence_series,
    isoloss_series,
    path_series,
    price_series,
    residuals_series,
    runs_series,
    weights_series,
)

__all__ = [
    "backtest_series",
    "draw_backtest",
    "draw_fan",
    "draw_influence",
    "draw_isoloss",
    "draw_reliability",
    "draw_residuals",
    "draw_weights",
    "fan_series",
    "forecast_series",
    "influence_series",
    "isoloss_series",
    "path_series",
    "price_series",
    "reliability_series",
    "residuals_series",
    "runs_series",
    "svg_bytes",
    "weights_series",
]
