"""Multi-gate mixture of experts (Ma et al., KDD 2018)."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel
from mtl_seq.models.multitask import multitask
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["mmoe"]


def mmoe(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    seed: int,
) -> FunnelModel:
    """CTR and CVR on shared experts with a gate each, CVR masked to clicks.

    It is `multitask` on that bottom.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom: ``partial(nn.MMoE, ...)`` for other sizes.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)
