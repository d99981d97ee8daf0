"""Kolmogorov-Smirnov distance between the scores of positives and of negatives."""

import torch
from torch import Tensor

from mtl_seq.functional.arrays import Array, float_rows, row_weights
from mtl_seq.functional.auc import rank

__all__ = ["ks"]


def ks(score: Array, label: Array, weight: Array | None = None) -> Tensor:
    """Greatest distance between true and false positive rate over all thresholds.

    Args:
        score: ``(N,)`` scores.
        label: ``(N,)`` labels in [0, 1]; a row with label y is y of a positive and 1 - y of a
            negative.
        weight: ``(N,)`` non-negative weights of the rows.

    Returns:
        A float64 scalar in [0, 1]; NaN where there is no positive or no negative mass.

    >>> ks(torch.tensor([0.1, 0.4, 0.4, 0.9]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    tensor(0.5000, dtype=torch.float64)
    """
    scores, labels = float_rows(score=score, label=label)
    mass = row_weights(weight, scores)
    ranking = rank(scores)
    labels, mass = labels[ranking.order], mass[ranking.order]
    totals = (mass * labels).sum(), (mass * (1 - labels)).sum()
    if not (totals[0] > 0 and totals[1] > 0):
        return torch.tensor(torch.nan, dtype=torch.float64)
    last = torch.unique_consecutive(ranking.end) - 1
    rates = [
        torch.cumsum(part, 0)[last] / total
        for part, total in zip((mass * labels, mass * (1 - labels)), totals, strict=True)
    ]
    return (rates[1] - rates[0]).abs().max()
