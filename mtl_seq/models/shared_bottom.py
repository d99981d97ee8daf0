"""Hard parameter sharing (Caruana, 1997)."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel
from mtl_seq.models.multitask import multitask
from mtl_seq.nn import BottomFactory, SharedBottom
from mtl_seq.schema import FeatureSpec

__all__ = ["shared_bottom"]


def shared_bottom(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = SharedBottom,
    seed: int,
) -> FunnelModel:
    """CTR and CVR on one shared stack, CVR masked to clicks.

    It is `multitask` on that bottom, and what every mixture of experts must beat.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom: ``partial(nn.SharedBottom, ...)`` for other sizes.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)
