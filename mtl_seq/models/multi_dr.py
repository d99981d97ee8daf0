"""Multi-DR: doubly robust multi-task learning (Zhang et al., WWW 2020)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import DoublyRobust, Imputation, Objective, PropensityPolicy
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["multi_dr"]


def multi_dr(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """CTR, doubly robust CVR and its imputation on a shared network.

    It is ESCM2-DR without the CTCVR loss. The imputed error is ``bce(q, r~)`` and not a free head,
    which would give the CVR tower no gradient.
    """
    objective = Objective(
        {
            **losses_before(funnel),
            "cvr": DoublyRobust(propensity),
            "imputation": Imputation(propensity),
        }
    )
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
