"""Exact area under the ROC curve, weighted, with soft labels."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional.arrays import Array, as_tensor, float_rows, row_weights

__all__ = ["Ranking", "auc", "mass_auc", "rank", "ranked_auc"]

_PART = 1_000_000


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


def _won(ranking: Ranking, positive: Tensor, negative: Tensor) -> Tensor:
    """Mass of the pairs in which the positive scores higher, ties counting one half."""
    below = torch.cat((negative.new_zeros(1), torch.cumsum(negative, 0)))
    return (positive * (below[ranking.start] + below[ranking.end])).sum() / 2


def ranked_auc(ranking: Ranking, positive: Tensor, negative: Tensor) -> Tensor:
    """AUC from a ranking and the mass of positives and negatives of each row.

    Args:
        ranking: From `rank`.
        positive: ``(N,)`` mass of positives, in the scores' ascending order.
        negative: ``(N,)`` mass of negatives, likewise.

    Returns:
        A scalar; NaN where there is no positive or no negative mass.
    """
    total = positive.sum() * negative.sum()
    return torch.where(total > 0, _won(ranking, positive, negative) / total, torch.nan)


def mass_auc(
    score: Tensor, positive: Tensor, negative: Tensor, itself: Tensor | float = 0.0
) -> Tensor:
    """AUC from masses of either sign, as in debiased estimates.

    Args:
        score: ``(N,)`` scores.
        positive: ``(N,)`` mass of positives, of either sign.
        negative: ``(N,)`` mass of negatives, of either sign.
        itself: Mass of the pairs of a row with itself, which is excluded.

    Returns:
        A scalar in [0, 1]; NaN where the pairs have no positive mass.
    """
    ranking = rank(score)
    positive, negative = positive[ranking.order], negative[ranking.order]
    total = positive.sum() * negative.sum() - itself
    share = (_won(ranking, positive, negative) - itself / 2) / total
    return torch.where(total > 0, share.clamp(0, 1), torch.nan)


def auc(score: Array, label: Array, weight: Array | None = None) -> Tensor:
    """Probability that a random positive scores above a random negative, ties counting one half.

    A row with label y counts as y of a positive and 1 - y of a negative, so that with a true
    probability as the label the AUC has no label noise. Labels of 0 and 1 without weights are
    counted from sorted values, which is several times faster and as exact.

    Args:
        score: ``(N,)`` scores; only their order matters.
        label: ``(N,)`` labels in [0, 1].
        weight: ``(N,)`` non-negative weights of the rows.

    Returns:
        A float64 scalar; NaN where there is no positive or no negative mass.

    >>> auc(torch.tensor([0.1, 0.4, 0.4, 0.9]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    tensor(0.8750, dtype=torch.float64)
    """
    scores, labels = as_tensor(score), as_tensor(label)
    if weight is None and scores.ndim == 1 and scores.shape == labels.shape:
        counted = _counted(scores, labels)
        if counted is not None:
            return torch.tensor(counted, dtype=torch.float64)
    scores, labels = float_rows(score=scores, label=labels)
    mass = row_weights(weight, scores)
    ranking = rank(scores)
    labels, mass = labels[ranking.order], mass[ranking.order]
    return ranked_auc(ranking, mass * labels, mass * (1 - labels))


def _counted(score: Tensor, label: Tensor) -> float | None:
    """AUC by counting; None where the columns are not on the CPU or a label is not 0 or 1.

    The mean rank of one class, ties averaged, from sorted values alone: sorting values is several
    times faster than sorting positions. Counts over parts add up, so parts need no merging.
    """
    if score.device.type != "cpu" or label.device.type != "cpu" or score.numel() == 0:
        return None
    if score.dtype not in (torch.float32, torch.float64):
        score = score.double()
    values, labels = score.numpy(), label.numpy()
    positive = labels.astype(bool)
    positives = int(np.count_nonzero(positive))
    if labels.dtype != bool and int(np.count_nonzero(labels == 1)) != positives:
        return None
    negatives = len(values) - positives
    chosen = np.sort(values[positive] if positives <= negatives else values[~positive])
    threads = torch.get_num_threads()
    parts = np.array_split(values, max(1, min(threads, len(values) // _PART)))

    def places(part: NDArray[Any]) -> int:
        ranked = np.sort(part)
        if np.isnan(ranked[-1]):
            raise DataError(f"`score` must hold numbers, found NaN in {np.isnan(values).sum():,}")
        low = np.searchsorted(ranked, chosen, side="left")
        high = np.searchsorted(ranked, chosen, side="right")
        return int(low.sum()) + int(high.sum())

    if len(parts) == 1:
        twice = places(parts[0])
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            twice = sum(pool.map(places, parts))
    if not positives or not negatives:
        return float("nan")
    # Among themselves the chosen win half of all pairs, each row's tie with itself included.
    won = (twice - len(chosen) ** 2) / 2 / (positives * negatives)
    return won if positives <= negatives else 1 - won
