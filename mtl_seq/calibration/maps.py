"""Monotone maps of a predicted CVR, fitted by maximum likelihood or by pooling.

Arguments are ``(N,)`` float64: predicted logits, labels in [0, 1] (a true probability may stand for
a label), and weights of at least 0.
"""

import numpy as np
from numpy.typing import NDArray

from mtl_seq.errors import DataError

__all__ = ["fit_isotonic", "fit_platt", "fit_shift", "sigmoid"]

FloatArray = NDArray[np.float64]

_FARTHEST = 60.0


def sigmoid(logit: FloatArray) -> FloatArray:
    """``1 / (1 + exp(-x))``, without overflow."""
    shrunk = np.exp(-np.abs(logit))
    found: FloatArray = np.where(logit >= 0, 1.0, shrunk) / (1 + shrunk)
    return found


def fit_shift(logit: FloatArray, label: FloatArray, weight: FloatArray) -> float:
    """The constant c at which mean ``sigmoid(logit + c)`` is the mean label, by bisection.

    It is the intercept of a logistic regression whose slope is held at 1.
    """
    target = weight @ label
    low, high = -_FARTHEST, _FARTHEST
    for _ in range(100):
        middle = (low + high) / 2
        if weight @ sigmoid(logit + middle) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def fit_platt(logit: FloatArray, label: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of the label on the logit (Platt, 1999).

    By Newton's method; labels are taken as they are, without Platt's smoothing.

    Raises:
        DataError: Logits that do not vary, or that part the labels without a mistake.
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
            "Platt scaling has no finite slope: the predictions part the conversions of the "
            'clicked validation rows without a mistake; use the method "shift", or more rows'
        )
    found = np.array([1.0, mean])
    for _ in range(100):
        predicted = sigmoid(found @ design)
        gradient = design @ (weight * (label - predicted)) / mass
        if np.abs(gradient).max() <= 1e-12:
            break
        curvature = (design * (weight * predicted * (1 - predicted))) @ design.T / mass
        step = np.linalg.solve(curvature + 1e-14 * np.eye(2), gradient)
        # Never further than one unit, so that a flat start cannot throw it off.
        found = found + step / max(1.0, float(np.abs(step).max()))
    slope, intercept = float(found[0]), float(found[1] - found[0] * mean)
    return slope, intercept


def fit_isotonic(
    logit: FloatArray, label: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The non-decreasing step values closest to the labels, by pooling adjacent violators.

    Returns:
        Logits in ascending order and the value at each: the ends of every block, between which one
        interpolates.
    """
    points, place = np.unique(logit, return_inverse=True)
    masses = np.bincount(place, weight)
    there = masses > 0
    sums = np.bincount(place, weight * label)[there]
    points, masses = points[there], masses[there]
    # Blocks as stacks of first point, last point, mass and sum of labels.
    first, last, mass, total = [], [], [], []
    for index in range(len(points)):
        first.append(index)
        last.append(index)
        mass.append(masses[index])
        total.append(sums[index])
        while len(mass) > 1 and total[-2] * mass[-1] >= total[-1] * mass[-2]:
            last[-2] = last[-1]
            mass[-2] += mass[-1]
            total[-2] += total[-1]
            for stack in (first, last, mass, total):
                stack.pop()
    values = np.array(total) / np.array(mass)
    ends = np.stack((np.array(first), np.array(last)), axis=1)
    kept = np.concatenate([np.unique(pair) for pair in ends])
    repeat = np.where(ends[:, 0] == ends[:, 1], 1, 2)
    return points[kept], np.repeat(values, repeat)
