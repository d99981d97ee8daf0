"""Concordance of scores with true probabilities."""

import torch
from torch import Tensor

from mtl_seq.functional.arrays import Array, float_rows, row_weights
from mtl_seq.functional.auc import rank

__all__ = ["concordance"]


def concordance(score: Array, truth: Array, weight: Array | None = None) -> Tensor:
    """C-index: P(score_i > score_j) where truth_i > truth_j, ties of the score counting one half.

    AUC against probabilities asks which of two rows *draws* a positive; this asks which is the
    likelier. Pairs of equal truth don't count. Takes N log N steps and memory for N rows.

    Args:
        score: ``(N,)`` scores.
        truth: ``(N,)`` true probabilities, or anything else to be ordered by.
        weight: ``(N,)`` non-negative weights; a pair weighs the product of its rows' weights.

    Returns:
        A float64 scalar; NaN where no two rows differ in truth.

    >>> concordance(torch.tensor([1.0, 3.0, 2.0]), torch.tensor([0.1, 0.2, 0.3]))
    tensor(0.6667, dtype=torch.float64)
    """
    scores, truths = float_rows(score=score, truth=truth)
    mass = row_weights(weight, scores)
    by_score = rank(scores)
    place = torch.empty_like(by_score.start)
    place[by_score.order] = by_score.start
    # In order of truth, then of score: what still descends in score differs in truth.
    order = by_score.order[torch.sort(truths[by_score.order], stable=True).indices]
    place, mass, truths = place[order], mass[order], truths[order]
    _, level = torch.unique_consecutive(truths, return_inverse=True)
    both = place + level * (len(place) + 1)
    untied = (mass.sum() ** 2 - _squared_runs(truths, mass)) / 2
    ordered, back = torch.sort(place)
    tied = (_squared_runs(ordered, mass[back]) - _squared_runs(both, mass)) / 2
    concordance = (untied - tied / 2 - _inversions(place, mass)) / untied
    return torch.where(untied > 0, concordance, torch.nan)


def _squared_runs(values: Tensor, mass: Tensor) -> Tensor:
    """Sum over runs of equal neighbours of the square of their mass."""
    _, run = torch.unique_consecutive(values, return_inverse=True)
    total = torch.zeros(int(run[-1]) + 1 if len(run) else 0, dtype=torch.float64)
    return (total.to(mass.device).index_add_(0, run, mass) ** 2).sum()


def _inversions(place: Tensor, mass: Tensor) -> Tensor:
    """Mass of the pairs i < j with ``place[i] > place[j]``.

    Digit by digit from the highest: rows that agree so far stand together in their first order, and
    each 0 is inverted with every 1 before it.
    """
    total = mass.new_zeros(())
    if len(place) == 0:
        return total
    for bit in reversed(range(int(place.max()).bit_length())):
        one = (place >> bit & 1).bool()
        prefix = place >> bit + 1
        new = torch.ones_like(one)
        new[1:] = prefix[1:] != prefix[:-1]
        first = torch.nonzero(new).flatten()[torch.cumsum(new, 0) - 1]
        ones = torch.cat((mass.new_zeros(1), torch.cumsum(mass * one, 0)))
        total = total + (mass * ~one * (ones[:-1] - ones[first])).sum()
        order = torch.sort(place >> bit, stable=True).indices
        place, mass = place[order], mass[order]
    return total
