"""Pairs of graded rows within groups, and the losses of ranking them.

Shapes: N rows, P pairs. A pair is a row and a worse one of the same group (a user or a request).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = [
    "PairIndex",
    "Pairs",
    "draw_pairs",
    "draw_pool",
    "index_pairs",
    "lambda_weights",
    "pairs_at",
    "ranknet",
]


class Pairs(NamedTuple):
    """Positions of rows, ``(P,)`` int64 each.

    Attributes:
        better: The row of the higher grade.
        worse: The row of the lower grade.
    """

    better: Tensor
    worse: Tensor


class PairIndex(NamedTuple):
    """All pairs of some rows, numbered from 0 without being listed.

    Attributes:
        order: ``(N,)`` positions of the rows, by group and within it by rising grade.
        start: ``(N,)`` in that order, the first place of each row's group.
        below: ``(N + 1,)`` in that order, how many pairs the rows before have as the better one;
            the last entry is the number of all pairs.
        first: ``(G,)`` number of each group's first pair, of the G groups that have any.
        sizes: ``(G,)`` how many pairs each of them has.
    """

    order: Tensor
    start: Tensor
    below: Tensor
    first: Tensor
    sizes: Tensor

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return int(self.below[-1])


def index_pairs(grade: Tensor, group: Tensor) -> PairIndex:
    """Number the pairs of graded rows.

    Args:
        grade: ``(N,)`` grades; only their order matters.
        group: ``(N,)`` int64 codes; rows are paired within their group only.

    Returns:
        The numbering. A group whose rows all have one grade has no pair.
    """
    order = torch.argsort(grade, stable=True)
    order = order[torch.argsort(group[order], stable=True)]
    sorted_group, sorted_grade = group[order], grade[order]
    start = _starts(sorted_group[1:] != sorted_group[:-1])
    # Rows of one group and grade beat the same rows: those between the group's start and theirs.
    changes = (sorted_group[1:] != sorted_group[:-1]) | (sorted_grade[1:] != sorted_grade[:-1])
    beaten = _starts(changes) - start
    below = torch.cat((beaten.new_zeros(1), beaten.cumsum(0)))
    opens = torch.unique_consecutive(start)
    ends = torch.cat((opens[1:], opens.new_tensor([len(order)]))) if len(order) else opens
    first, count = below[opens], below[ends] - below[opens]
    return PairIndex(order, start, below, first[count > 0], count[count > 0])


def pairs_at(index: PairIndex, number: Tensor) -> Pairs:
    """The pairs of some numbers, ``(P,)`` int64 from 0 to one below ``index.pairs``."""
    place = torch.searchsorted(index.below, number, right=True) - 1
    worse = index.start[place] + number - index.below[place]
    return Pairs(index.order[place], index.order[worse])


def draw_pairs(index: PairIndex, per_group: int, generator: torch.Generator) -> Pairs:
    """Draw `per_group` pairs of every group that has any, uniformly with replacement.

    A loss averaged over them has the mean over groups of their mean over pairs as its expectation:
    a user of a thousand impressions counts as much as one of ten.
    """
    first, count = (part.repeat_interleave(per_group) for part in (index.first, index.sizes))
    return pairs_at(index, first + _below(count, generator))


def draw_pool(index: PairIndex, pairs: int, generator: torch.Generator) -> Pairs:
    """Draw pairs uniformly from all with replacement: a group counts by the square of its size.

    There must be at least one.
    """
    return pairs_at(index, _below(index.below[-1:].expand(pairs), generator))


def ranknet(score: Tensor, pairs: Pairs) -> Tensor:
    """``(P,)`` losses ``log(1 + exp(-(s_better - s_worse)))`` (Burges et al., ICML 2005)."""
    return softplus(score[pairs.worse] - score[pairs.better])


def lambda_weights(score: Tensor, grade: Tensor, group: Tensor, pairs: Pairs) -> Tensor:
    """Change of NDCG if the rows of a pair are swapped (LambdaRank, 2006).

    ``|(2^g_i - 2^g_j) (1 / log2(1 + rank_i) - 1 / log2(1 + rank_j))| / IDCG``, with ranks by score
    within the group from 1, and IDCG the ideal ``sum (2^g - 1) / log2(1 + rank)`` of the group.

    Args:
        score: ``(N,)`` scores; only their order is used, and no gradient flows.
        grade: ``(N,)`` grades of at least 0.
        group: ``(N,)`` int64 codes.
        pairs: Pairs of those rows.

    Returns:
        ``(P,)`` weights in [0, 1].
    """
    dtype = score.dtype
    gain, grade = torch.exp2(grade.to(dtype)), grade.to(dtype)
    discount = 1 / torch.log2(1 + _rank_in_group(score.detach(), group).to(dtype))
    ideal = (gain - 1) / torch.log2(1 + _rank_in_group(grade, group).to(dtype))
    _, place = torch.unique(group, return_inverse=True)
    best = torch.zeros(int(place.max()) + 1 if len(place) else 0, dtype=dtype, device=score.device)
    best = best.index_add(0, place, ideal)
    i, j = pairs
    return ((gain[i] - gain[j]) * (discount[i] - discount[j])).abs() / best[place[i]]


def _rank_in_group(score: Tensor, group: Tensor) -> Tensor:
    """``(N,)`` ranks from 1 by falling score; ties in the order of the rows."""
    order = torch.argsort(score, descending=True, stable=True)
    order = order[torch.argsort(group[order], stable=True)]
    sorted_group = group[order]
    start = _starts(sorted_group[1:] != sorted_group[:-1])
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device) - start + 1
    return ranks


def _starts(changes: Tensor) -> Tensor:
    """``(N - 1,)`` whether a run ends after each place -> ``(N,)`` the first place of each run."""
    rows = torch.arange(len(changes) + 1, device=changes.device)
    opened = torch.cat((changes.new_ones(1), changes))
    return torch.where(opened, rows, torch.zeros_like(rows)).cummax(0).values


def _below(limit: Tensor, generator: torch.Generator) -> Tensor:
    """One integer from 0 to one below each limit."""
    drawn = torch.rand(limit.shape, generator=generator, dtype=torch.float64)
    return torch.minimum((drawn * limit).long(), limit - 1)
