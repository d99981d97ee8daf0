"""Recalibration of nuisances on rows that they were not fitted to.

Shapes: N impressions, K levels of the click-only features.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from mtl_seq.records import FloatArray, IntArray

__all__ = ["Recalibration", "information", "likelihood_ratio", "recalibrate"]

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
    """Logistic regressions of click and conversion on the nuisances' logits.

    That of the click has a slope and an intercept per level; that of the conversion, on clicks
    alone, a slope and an intercept.

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
    slope, *shift = map(float, _logistic(own, level, levels, click, weight))
    clicked = click == 1
    one_level = np.zeros(int(clicked.sum()), dtype=np.int64)
    rate = _logistic(rate_logit[clicked], one_level, 1, conversion[clicked], weight[clicked])
    return Recalibration(slope, tuple(shift), float(rate[0]), float(rate[1]))


def likelihood_ratio(
    without: FloatArray, level: IntArray, levels: int, click: FloatArray, weight: FloatArray
) -> float:
    """Likelihood ratio of intercepts per level in a logistic regression of the click on a logit.

    Args:
        without: ``(N,)`` logit of the click that does not know the level.
        level: ``(N,)``.
        levels: K.
        click: ``(N,)`` 0 or 1.
        weight: ``(N,)``.

    Returns:
        The statistic per degree of freedom, about 1 where the level is not predictive.
    """

    def log_likelihood(codes: IntArray, count: int) -> float:
        fitted = _logistic(without, codes, count, click, weight)
        z = fitted[0] * without + fitted[1:][codes]
        return float(-(weight @ np.logaddexp(0, np.where(click == 1, -z, z))))

    gain = log_likelihood(level, levels) - log_likelihood(np.zeros_like(level), 1)
    return 2 * gain / (levels - 1)


def _logistic(
    logit: FloatArray, level: IntArray, levels: int, label: FloatArray, weight: FloatArray
) -> FloatArray:
    """``(1 + K,)`` slope and intercepts of a logistic regression on a logit, by Newton's method.

    Where the solution is not unique, as with logits that do not vary within a level, it is the one
    nearest to slope 1.
    """
    solution = np.zeros(1 + levels)
    solution[0] = 1.0
    for _ in range(_ROUNDS):
        fitted = expit(solution[0] * logit + solution[1:][level])
        curvature = information(logit, level, levels, weight * fitted * (1 - fitted))
        residual = weight * (label - fitted)
        gradient = np.append(residual @ logit, np.bincount(level, residual, minlength=levels))
        inverse: FloatArray = np.asarray(np.linalg.pinv(curvature, rcond=1e-12, hermitian=True))
        step = inverse @ gradient
        solution = solution + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-12:
            break
    return solution


def information(
    logit: FloatArray, level: IntArray, levels: int, curvature: FloatArray
) -> FloatArray:
    """``(1 + K, 1 + K)`` information matrix of slope and intercepts."""
    matrix = np.zeros((1 + levels, 1 + levels))
    matrix[0, 0] = curvature @ np.square(logit)
    matrix[0, 1:] = matrix[1:, 0] = np.bincount(level, curvature * logit, minlength=levels)
    matrix[1:, 1:] = np.diag(np.bincount(level, curvature, minlength=levels))
    return matrix
