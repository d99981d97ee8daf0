"""The control: CTR and CVR share a network, CVR is masked to clicks."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.joints import risks_before
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.risks import ClickSpace, Objective
from mtl_seq.schema import FeatureSpec

__all__ = ["multitask"]


def multitask(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    seed: int,
) -> FunnelModel:
    """Plain multi-task learning, the row every entire-space method must be compared with.

    It shares all that ESMM shares and has no entire-space CVR term. On a longer funnel the stages
    between have that of ESMM, named by stage, so that what pCVR is trained on stays the only
    difference.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    objective = Objective({**risks_before(funnel), "cvr": ClickSpace()})
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
