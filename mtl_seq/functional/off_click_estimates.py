"""AUC and log loss of pCVR over all impressions, estimated from a log with clicks alone.

Notation: o click, r potential conversion (observed on clicks), p the propensity P(o = 1 | x), r~ an
imputed conversion probability, w = o / p. The estimates are consistent for all impressions where
the propensity is right and nothing hidden moves click and conversion (IPS,
SNIPS, DR), or where the imputation is right (DR).
"""

import torch
from torch import Tensor

from mtl_seq.functional.arrays import Array, float_rows, row_weights
from mtl_seq.functional.auc import mass_auc
from mtl_seq.functional.pointwise import probability_loss, ratio
from mtl_seq.functional.weight_diagnostics import inverse

__all__ = [
    "doubly_robust_label",
    "dr_auc",
    "dr_log_loss",
    "ips_auc",
    "ips_log_loss",
    "snips_log_loss",
]


def doubly_robust_label(imputed: Tensor, weight: Tensor, conversion: Tensor) -> Tensor:
    """``r~ + w (r - r~)``, whose expectation is P(r = 1 | x); it may lie outside [0, 1]."""
    return imputed + torch.where(weight > 0, weight * (conversion - imputed), 0.0)


def ips_log_loss(
    prediction: Array,
    conversion: Array,
    click: Array,
    propensity: Array,
    weight: Array | None = None,
) -> Tensor:
    """``mean over all impressions of o / p * loss``.

    All estimates of this file have these arguments and errors.

    Args:
        prediction: ``(N,)`` pCVR.
        conversion: ``(N,)`` conversions; values off the clicks have no influence.
        click: ``(N,)`` clicks, 0 or 1.
        propensity: ``(N,)`` propensities, in (0, 1] on clicks.
        weight: ``(N,)`` non-negative weights of the rows.

    Returns:
        A float64 scalar, in nats; NaN without rows.

    Raises:
        DataError: NaN, columns of different lengths, or a clicked row without propensity.
    """
    predicted, converted, inverted, mass = _rows(prediction, conversion, click, propensity, weight)
    return ratio((mass * inverted * probability_loss(predicted, converted)).sum(), mass.sum())


def snips_log_loss(
    prediction: Array,
    conversion: Array,
    click: Array,
    propensity: Array,
    weight: Array | None = None,
) -> Tensor:
    """Self-normalised IPS: the weighted loss over the sum of the weights, NaN without clicks.

    A factor common to all propensities has no influence.
    """
    predicted, converted, inverted, mass = _rows(prediction, conversion, click, propensity, weight)
    scaled = mass * inverted
    return ratio((scaled * probability_loss(predicted, converted)).sum(), scaled.sum())


def dr_log_loss(
    prediction: Array,
    conversion: Array,
    click: Array,
    propensity: Array,
    imputation: Array,
    weight: Array | None = None,
) -> Tensor:
    """Doubly robust: the loss imputed on all impressions, corrected on clicks.

    `imputation` is ``(N,)`` imputed conversion probabilities. NaN without rows.
    """
    predicted, converted, inverted, mass = _rows(prediction, conversion, click, propensity, weight)
    (imputed,) = float_rows(imputation=imputation)
    label = doubly_robust_label(imputed, inverted, converted)
    return ratio((mass * probability_loss(predicted, label)).sum(), mass.sum())


def ips_auc(
    prediction: Array,
    conversion: Array,
    click: Array,
    propensity: Array,
    weight: Array | None = None,
) -> Tensor:
    """AUC over pairs of clicks, each pair weighted by ``1 / (p_i p_j)``.

    A ratio of two sums over pairs, each unbiased; a factor common to all propensities has no
    influence, so that this is the IPS and the SNIPS estimate at once.

    Returns:
        A float64 scalar; NaN without both a conversion and a click that did not convert.
    """
    predicted, converted, inverted, mass = _rows(prediction, conversion, click, propensity, weight)
    scaled = mass * inverted
    return mass_auc(predicted, scaled * converted, scaled * (1 - converted))


def dr_auc(
    prediction: Array,
    conversion: Array,
    click: Array,
    propensity: Array,
    imputation: Array,
    weight: Array | None = None,
) -> Tensor:
    """AUC over pairs of impressions, each row labelled by its doubly robust pseudo-label.

    The sums over pairs are linear in each row's label, so that each is unbiased where the
    propensity or the imputation is right; pairs of a row with itself, which would not be, are left
    out. Only the quotient is kept within [0, 1].

    Returns:
        A float64 scalar; NaN where the pairs have no positive mass.
    """
    predicted, converted, inverted, mass = _rows(prediction, conversion, click, propensity, weight)
    (imputed,) = float_rows(imputation=imputation)
    label = doubly_robust_label(imputed, inverted, converted)
    positive, negative = mass * label, mass * (1 - label)
    return mass_auc(predicted, positive, negative, (positive * negative).sum())


def _rows(
    prediction: Array, conversion: Array, click: Array, propensity: Array, weight: Array | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    predicted, clicks, chances = float_rows(
        prediction=prediction, click=click, propensity=propensity
    )
    (converted,) = float_rows(conversion=conversion)
    converted = torch.where(clicks > 0, converted, 0.0)
    return predicted, converted, inverse(clicks, chances), row_weights(weight, predicted)
