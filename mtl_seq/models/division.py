"""DIVISION: pCTCVR of one network over pCTR of another (a baseline of ESMM, SIGIR 2018)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble_separate
from mtl_seq.models.stage_losses import joint_losses
from mtl_seq.nn import BottomFactory, JointHead, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["division"]


def division(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    seed: int,
) -> FunnelModel:
    """Separate networks for CTR and for CTCVR; pCVR is their ratio, clipped below 1.

    Nothing keeps pCTCVR below pCTR, and the noise of pCTCVR is divided by pCTR: pCVR has the
    highest variance where clicks are rare. The losses are those of `esmm_ns`.

    Raises:
        CompositionError: The funnel is not a chain.
    """
    objective = Objective(joint_losses(funnel))
    return assemble_separate(
        spec, objective, funnel=funnel, bottom=bottom, seed=seed, head=JointHead
    )
