"""Exact area under the ROC curve, weighted, with soft labels."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Ranking", "auc", "rank", "ranked_auc"]


class Ranking(NamedTuple):
    """Scores in ascending order, ranked once for many weightings.

    Attributes:
        order: ``(N,)`` positions of the scores in ascending order.
        start: ``(N,)`` in that order, the first place of each score's ties.
        end: ``(N,)`` in that order, the place behind the last of its ties.
    """

    order: Tensor
    start: Tensor
    end: Tensor


def rank(score: Tensor) -> Ranking:
    """Rank ``(N,)`` scores."""
    ordered, order = torch.sort(score)
    _, sizes = torch.unique_consecutive(ordered, return_counts=True)
    end = torch.cumsum(sizes, 0)
    return Ranking(
        order, torch.repeat_interleave(end - sizes, sizes), torch.repeat_interleave(end, sizes)
    )


def ranked_auc(ranking: Ranking, positive: Tensor, negative: Tensor) -> Tensor:
    """AUC from a ranking and the mass of positives and negatives of each row.

    Args:
        ranking: From `rank`.
        positive: ``(N,)`` mass of positives, in the scores' ascending order.
        negative: ``(N,)`` mass of negatives, likewise.

    Returns:
        A scalar; NaN where there is no positive or no negative mass.
    """
    below = torch.cat((negative.new_zeros(1), torch.cumsum(negative, 0)))
    beaten = (below[ranking.start] + below[ranking.end]) / 2
    total = positive.sum() * below[-1]
    return torch.where(total > 0, (positive * beaten).sum() / total, torch.nan)


def auc(score: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
    """Probability that a random positive scores above a random negative, ties counting one half.

    A row with label y is y of a positive and 1 - y of a negative, so that a true probability can
    stand in for the label and the AUC carries no label noise.

    Args:
        score: ``(N,)`` scores; only their order matters.
        label: ``(N,)`` labels in [0, 1].
        weight: ``(N,)`` non-negative weights of the rows.

    Returns:
        A float64 scalar; NaN where there is no positive or no negative mass.

    >>> auc(torch.tensor([0.1, 0.4, 0.4, 0.9]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    tensor(0.8750, dtype=torch.float64)
    """
    ranking = rank(score)
    label = label.double()[ranking.order]
    mass = torch.ones_like(label) if weight is None else weight.double()[ranking.order]
    return ranked_auc(ranking, mass * label, mass * (1 - label))
