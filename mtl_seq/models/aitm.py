"""Adaptive information transfer multi-task learning (Xi et al., KDD 2021)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import MonotonicityPenalty, Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.search_space import Range, SearchSpace
from mtl_seq.models.stage_losses import joint_losses
from mtl_seq.nn import AITM, BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["aitm"]

SPACE: SearchSpace = {"alpha": Range(0.06, 6.0, log=True)}


def aitm(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    alpha: float = 0.6,
    seed: int,
) -> FunnelModel:
    """CTR and CTCVR from separate logits, and a penalty on pCTCVR above pCTR.

    Nothing enforces pCTCVR <= pCTR: the paper's behavioural expectation calibrator only penalises
    violations. pCVR is pCTCVR / pCTR, clipped at 1, with a high variance where pCTR is small; no
    loss trains it.

    Losses: every stage's joint over all impressions, ``"ctr"`` and ``"ctcvr"`` on two stages and
    else by stage, and ``"monotonicity_penalty"``. Its weight `alpha`, 0.6 in the paper, is that of
    the penalty's mean over impressions. A port sums over the batch instead: its alpha is in effect
    multiplied by the batch size.

    The paper shares embeddings only: ``bottom=partial(nn.SingleTask, bottom=nn.SharedBottom)``.

    Raises:
        CompositionError: The funnel is not a chain of at least two stages.
    """
    objective = Objective(
        {**joint_losses(funnel), "monotonicity_penalty": MonotonicityPenalty()},
        {"monotonicity_penalty": alpha},
    )
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed, head=AITM)
