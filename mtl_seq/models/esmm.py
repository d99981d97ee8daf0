"""ESMM: Entire Space Multi-Task Model (Ma et al., SIGIR 2018)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.stage_losses import joint_losses
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["esmm"]


def esmm(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    ctcvr_weight: float = 1.0,
    seed: int,
) -> FunnelModel:
    """CTR and CTCVR over all impressions; pCVR follows from pCTCVR = pCTR * pCVR.

    On a funnel of three or more stages every stage's joint probability has a loss, named by its
    stage: the first and the last alone would not identify the towers between them. The two losses
    of a funnel of two stages are named ``"ctr"`` and ``"ctcvr"``. `ctcvr_weight` is that of the
    last stage's loss; 1 in the paper.

    Its optimum is P(conversion | x, click), the same as that of a model trained on clicks: ESMM
    adds sharing, not a correction of selection bias.

    The paper shares embeddings only: ``bottom=partial(nn.SingleTask, bottom=nn.SharedBottom)``.
    """
    losses = joint_losses(funnel)
    objective = Objective(losses, {list(losses)[-1]: ctcvr_weight})
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
