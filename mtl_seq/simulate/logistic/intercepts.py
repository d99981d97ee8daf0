"""Intercepts that hit the rates a scenario is asked for."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.simulate.common.parameter_checks import ParameterError
from mtl_seq.simulate.logistic.actions import Actions
from mtl_seq.simulate.logistic.integration_points import Pilot
from mtl_seq.simulate.logistic.logits import Intercepts
from mtl_seq.simulate.logistic.outcome_probabilities import Classes, Outcome, marginal

__all__ = ["Targets", "solve_intercepts"]

FloatArray = NDArray[np.float64]

_FURTHEST = 40.0
_CLOSE = 1e-6
_STEPS = 40
_NUDGE = 1e-4
_LONGEST = 3.0


class Targets(NamedTuple):
    """Rates to meet.

    Attributes:
        ctr: Clicks per impression.
        cvr: Conversions per click, or the mean of P(r = 1) over all impressions.
        over_clicks: Which of the two `cvr` is.
    """

    ctr: float
    cvr: float
    over_clicks: bool


def solve_intercepts(
    pilot: Pilot,
    targets: Targets,
    *,
    mnar: float,
    loadings: tuple[float, float],
    actions: Actions | None = None,
) -> Intercepts:
    """Solve for the intercepts; every rate is met on the points to 1e-6 relative.

    Args:
        pilot: Logits without intercepts, and their weights.
        targets: The rates.
        mnar: What a potential conversion adds to the click logit.
        loadings: Of a confounder that the points do not contain yet.
        actions: Actions with rates of their own.

    Returns:
        The intercepts.

    Raises:
        ParameterError: A rate that no intercept reaches; it says which can be.
    """
    if actions is None:
        return _base(pilot, targets, mnar, loadings)

    goals = np.array([targets.ctr, targets.cvr, *actions.rates])

    def rates(x: FloatArray) -> FloatArray:
        classes = Classes(actions.chances(pilot.actions + x[2:, None]), actions.lifts)
        given = marginal(pilot.click + x[0], pilot.conversion + x[1], mnar, loadings, classes)
        acted = given.ways[0] @ pilot.weight / (pilot.weight @ given.click)
        return np.array([*_rates(given, pilot, targets), *acted])

    x = _newton(rates, goals)
    if x is None:
        most = _newton(
            lambda y: np.delete(rates(np.insert(y, 1, _FURTHEST)), 1), np.delete(goals, 1)
        )
        bound = "" if most is None else f"at most {rates(np.insert(most, 1, _FURTHEST))[1]:.3g} "
        raise ParameterError(
            f"`cvr` can be {bound}in this scenario, found {targets.cvr}: `actions` at their rates "
            "allow no more; lower `cvr`, or raise `actions.rates` or `actions.lift`",
            "cvr",
        )
    return Intercepts(float(x[0]), float(x[1]), tuple(float(gamma) for gamma in x[2:]))


def _newton(rates: Callable[[FloatArray], FloatArray], goals: FloatArray) -> FloatArray | None:
    """Intercepts at which all rates meet their goals; None where there are none.

    Newton's method on the logits of the rates, which are nearly straight lines in the intercepts.
    """
    x = _logit(goals)
    for _ in range(_STEPS):
        found = rates(x)
        if np.abs(found / goals - 1).max() < _CLOSE:
            return x
        off = _logit(found) - _logit(goals)
        moved = [_logit(rates(x + _NUDGE * unit)) for unit in np.eye(len(x))]
        slopes = (np.stack(moved, axis=1) - _logit(found)[:, None]) / _NUDGE
        x = x - np.clip(np.linalg.lstsq(slopes, off)[0], -_LONGEST, _LONGEST)
        if np.abs(x).max() > _FURTHEST:
            break
    return None


def _logit(rate: FloatArray) -> FloatArray:
    kept = np.clip(rate, 1e-15, 1 - 1e-15)
    logit: FloatArray = np.log(kept) - np.log1p(-kept)
    return logit


def _base(pilot: Pilot, targets: Targets, mnar: float, loadings: tuple[float, float]) -> Intercepts:
    def off(alpha: float, beta: float) -> tuple[float, float]:
        given = marginal(pilot.click + alpha, pilot.conversion + beta, mnar, loadings)
        click, conversion = _rates(given, pilot, targets)
        return click / targets.ctr - 1, conversion / targets.cvr - 1

    def click_intercept(beta: float) -> float:
        return _root(lambda alpha: off(alpha, beta)[0], "ctr", targets.ctr)

    if mnar == 0:
        alpha = click_intercept(0.0)
        return Intercepts(alpha, _root(lambda beta: off(alpha, beta)[1], "cvr", targets.cvr))
    beta = _root(lambda beta: off(click_intercept(beta), beta)[1], "cvr", targets.cvr)
    return Intercepts(click_intercept(beta), beta)


def _rates(given: Outcome, pilot: Pilot, targets: Targets) -> tuple[float, float]:
    click = float(pilot.weight @ given.click)
    if targets.over_clicks:
        conversion = float(pilot.weight @ given.both) / click
    else:
        conversion = float(pilot.weight @ given.conversion)
    return click, conversion


def _root(excess: Callable[[float], float], parameter: str, target: float) -> float:
    """Root of an increasing function, by secant steps inside a bracket."""
    low, high = -_FURTHEST, _FURTHEST
    f_low, f_high = excess(low), excess(high)
    if f_low > 0 or f_high < 0:
        reached = [target * (1 + f) for f in (f_low, f_high)]
        raise ParameterError(
            f"`{parameter}` must lie in [{reached[0]:.3g}, {reached[1]:.3g}] in this scenario, found "
            f"{target}: its slopes, actions and other rates allow no more",
            parameter,
        )
    x, previous = 0.0, (low, f_low)
    for _ in range(100):
        f = excess(x)
        if abs(f) < _CLOSE:
            return x
        low, high = (x, high) if f < 0 else (low, x)
        step = x - f * (x - previous[0]) / (f - previous[1]) if f != previous[1] else low
        previous = (x, f)
        x = step if low < step < high else (low + high) / 2
    return x
