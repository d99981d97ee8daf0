"""AUC within users, averaged over users (GAUC)."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq.functional.arrays import Array, float_rows, integer_ids, row_weights

__all__ = ["GroupedAUC", "grouped_auc"]


class GroupedAUC(NamedTuple):
    """AUC within groups and its coverage.

    Attributes:
        value: Average of the groups' AUCs, by their shares; float64, NaN where no group has one.
        coverage: Share of all groups' mass that is in groups with both classes, in [0, 1].
        groups: How many groups there are, int64.
        defined: How many of them have both classes, int64.
    """

    value: Tensor
    coverage: Tensor
    groups: Tensor
    defined: Tensor


def grouped_auc(
    score: Array,
    label: Array,
    group: Array,
    *,
    weight: Array | None = None,
    share: Array | None = None,
) -> GroupedAUC:
    """AUC of each group that has positives and negatives, averaged by the groups' shares.

    A group of one class has no AUC; the share excluded for that reason is ``1 - coverage``.
    GAUC by impressions (Zhu et al., KDD 2017) takes the mass of a user's rows as the share, which
    is the default; for GAUC by clicks pass the clicks as `share`.

    Args:
        score: ``(N,)`` scores.
        label: ``(N,)`` labels in [0, 1].
        group: ``(N,)`` integer ids of the group, for example the user.
        weight: ``(N,)`` weights of the rows within their group.
        share: ``(N,)`` what each row adds to the share of its group; by default its weight.

    Raises:
        DataError: NaN, or columns of different lengths, or ids that are no integers.

    >>> score, label = torch.tensor([0.1, 0.2, 0.9, 0.4]), torch.tensor([0, 1, 1, 1])
    >>> found = grouped_auc(score, label, torch.tensor([7, 7, 7, 8]))
    >>> found.value, found.coverage
    (tensor(1., dtype=torch.float64), tensor(0.7500, dtype=torch.float64))
    """
    scores, labels = float_rows(score=score, label=label)
    mass = row_weights(weight, scores)
    adds = mass if share is None else row_weights(share, scores)
    codes = _codes(integer_ids("group", group, scores))
    order = np.argsort(codes << np.uint64(32) | _places(scores.cpu().numpy()))
    codes = codes[order]
    positive, negative = ((mass * part).cpu().numpy()[order] for part in (labels, 1 - labels))
    first = np.flatnonzero(np.diff(codes, prepend=np.uint64(2**32)))
    if len(first) == 0:
        nothing = torch.tensor(torch.nan, dtype=torch.float64)
        return GroupedAUC(nothing, nothing, torch.tensor(0), torch.tensor(0))
    tie_start, tie_end = _ties(scores.cpu().numpy()[order], first)
    below = np.concatenate(([0.0], np.cumsum(negative)))
    before = np.repeat(below[first], np.diff(first, append=len(codes)))
    beaten = (below[tie_start] + below[tie_end]) / 2 - before
    sums = [np.add.reduceat(column, first) for column in (positive * beaten, positive, negative)]
    shares = np.add.reduceat(adds.cpu().numpy()[order], first)
    pairs = sums[1] * sums[2]
    kept = (pairs > 0) & (shares > 0)
    covered, total = shares[kept].sum(), shares.sum()
    with np.errstate(invalid="ignore"):
        value = (shares[kept] * sums[0][kept] / pairs[kept]).sum() / covered
        coverage = covered / total
    return GroupedAUC(
        torch.tensor(float(value), dtype=torch.float64),
        torch.tensor(float(coverage), dtype=torch.float64),
        torch.tensor(len(first)),
        torch.tensor(int(kept.sum())),
    )


def _codes(ids: Tensor) -> NDArray[np.uint64]:
    """Codes below 2^32, one per group."""
    values = ids.cpu().numpy().astype(np.int64)
    if len(ids) and int(values.max()) - int(values.min()) >= 2**32:
        values = np.unique(values, return_inverse=True)[1].astype(np.int64)
    low = values.min() if len(ids) else 0
    return (values - low).astype(np.uint64)


def _places(score: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Integers below 2^32 in the order of the scores, equal where they are equal."""
    narrow = score.astype(np.float32)
    if np.array_equal(narrow, score):
        # Of two floats of one sign the greater has the greater bits; those of the negative descend.
        bits = (narrow + np.float32(0.0)).view(np.uint32)
        turned = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(2**31))
        return turned.astype(np.uint64)
    order = np.argsort(score)
    place = np.empty(len(score), dtype=np.uint64)
    place[order] = np.cumsum(np.diff(score[order], prepend=score[order[:1]]) > 0)
    return place


def _ties(
    score: NDArray[np.float64], first: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the run of equal scores of each row starts and ends, within its group."""
    new = np.diff(score, prepend=np.nan) != 0
    new[first] = True
    start = np.flatnonzero(new)
    size = np.diff(start, append=len(score))
    return np.repeat(start, size), np.repeat(start + size, size)
