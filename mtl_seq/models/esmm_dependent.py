"""ESMM with a learned dependence between click and conversion."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import DependentLikelihood, Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.policies import DependenceConfig
from mtl_seq.nn import BottomFactory, DependentHead, MMoE
from mtl_seq.nn.heads import HeadFactory
from mtl_seq.schema import FeatureSpec

__all__ = ["esmm_dependent"]


def esmm_dependent(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    head: HeadFactory = DependentHead,
    dependence: DependenceConfig | None = None,
    seed: int,
) -> FunnelModel:
    """ESMM with a log odds ratio lambda of click and potential conversion given the features.

    With a hidden confounder every other entire-space method is biased. lambda measures by how much,
    and is identified by features that move clicks only (``Schema(click_only=["position"])``): they
    reach the click tower alone. `FunnelEstimator` estimates lambda as `dependence` says; a
    user-defined training loop trains the joint likelihood, in which lambda is fixed for the first
    steps. With ``head=partial(nn.DependentHead, learned=False)`` lambda stays fixed.

    Args:
        spec: The features.
        funnel: A chain of two or more stages.
        bottom: Builds the bottom.
        head: Builds the head: `nn.DependentHead` or a partial of it.
        dependence: How an estimator estimates lambda; None for the defaults of
            `DependenceConfig`.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    objective = Objective({"outcomes": DependentLikelihood()})
    model = assemble(spec, objective, funnel=funnel, bottom=bottom, head=head, seed=seed)
    model.dependence = dependence or DependenceConfig()
    return model
