"""Recalibration of nuisances on rows that they were not fitted to.

Shapes: N impressions, K levels of the click-only features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["Recalibration", "information", "likelihood_ratio", "recalibrate"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ROUNDS = 100


@dataclass(frozen=True)
class Recalibration:
    """Maps of the nuisances' logits.

    Attributes:
        slope: Factor of the click's logit.
        shift: What is added to it, by level.
        rate_slope: Factor of the logit of P(conversion | click).
        rate_shift: What is added to it.
    """

    slope: float
    shift: tuple[float, ...]
    rate_slope: float
    rate_shift: float

    def click(self, logit: FloatArray) -> FloatArray:
        """``(N, K)`` P(click) at every level, from its logits."""
        probability: FloatArray = expit(self.slope * logit + np.array(self.shift))
        return probability

    def rate(self, logit: FloatArray) -> FloatArray:
        """``(N,)`` P(conversion | click), from its logits."""
        probability: FloatArray = expit(self.rate_slope * logit + self.rate_shift)
        return probability


def recalibrate(
    click_logit: FloatArray,
    rate_logit: FloatArray,
    level: IntArray,
    click: FloatArray,
    conversion: FloatArray,
    weight: FloatArray,
) -> Recalibration:
    """Logistic regressions of click and conversion on the nuisances' own logits.

    The click's has a slope and an intercept a level, that of the conversion, on clicks alone, a
    slope and an intercept.

    Args:
        click_logit: ``(N, K)`` at every level.
        rate_logit: ``(N,)``.
        level: ``(N,)`` the row's own.
        click: ``(N,)`` 0 or 1.
        conversion: ``(N,)`` 0 or 1.
        weight: ``(N,)`` of the rows.
    """
    levels = click_logit.shape[1]
    own = click_logit[np.arange(len(level)), level]
    found = _logistic(own, level, levels, click, weight)
    clicked = click == 1
    none = np.zeros(int(clicked.sum()), dtype=np.int64)
    rate = _logistic(rate_logit[clicked], none, 1, conversion[clicked], weight[clicked])
    shift = tuple(float(one) for one in found[1:])
    return Recalibration(float(found[0]), shift, float(rate[0]), float(rate[1]))


def likelihood_ratio(
    without: FloatArray, level: IntArray, levels: int, click: FloatArray, weight: FloatArray
) -> float:
    """What intercepts a level add to a logistic regression of the click on a logit.

    Args:
        without: ``(N,)`` logit of the click that does not know the level.
        level: ``(N,)``.
        levels: K.
        click: ``(N,)`` 0 or 1.
        weight: ``(N,)``.

    Returns:
        The likelihood-ratio statistic per degree of freedom, about 1 where the level tells nothing.
    """

    def log_likelihood(codes: IntArray, count: int) -> float:
        found = _logistic(without, codes, count, click, weight)
        z = found[0] * without + found[1:][codes]
        return float(-(weight @ np.logaddexp(0, np.where(click == 1, -z, z))))

    gain = log_likelihood(level, levels) - log_likelihood(np.zeros_like(level), 1)
    return 2 * gain / (levels - 1)


def _logistic(
    logit: FloatArray, level: IntArray, levels: int, label: FloatArray, weight: FloatArray
) -> FloatArray:
    """``(1 + K,)`` slope and intercept a level of a logistic regression on a logit, by Newton.

    Of many solutions, as where logits do not vary within a level, that next to slope 1 is taken.
    """
    found = np.zeros(1 + levels)
    found[0] = 1.0
    for _ in range(_ROUNDS):
        fitted = expit(found[0] * logit + found[1:][level])
        curvature = information(logit, level, levels, weight * fitted * (1 - fitted))
        residual = weight * (label - fitted)
        gradient = np.append(residual @ logit, np.bincount(level, residual, minlength=levels))
        inverse: FloatArray = np.asarray(np.linalg.pinv(curvature, rcond=1e-12, hermitian=True))
        step = inverse @ gradient
        found = found + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-12:
            break
    return found


def information(
    logit: FloatArray, level: IntArray, levels: int, curvature: FloatArray
) -> FloatArray:
    """``(1 + K, 1 + K)`` of slope and intercepts."""
    found = np.zeros((1 + levels, 1 + levels))
    found[0, 0] = curvature @ np.square(logit)
    found[0, 1:] = found[1:, 0] = np.bincount(level, curvature * logit, minlength=levels)
    found[1:, 1:] = np.diag(np.bincount(level, curvature, minlength=levels))
    return found
