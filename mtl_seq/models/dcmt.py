"""DCMT: direct entire-space causal multi-task framework (Zhu et al., ICDE 2023)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import DCMT, EntireSpace, Objective, PropensityPolicy
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.search_space import Range, SearchSpace
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["dcmt"]

SPACE: SearchSpace = {"prior": Range(1e-4, 1e-1, log=True)}


def dcmt(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    cvr_weight: float = 1.0,
    ctcvr_weight: float = 1.0,
    prior: float = 0.001,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """ESMM with a factual and a counterfactual CVR tower.

    `cvr_weight` is the weight of the loss of both CVR towers; `prior`, within that loss, that of
    the regulariser that both add up to 1. A large `prior` scales pCVR down, by about
    ``1 / (1 + prior)``; at the small default the loss is SNIPS beside CTCVR. Propensities are
    self-normalising by default; ``PropensityPolicy()`` gives the IPS form.
    """
    objective = Objective(
        {
            **losses_before(funnel),
            "cvr": DCMT(propensity, prior=prior),
            "ctcvr": EntireSpace(funnel.last),
        },
        {"cvr": cvr_weight, "ctcvr": ctcvr_weight},
    )
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
