"""Monotone maps of a predicted CVR, fitted by maximum likelihood or by pooling.

Arguments are ``(N,)`` float64: predicted logits, labels in [0, 1] (a true probability may stand for
a label), and weights of at least 0.
"""

import numpy as np
from scipy.special import expit

from mtl_seq.errors import DataError
from mtl_seq.records import FloatArray

__all__ = ["fit_isotonic", "fit_platt", "fit_shift"]

_FARTHEST = 60.0


def fit_shift(logit: FloatArray, label: FloatArray, weight: FloatArray) -> float:
    """The constant c at which mean ``expit(logit + c)`` is the mean label.

    It is the intercept of a logistic regression whose slope is fixed at 1.

    Raises:
        DataError: Labels that are all 0, or all 1.
    """
    from scipy.optimize import brentq  # slow to import, and only fitting needs it

    target = weight @ label
    if not 0 < target < weight.sum():
        raise DataError("a shift needs labels above 0 and below 1, found one value throughout")
    shift: float = brentq(
        lambda c: weight @ expit(logit + c) - target, -_FARTHEST, _FARTHEST, xtol=1e-15
    )
    return shift


def fit_platt(logit: FloatArray, label: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of the label on the logit (Platt, 1999).

    By Newton's method; labels are taken as they are, without Platt's smoothing.

    Raises:
        DataError: Logits that do not vary, or that separate the labels.
    """
    mass = weight.sum()
    mean = float(weight @ logit / mass)
    design = np.stack((logit - mean, np.ones_like(logit)))
    if not weight @ np.square(design[0]) > 1e-12 * mass:
        raise DataError(
            "Platt scaling needs predictions that vary over the clicked validation rows, found one "
            'value: use the method "shift"'
        )
    converted, missed = logit[weight * label > 0], logit[weight * (1 - label) > 0]
    if converted.min() >= missed.max() or converted.max() <= missed.min():
        raise DataError(
            "Platt scaling has no finite slope: the predictions separate the conversions of the "
            'clicked validation rows perfectly; use the method "shift", or more rows'
        )
    solution = np.array([1.0, mean])
    for _ in range(100):
        predicted = expit(solution @ design)
        gradient = design @ (weight * (label - predicted)) / mass
        if np.abs(gradient).max() <= 1e-12:
            break
        curvature = (design * (weight * predicted * (1 - predicted))) @ design.T / mass
        step = np.linalg.solve(curvature + 1e-14 * np.eye(2), gradient)
        # At most one unit, so that a flat start cannot make it diverge.
        solution = solution + step / max(1.0, float(np.abs(step).max()))
    slope, intercept = solution
    return float(slope), float(intercept - slope * mean)


def fit_isotonic(
    logit: FloatArray, label: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Isotonic regression of the label on the logit, by pooling adjacent violators.

    Returns:
        Logits in ascending order and the value at each: the ends of every block, for interpolation.
    """
    from scipy.optimize import isotonic_regression  # slow to import, and only fitting needs it

    points, place = np.unique(logit, return_inverse=True)
    masses = np.bincount(place, weight)
    present = masses > 0
    means = np.bincount(place, weight * label)[present] / masses[present]
    points = points[present]
    fitted = isotonic_regression(means, weights=masses[present])
    ends = np.unique(np.concatenate((fitted.blocks[:-1], fitted.blocks[1:] - 1)))
    return points[ends], fitted.x[ends]
