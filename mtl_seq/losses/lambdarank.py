"""LambdaRank over graded engagement (Burges et al., NIPS 2006)."""

from collections.abc import Mapping

from torch import Tensor

from mtl_seq.functional import PairIndex, Pairs, lambda_weights, ranknet
from mtl_seq.losses.pair_sampling import WholeLists
from mtl_seq.losses.ranking import RankingLoss

__all__ = ["LambdaRank"]


class LambdaRank(RankingLoss):
    """RankNet's loss of a pair times the change of NDCG if its two rows were swapped.

    Space: all impressions, in whole lists of a user or request. Normalisation: the mean over the
    rows of a batch, a pair counting in both of its rows; a list's pairs are summed, each divided by
    the list's ideal DCG. Detaches: the weights, which follow from ranks and have no gradient. Since
    ranks are those of the current scores, its gradient is that of no fixed function.

    Args:
        grades: Grade of each stage; by default 1 for the first, 3 for the last, 2 between.
        lists: Bound of the length of a list.
    """

    def __init__(
        self, grades: Mapping[str, float] | None = None, *, lists: WholeLists | None = None
    ) -> None:
        super().__init__(grades, lists or WholeLists())

    def losses(
        self,
        score: Tensor,
        grade: Tensor,
        group: Tensor,
        index: PairIndex,  # noqa: ARG002  # what RankNet weighs by
        pairs: Pairs,
    ) -> Tensor:
        """``(P,)`` losses, weighted by the change of NDCG."""
        return ranknet(score, pairs) * lambda_weights(score, grade, group, pairs)
