r"""Ratings of players from the games between them: the model of Bradley and Terry.

Player i beats j with chance :math:`g_i/(g_i + g_j)`; the rating is :math:`400 \log_{10} g`.
Strengths that are a power of size, :math:`g = A N^\alpha`, are ratings that rise by
:math:`400\,\alpha` a decade of N.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_vector, freeze
from isoloss._core.interval import Interval
from isoloss.errors import FitError, InputError
from isoloss.theory.checks import as_amount, as_numbers

_POINTS = 400 / math.log(10)
"""Elo points of a factor e in strength."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ratings:
    """Elo ratings of players, counted from their mean.

    Attributes
    ----------
    players
        Names, in the order of `elo`.
    elo
        Ratings, (k,).
    covariance
        Of the ratings, (k, k); it has no part along a shift of all.
    level
        Of the intervals.
    residual
        Largest difference of won and expected games of one player, over all that player's games.
    """

    players: tuple[str, ...]
    elo: Array
    covariance: Array
    level: float
    residual: float

    def __post_init__(self) -> None:
        for name in ("elo", "covariance"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        best = int(np.argmax(self.elo))
        return (
            f"Ratings({len(self.players)} players, best {self.players[best]} at "
            f"{self.elo[best]:+.1f} from the mean)"
        )

    @property
    def strength(self) -> Array:
        """g, with geometric mean one: what the law ``growth`` is fitted to."""
        return np.asarray(np.exp(self.elo / _POINTS))

    def interval(self, player: str, over: str | None = None) -> Interval:
        """Interval of a rating from the mean, or of the difference to another player."""
        weights = np.zeros(len(self.players))
        weights[self._index(player)] += 1
        if over is not None:
            weights[self._index(over)] -= 1
        middle, sd = float(weights @ self.elo), math.sqrt(weights @ self.covariance @ weights)
        half = sd * _normal(self.level)
        return Interval(
            low=middle - half, high=middle + half, level=self.level, method="normal, curvature"
        )

    def _index(self, player: str) -> int:
        if player not in self.players:
            raise InputError(f"player {player!r}: not among {', '.join(self.players)}")
        return self.players.index(player)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "players": list(self.players),
            "elo": self.elo.tolist(),
            "intervals": [self.interval(p).to_dict() for p in self.players],
            "covariance": self.covariance.tolist(),
            "residual": self.residual,
        }


def win_probability(elo: npt.ArrayLike) -> Array:
    """Chance to beat a player who is rated ``elo`` points lower.

    Raises
    ------
    InputError
        If a value is no number.

    Examples
    --------
    >>> win_probability([0, 400]).round(4)
    array([0.5   , 0.9091])
    """
    from scipy.special import expit

    return np.asarray(expit(as_numbers("elo", elo) / _POINTS))


