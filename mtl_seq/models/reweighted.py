"""Sample reweighting: one click model, its clicks weighted by engagement."""

from collections.abc import Mapping

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective, ReweightedClick, Scale
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["reweighted"]


def reweighted(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    engagement: Mapping[str, float] | None = None,
    scale: Scale = "normalised",
    seed: int,
) -> FunnelModel:
    """The network of ESMM as one click model, trained on weighted clicks.

    Its score is the logit of an engagement-weighted click, not a probability: a fitted estimator
    predicts one column ``score``. Its sigmoid has the odds of pCTR times k(x) / k; see
    `losses.ReweightedClick`.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom.
        engagement: What each stage after the click adds to the weight of a click; by default 1.
        scale: How the weights are scaled.
        seed: Seed of the initial weights.
    """
    objective = Objective({"click": ReweightedClick(engagement, scale=scale)})
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
