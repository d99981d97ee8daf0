"""RankNet over graded engagement (Burges et al., ICML 2005)."""

from collections.abc import Mapping

from torch import Tensor

from mtl_seq.functional import PairIndex, Pairs, ranknet
from mtl_seq.losses.pair_sampling import Comparisons, DrawnPairs
from mtl_seq.losses.ranking import RankingLoss

__all__ = ["RankNet"]


class RankNet(RankingLoss):
    """``log(1 + exp(-(s_i - s_j)))`` for every pair of which i has the higher grade.

    Space: all impressions, in pairs within a user or request. Normalisation: the mean over the rows
    of a batch, a pair counting in both of its rows; within a group of the batch the mean over its
    pairs. With `DrawnPairs` the expectation is the mean over users of their mean over pairs.
    Detaches: nothing. It has no scale: adding a constant to all scores changes nothing.

    Args:
        grades: Grade of each stage; by default 1 for the first, 3 for the last, 2 between.
        comparisons: How `fit` samples the rows to compare; by default an equal number of pairs of
            every user.
    """

    def __init__(
        self,
        grades: Mapping[str, float] | None = None,
        *,
        comparisons: Comparisons | None = None,
    ) -> None:
        super().__init__(grades, comparisons or DrawnPairs())

    def losses(
        self,
        score: Tensor,
        grade: Tensor,  # noqa: ARG002  # what other ranking losses weigh by
        group: Tensor,  # noqa: ARG002
        index: PairIndex,
        pairs: Pairs,
    ) -> Tensor:
        """``(P,)`` losses, each over the number of pairs of its group."""
        share = (1 / index.sizes.to(score.dtype)).repeat_interleave(index.sizes)
        return ranknet(score, pairs) * share
