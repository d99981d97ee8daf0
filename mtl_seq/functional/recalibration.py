"""Slope and intercept of a logistic regression of the label on the predicted logit."""

from typing import NamedTuple

import torch
from torch import Tensor

from mtl_seq.functional.arrays import Array, float_rows, row_weights

__all__ = ["Recalibrated", "recalibration"]

_TINY = 1e-12
_STEPS = 50
_FARTHEST = 1e4  # labels that a threshold separates have no finite slope


class Recalibrated(NamedTuple):
    """``logit P(y = 1) = intercept + slope * logit(prediction)``, float64 scalars.

    Attributes:
        intercept: 0 where the prediction is right; above 0 where it is too low.
        slope: 1 where it is right; below 1 where it is overconfident.
    """

    intercept: Tensor
    slope: Tensor


def recalibration(prediction: Array, label: Array, weight: Array | None = None) -> Recalibrated:
    """Fit the logistic recalibration of Cox (Biometrika, 1958) by Newton's method.

    Args:
        prediction: ``(N,)`` predicted probabilities, kept 1e-12 away from 0 and 1.
        label: ``(N,)`` labels or true probabilities.
        weight: ``(N,)`` non-negative weights of the rows.

    Returns:
        Intercept and slope; NaN where there are not two different predictions, not both labels, or
        where a threshold separates the labels, so that no slope is finite.
    """
    predicted, labels = float_rows(prediction=prediction, label=label)
    mass = row_weights(weight, predicted)
    logit = torch.logit(predicted.clamp(_TINY, 1 - _TINY))
    design = torch.stack((torch.ones_like(logit), logit), dim=1)
    fit = torch.tensor([0.0, 1.0], dtype=torch.float64, device=logit.device)
    undefined = Recalibrated(*torch.full((2,), torch.nan, dtype=torch.float64).unbind())
    kept = logit[mass > 0]
    positive, negative = (mass * labels).sum(), (mass * (1 - labels)).sum()
    if not (positive > 0 and negative > 0 and bool(kept.max() > kept.min())):
        return undefined
    value = _likelihood(design, labels, mass, fit)
    for _ in range(_STEPS):
        chance = torch.sigmoid(design @ fit)
        gradient = design.T @ (mass * (labels - chance))
        curvature = design.T @ (design * (mass * chance * (1 - chance)).unsqueeze(1))
        step, singular = torch.linalg.solve_ex(curvature, gradient)
        if bool(singular) or not bool(torch.isfinite(step).all()):
            return undefined
        # Halve a step that overshoots: far from the optimum Newton's step may not ascend.
        while (new := _likelihood(design, labels, mass, fit + step)) < value - 1e-12 * abs(value):
            step = step / 2
        fit, value = fit + step, new
        if bool(fit.abs().max() > _FARTHEST):
            return undefined
        if bool(step.abs().max() <= 1e-12 * (1 + fit.abs().max())):
            break
    else:
        if bool(step.abs().max() > 1e-6):
            return undefined
    return Recalibrated(fit[0], fit[1])


def _likelihood(design: Tensor, label: Tensor, mass: Tensor, at: Tensor) -> float:
    logit = design @ at
    return float((mass * (label * logit - torch.nn.functional.softplus(logit))).sum())
