"""Pairwise learning to rank over graded engagement (RankNet, ICML 2005; LambdaRank, NIPS 2006)."""

from collections.abc import Mapping

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Comparisons, LambdaRank, Objective, RankNet, WholeLists
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["lambda_ranker", "pairwise_ranker"]


def pairwise_ranker(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    grades: Mapping[str, float] | None = None,
    comparisons: Comparisons | None = None,
    seed: int,
) -> FunnelModel:
    """The network of ESMM, trained to order each user's impressions by their engagement.

    The score is the logit of pCTCVR, not a probability: a fitted estimator predicts one column
    ``score``, and a report gives ranking metrics only. The schema's `group` defines which
    impressions are compared: those of a user, or of a request. The network does not see the group's
    target encodings: they leave a row's label out, so that of two rows of one user the clicked one
    has the lower encoding, and pairwise losses would learn nothing else. The same holds for any id
    that is constant within a group, such as the user where a request is the group: encode such a
    log without them, `Encoding(target_encoding=None)`.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom.
        grades: Grade of each stage; by default 1 for the first, 3 for the last, 2 between.
        comparisons: How pairs are sampled; by default ``losses.DrawnPairs()``, the same number of
            pairs of every user. ``losses.DrawnPairs(pool=True)`` pools all users, the naive form.
        seed: Seed of the initial weights.
    """
    objective = Objective({"rank": RankNet(grades, comparisons=comparisons)})
    return assemble(spec.within_groups(), objective, funnel=funnel, bottom=bottom, seed=seed)


def lambda_ranker(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    grades: Mapping[str, float] | None = None,
    longest: int = 200,
    seed: int,
) -> FunnelModel:
    """`pairwise_ranker` with pairs weighted by their change of NDCG, in whole lists.

    `longest` is the longest list of a user; longer ones are subsampled in every epoch.
    """
    objective = Objective({"rank": LambdaRank(grades, lists=WholeLists(longest))})
    return assemble(spec.within_groups(), objective, funnel=funnel, bottom=bottom, seed=seed)
