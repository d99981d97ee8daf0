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

    A large `prior` scales pCVR down, by about ``1 / (1 + prior)``; at the small default the loss is
    SNIPS beside CTCVR. On a longer funnel the stages between have the losses of ESMM,
    named by stage.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom.
        cvr_weight: Weight of the loss of both CVR towers.
        ctcvr_weight: Weight of the CTCVR loss.
        prior: Weight, within that loss, of the regulariser that both towers add up to 1.
        propensity: Source, floor and normalisation of the propensities; by default
            self-normalising. ``PropensityPolicy()`` gives the IPS form.
        seed: Seed of the initial weights.

    Returns:
        The model.
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
