"""DR-BIAS (Dai et al., KDD 2022)."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.joint_learning import joint_learning
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.risks import DRBiasImputation, PropensityPolicy
from mtl_seq.schema import FeatureSpec

__all__ = ["dr_bias"]


def dr_bias(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """`mrdr` with an imputation fitted for a small bound on the bias of DR.

    Double learning is that of `mrdr`.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        propensity: Where propensities come from and how small they may be.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    imputation = DRBiasImputation(propensity)
    return joint_learning(spec, imputation, funnel=funnel, bottom=bottom, seed=seed, double=True)
