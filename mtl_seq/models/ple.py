"""Progressive layered extraction (Tang et al., RecSys 2020)."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel
from mtl_seq.models.multitask import multitask
from mtl_seq.nn import PLE, BottomFactory
from mtl_seq.schema import FeatureSpec

__all__ = ["ple"]


def ple(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = PLE,
    seed: int,
) -> FunnelModel:
    """CTR and CVR on own and shared experts in levels, CVR masked to clicks.

    It is `multitask` on that bottom. Masking CVR to its own sample space, as the paper does, is the
    click-space risk: it corrects no selection bias.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom: ``partial(nn.PLE, ...)`` for other sizes.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)
