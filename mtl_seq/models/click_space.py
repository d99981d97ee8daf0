"""The naive model: a separate CVR network, trained on clicks."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import ClickSpace, Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble_separate
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

    On a longer funnel every tower has a separate network.
    """
    objective = Objective({**losses_before(funnel), "cvr": ClickSpace()})
    return assemble_separate(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
