"""Calibration within the values of a field."""

import torch
from torch import Tensor

from mtl_seq.functional.arrays import Array, float_rows, integer_ids, row_weights
from mtl_seq.functional.pointwise import ratio

__all__ = ["field_error", "field_rce"]


def field_rce(
    prediction: Array,
    label: Array,
    field: Array,
    *,
    weight: Array | None = None,
    smoothing: float = 0.01,
) -> Tensor:
    """Field-level relative calibration error (Pan et al., WWW 2020).

    ``1/N sum_z n_z |sum_z (y - p)| / sum_z (y + smoothing)`` over the values z of one field, for
    example the item's category: a model may be right on average and wrong within every value.

    Args:
        prediction: ``(N,)`` predicted probabilities.
        label: ``(N,)`` labels or true probabilities.
        field: ``(N,)`` integer ids of the field's value.
        weight: ``(N,)`` non-negative weights of the rows.
        smoothing: Added to each label of the denominator, so that a value without positives
            counts, but not without limit.

    Returns:
        A float64 scalar of at least 0; NaN without rows.

    Raises:
        DataError: NaN, columns of different lengths, or ids that are no integers.
    """
    predicted, labels = float_rows(prediction=prediction, label=label)
    mass = row_weights(weight, predicted)
    ids = integer_ids("field", field, predicted)
    values, code = torch.unique(ids, return_inverse=True)
    sums = (
        torch.bincount(code, part, minlength=len(values))
        for part in (mass, mass * predicted, mass * labels)
    )
    return field_error(*sums, smoothing=smoothing)


def field_error(
    mass: Tensor, predicted: Tensor, observed: Tensor, *, smoothing: float = 0.01
) -> Tensor:
    """Field-level error from sums over the rows of each value, ``(Z,)`` each."""
    error = ratio((observed - predicted).abs(), observed + smoothing * mass)
    return ratio((mass * torch.where(mass > 0, error, 0.0)).sum(), mass.sum())
