"""Probabilities of click and potential conversion from their logits, and intercepts that hit rates.

a is the click logit, b the logit of the potential conversion, h a standard normal confounder that
enters both with loading g, d what a potential conversion adds to the click logit (MNAR).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.errors import SimulationError
from mtl_seq.simulate._pilot import Pilot

__all__ = ["Outcome", "marginal", "outcome", "sigmoid", "solve_intercepts"]

FloatArray = NDArray[np.float64]

_NODES = 21


class Outcome(NamedTuple):
    """Probabilities, ``(N,)`` each.

    Attributes:
        click: P(o = 1).
        conversion: P(r = 1).
        both: P(o = 1, r = 1).
    """

    click: FloatArray
    conversion: FloatArray
    both: FloatArray


def sigmoid(logit: FloatArray) -> FloatArray:
    """The logistic function, without overflow."""
    shrunk = np.exp(-np.abs(logit))
    probability: FloatArray = np.where(logit >= 0, 1.0, shrunk) / (1 + shrunk)
    return probability


def outcome(a: FloatArray, b: FloatArray, mnar: float) -> Outcome:
    """Probabilities given everything, h included.

    ``P(o = 1) = q s(a + d) + (1 - q) s(a)`` with ``q = s(b)``; without MNAR that is ``s(a)``.
    """
    conversion = sigmoid(b)
    if mnar == 0:
        click = sigmoid(a)
        return Outcome(click, conversion, click * conversion)
    both = conversion * sigmoid(a + mnar)
    return Outcome(both + (1 - conversion) * sigmoid(a), conversion, both)


def marginal(a: FloatArray, b: FloatArray, mnar: float, loading: float) -> Outcome:
    """Probabilities given what the log shows: h integrated out by Gauss-Hermite quadrature."""
    if loading == 0:
        return outcome(a, b, mnar)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    total = Outcome(np.zeros_like(a), np.zeros_like(a), np.zeros_like(a))
    for node, weight in zip(nodes, weights, strict=True):
        given = outcome(a + loading * node, b + loading * node, mnar)
        for accumulated, part in zip(total, given, strict=True):
            accumulated += weight * part
    return total


def solve_intercepts(
    points: Pilot, *, mnar: float, loading: float, ctr: float, cvr: float
) -> tuple[float, float]:
    """Intercepts that give the click rate over impressions and the conversion rate over clicks.

    Args:
        points: Logits without intercepts, and their weights.
        mnar: What a potential conversion adds to the click logit.
        loading: Loading of the confounder on both.
        ctr: Clicks per impression.
        cvr: Conversions per click.

    Returns:
        The two intercepts, click first; both rates are met on the points to 1e-6 relative.
    """

    def at(alpha: float, beta: float) -> tuple[float, float]:
        given = marginal(points.click + alpha, points.conversion + beta, mnar, loading)
        click = float(points.weight @ given.click)
        return click, float(points.weight @ given.both) / click

    def click_intercept(beta: float) -> float:
        return _root(lambda alpha: at(alpha, beta)[0] / ctr - 1)

    if mnar == 0:
        alpha = click_intercept(0.0)
        return alpha, _root(lambda beta: at(alpha, beta)[1] / cvr - 1)
    beta = _root(lambda beta: at(click_intercept(beta), beta)[1] / cvr - 1)
    return click_intercept(beta), beta


def _root(excess: Callable[[float], float]) -> float:
    """Root of an increasing function, by secant steps inside a bracket."""
    low, high = -40.0, 40.0
    f_low, f_high = excess(low), excess(high)
    if f_low > 0 or f_high < 0:
        raise SimulationError("`ctr` and `cvr` cannot be reached by this world's intercepts")
    x, previous = 0.0, (low, f_low)
    for _ in range(100):
        f = excess(x)
        if abs(f) < 1e-6:
            return x
        low, high = (x, high) if f < 0 else (low, x)
        step = x - f * (x - previous[0]) / (f - previous[1]) if f != previous[1] else low
        previous = (x, f)
        x = step if low < step < high else (low + high) / 2
    return x
