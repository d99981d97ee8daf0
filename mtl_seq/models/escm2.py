"""ESCM2: Entire Space Counterfactual Multi-Task Model (Wang et al., SIGIR 2022)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import IPS, DoublyRobust, EntireSpace, Imputation, Objective, PropensityPolicy
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["escm2_dr", "escm2_ips"]


def escm2_ips(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    cvr_weight: float = 1.0,
    ctcvr_weight: float = 1.0,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """ESMM with a third loss: CVR on clicks, weighted by the inverse of the detached pCTR.

    The paper's lambda_c, `cvr_weight`, is 0.1 to 1 and its propensity floor 0.1,
    ``PropensityPolicy(floor=0.1)``; its lambda_g is `ctcvr_weight`. Here both weights are 1 and the
    floor is the 1% quantile of the propensities, since at a low CTR the paper's values leave most
    of the bias.
    """
    objective = Objective(
        {
            **losses_before(funnel),
            "cvr": IPS(propensity),
            "ctcvr": EntireSpace(funnel.last),
        },
        {"cvr": cvr_weight, "ctcvr": ctcvr_weight},
    )
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)


def escm2_dr(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    cvr_weight: float = 1.0,
    ctcvr_weight: float = 1.0,
    imputation_weight: float = 1.0,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """`escm2_ips` with a doubly robust CVR loss and the imputation tower it needs."""
    objective = Objective(
        {
            **losses_before(funnel),
            "cvr": DoublyRobust(propensity),
            "ctcvr": EntireSpace(funnel.last),
            "imputation": Imputation(propensity),
        },
        {"cvr": cvr_weight, "ctcvr": ctcvr_weight, "imputation": imputation_weight},
    )
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
