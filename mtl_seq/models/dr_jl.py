"""DR-JL: doubly robust joint learning (Wang et al., ICML 2019)."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.joint_learning import joint_learning
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.risks import Imputation, PropensityPolicy
from mtl_seq.schema import FeatureSpec

__all__ = ["dr_jl"]


def dr_jl(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """Networks of CTR, CVR and imputed label that share nothing; the last two train in turns.

    The imputed label is fitted with weights 1/p. Every batch fits it with pCVR frozen, then pCVR
    with the imputed label frozen. On a longer funnel the stages between have the risks of ESMM.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        propensity: Where propensities come from and how small they may be.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    imputation = Imputation(propensity)
    return joint_learning(spec, imputation, funnel=funnel, bottom=bottom, seed=seed)
