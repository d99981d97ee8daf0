"""The naive model: a separate CVR network, trained on clicks."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import ClickSpace, Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel
from mtl_seq.models.separate import assemble_separate
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["click_space"]


def click_space(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    seed: int,
) -> FunnelModel:
    """Two networks that share nothing: CTR over all impressions, CVR on clicks (BASE of ESMM).

    On a longer funnel every tower has a separate network, and the stages between have the losses of
    ESMM, named by stage.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each of the two networks.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    objective = Objective({**losses_before(funnel), "cvr": ClickSpace()})
    return assemble_separate(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
