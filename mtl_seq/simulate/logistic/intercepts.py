"""Intercepts that hit the target rates of a scenario."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import logit

from mtl_seq.records import FloatArray
from mtl_seq.simulate.common.parameter_checks import ParameterError
from mtl_seq.simulate.logistic.actions import Actions
from mtl_seq.simulate.logistic.integration_points import WeightedLogits
from mtl_seq.simulate.logistic.logits import Intercepts
from mtl_seq.simulate.logistic.outcome_probabilities import (
    ActionClasses,
    OutcomeProbabilities,
    marginal_probabilities,
)

__all__ = ["Targets", "solve_intercepts"]

_FURTHEST = 40.0
_PRECISION = 1e-7
_CLOSE = 1e-6


class Targets(NamedTuple):
    """Target rates.

    Attributes:
        ctr: Clicks per impression.
        cvr: Conversions per click, or the mean of P(r = 1) over all impressions.
        over_clicks: Which of the two `cvr` is.
    """

    ctr: float
    cvr: float
    over_clicks: bool


def solve_intercepts(
    points: WeightedLogits,
    targets: Targets,
    *,
    mnar: float,
    loadings: tuple[float, float],
    actions: Actions | None = None,
) -> Intercepts:
    """Solve for the intercepts; every rate is met on the points to 1e-6 relative.

    Args:
        points: Logits without intercepts, and their weights.
        targets: The target rates.
        mnar: What a potential conversion adds to the click logit.
        loadings: Of a confounder that the points do not contain yet.
        actions: Actions with target rates.

    Raises:
        ParameterError: A rate that no intercept reaches; the message says which can be reached.
    """
    if actions is None:
        return _solve_two(points, targets, mnar, loadings)

    goals = np.array([targets.ctr, targets.cvr, *actions.rates])

    def rates(x: FloatArray) -> FloatArray:
        classes = ActionClasses(actions.chances(points.actions + x[2:, None]), actions.lifts)
        truth = marginal_probabilities(
            points.click + x[0], points.conversion + x[1], mnar, loadings, classes
        )
        acted = truth.by_action[0] @ points.weight / (points.weight @ truth.click)
        return np.array([*_rates(truth, points, targets), *acted])

    x = _solve_jointly(rates, goals)
    if x is None:
        most = _solve_jointly(
            lambda y: np.delete(rates(np.insert(y, 1, _FURTHEST)), 1), np.delete(goals, 1)
        )
        bound = "" if most is None else f"at most {rates(np.insert(most, 1, _FURTHEST))[1]:.3g} "
        raise ParameterError.of(
            "cvr",
            f"can be {bound}in this scenario, found {targets.cvr}: `actions` at their rates "
            "allow no more; lower `cvr`, or raise `actions.rates` or `actions.lift`",
        )
    return Intercepts(float(x[0]), float(x[1]), tuple(float(gamma) for gamma in x[2:]))


def _solve_jointly(
    rates: Callable[[FloatArray], FloatArray], goals: FloatArray
) -> FloatArray | None:
    """Intercepts at which all rates meet their goals; None where there are none."""
    from scipy.optimize import root

    target = logit(goals)
    solution = root(lambda x: _clipped_logit(rates(x)) - target, target, tol=_PRECISION)
    x: FloatArray = solution.x
    return x if np.abs(rates(x) / goals - 1).max() < _CLOSE else None


def _solve_two(
    points: WeightedLogits, targets: Targets, mnar: float, loadings: tuple[float, float]
) -> Intercepts:
    """Intercepts of click and conversion; with MNAR each click intercept depends on the other."""

    def reached(alpha: float, beta: float) -> tuple[float, float]:
        truth = marginal_probabilities(
            points.click + alpha, points.conversion + beta, mnar, loadings
        )
        return _rates(truth, points, targets)

    def click_intercept(beta: float) -> float:
        return _solve(lambda alpha: reached(alpha, beta)[0], "ctr", targets.ctr)

    if mnar == 0:
        alpha = click_intercept(0.0)
        return Intercepts(alpha, _solve(lambda b: reached(alpha, b)[1], "cvr", targets.cvr))
    beta = _solve(lambda b: reached(click_intercept(b), b)[1], "cvr", targets.cvr)
    return Intercepts(click_intercept(beta), beta)


def _rates(
    truth: OutcomeProbabilities, points: WeightedLogits, targets: Targets
) -> tuple[float, float]:
    click = float(points.weight @ truth.click)
    if targets.over_clicks:
        return click, float(points.weight @ truth.both) / click
    return click, float(points.weight @ truth.conversion)


def _solve(rate: Callable[[float], float], parameter: str, target: float) -> float:
    """The intercept at which an increasing rate meets its target.

    Logits of rates are nearly straight lines in the intercept, so Brent's method needs few steps.
    """
    from scipy.optimize import brentq

    goal = float(logit(target))
    try:
        intercept: float = brentq(
            lambda x: float(_clipped_logit(rate(x))) - goal, -_FURTHEST, _FURTHEST, xtol=_PRECISION
        )
    except ParameterError:
        raise
    except ValueError as error:
        low, high = rate(-_FURTHEST), rate(_FURTHEST)
        raise ParameterError.of(
            parameter,
            f"must lie in [{low:.3g}, {high:.3g}] in this scenario, found {target}: "
            "its slopes, actions and other rates allow no more",
        ) from error
    return intercept


def _clipped_logit(rate: float | FloatArray) -> FloatArray:
    clipped: FloatArray = logit(np.clip(rate, 1e-15, 1 - 1e-15))
    return clipped
