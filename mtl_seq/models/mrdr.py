"""MRDR: more robust doubly robust learning (Guo et al., SIGIR 2021)."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.joint_learning import joint_learning
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.risks import MRDRImputation, PropensityPolicy
from mtl_seq.schema import FeatureSpec

__all__ = ["mrdr"]


def mrdr(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """`dr_jl` with an imputation fitted for least variance, and double learning.

    At the start of every epoch the imputation takes over the weights of the CVR network, and sees
    what that sees. With one pass, the default, it is a common start. On a longer funnel pCVR is no
    single network, and the imputation keeps its own weights. The authors' code adds sampled
    non-clicks to the prediction step; here all rows of a batch are in it.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        propensity: Where propensities come from and how small they may be.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    imputation = MRDRImputation(propensity)
    return joint_learning(spec, imputation, funnel=funnel, bottom=bottom, seed=seed, double=True)