def elo_ratings(
    first: Sequence[Any],
    second: Sequence[Any],
    wins: npt.ArrayLike,
    games: npt.ArrayLike,
    *,
    prior: float = 0.0,
    level: float = 0.9,
) -> Ratings:
    r"""Fit ratings to games between pairs, by maximum likelihood.

    Maximises :math:`\sum w_{ij} \log \frac{g_i}{g_i + g_j}`, concave in log g, by Newton's method.

    Parameters
    ----------
    first, second
        Names of the two players, one row a pair; a pair may have several rows.
    wins
        Games that the first won, a draw counting half.
    games
        Games that they played.
    prior
        Drawn games added to every pair that met, as BayesElo adds virtual draws, though it deals
        them out otherwise. Without it a player who won, or lost, every game has no finite rating.
    level
        Of the intervals, which take games for independent. Draws scatter less than that.

    Returns
    -------
    Ratings

    Raises
    ------
    InputError
        If the table is not one of games, or the ratings are not finite or not comparable.
    FitError
        If the optimum was not reached.

    References
    ----------
    Bradley and Terry 1952, Biometrika 39:324; Ford 1957 on when the optimum is finite. Used for
    AlphaZero by Neumann and Gros, arXiv:2210.00849.

    Examples
    --------
    >>> found = elo_ratings(["big", "mid"], ["mid", "small"], wins=[75, 80], games=[100, 100])
    >>> found
    Ratings(3 players, best big at +207.5 from the mean)
    >>> found.interval("big", over="mid")
    [124.86, 256.837] (90 %, normal, curvature)
    """
    level, extra = as_level(level), as_amount("prior", prior)
    won, played = as_vector("wins", wins), as_vector("games", games)
    names = [str(n) for n in first], [str(n) for n in second]
    lengths = {len(names[0]), len(names[1]), len(won), len(played)}
    if len(lengths) > 1:
        raise InputError(
            f"first, second, wins, games: lengths {len(names[0])}, {len(names[1])}, {len(won)}, "
            f"{len(played)} differ; one row a pair"
        )
    for row, (a, b, w, m) in enumerate(zip(*names, won, played, strict=True)):
        if a == b or not (m > 0 and 0 <= w <= m):
            raise InputError(
                f"row {row}: {a!r} against {b!r}, {w:g} wins in {m:g} games; two players, one "
                "game or more, and no more wins than games are needed"
            )
    players = tuple(dict.fromkeys([*names[0], *names[1]]))
    place = {p: i for i, p in enumerate(players)}
    W = np.zeros((len(players), len(players)))
    i, j = ([place[p] for p in side] for side in names)
    np.add.at(W, (i, j), won)
    np.add.at(W, (j, i), played - won)
    W += 0.5 * extra * (W + W.T > 0)
    _check_finite(W, players, extra)
    s, information = _maximise(W)
    k = len(players)
    inverse: Array = np.asarray(np.linalg.inv(information + 1 / k) - 1 / k, dtype=np.float64)
    return Ratings(
        players=players,
        elo=_POINTS * s,
        covariance=_POINTS**2 * inverse,
        level=level,
        residual=float(np.max(np.abs(_gradient(W, s)) / (W + W.T).sum(axis=1))),
    )


def _check_finite(W: Array, players: tuple[str, ...], prior: float) -> None:
    """Ford's condition: from every player wins lead to every other."""
    from scipy.sparse.csgraph import connected_components

    groups, label = connected_components(W > 0, directed=True, connection="strong")
    if groups == 1:
        return
    apart, _ = connected_components(W + W.T > 0, directed=False)
    some = [p for p, found in zip(players, label, strict=True) if found == label[0]][:5]
    remedy = "add games that connect them" if apart > 1 else "add games, or give a prior"
    raise InputError(
        f"players {', '.join(some)} and the others: one side never won a game, or they never met, "
        f"so that no finite ratings compare them (prior = {prior:g}); {remedy}"
    )


def _gradient(W: Array, s: Array) -> Array:
    from scipy.special import expit

    return np.asarray((W - (W + W.T) * expit(s[:, None] - s)).sum(axis=1))


def _maximise(W: Array) -> tuple[Array, Array]:
    """Log strengths of mean zero, and the information about them."""
    from scipy.special import expit, log_expit

    played = W + W.T
    k = len(W)

    def likelihood(s: Array) -> float:
        return float((W * log_expit(s[:, None] - s)).sum())

    def information(s: Array) -> Array:
        apart = s[:, None] - s
        weight = played * expit(apart) * expit(-apart)
        return np.asarray(np.diag(weight.sum(axis=1)) - weight)

    s = np.zeros(k)
    for _ in range(100):
        gradient = _gradient(W, s)
        if np.max(np.abs(gradient) / played.sum(axis=1)) < 1e-12:
            break
        # The information has no part along a shift of all; one is put in, and the step has none.
        step = np.linalg.solve(information(s) + 1 / k, gradient)
        rise, here = float(step @ gradient), likelihood(s)
        share = 1.0
        while share > 1e-9 and likelihood(s + share * step) < here + 1e-4 * share * rise - 1e-13 * (
            1 + abs(here)
        ):
            share /= 2
        s = s + share * (step - step.mean())
    worst = np.max(np.abs(_gradient(W, s)) / played.sum(axis=1))
    if worst > 1e-9:
        raise FitError(
            "MAX_ITER", f"ratings: won and expected games still differ by {worst:.1e} of the games"
        )
    return s, information(s)


def _normal(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))
