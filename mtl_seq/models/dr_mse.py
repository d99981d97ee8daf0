"""DR-MSE (Dai et al., KDD 2022)."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.joint_learning import joint_learning
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel
from mtl_seq.models.space import Range, Space
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.risks import DRMSEImputation, PropensityPolicy
from mtl_seq.schema import FeatureSpec

__all__ = ["dr_mse"]

SPACE: Space = {"bias_share": Range(0.0, 1.0)}


def dr_mse(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    bias_share: float = 0.5,
    seed: int,
) -> FunnelModel:
    """`mrdr` with an imputation that trades the bias of DR against its variance.

    Double learning is that of `mrdr`.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        propensity: Where propensities come from and how small they may be.
        bias_share: Share of DR-BIAS's weight in [0, 1]; the paper tunes it.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    imputation = DRMSEImputation(propensity, bias_share=bias_share)
    return joint_learning(spec, imputation, funnel=funnel, bottom=bottom, seed=seed, double=True)
