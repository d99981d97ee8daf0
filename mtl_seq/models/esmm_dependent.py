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
    """Click and conversion with a log odds ratio lambda given the features, instead of none.

    Where something that no feature shows moves both, every other entire-space method is off. lambda
    says by how much, and features that move clicks only say what lambda is
    (``Schema(click_only=["position"])``): they reach the click tower alone. `FunnelEstimator` finds
    lambda as `dependence` says; a loop of one's own trains the joint likelihood, whose lambda waits
    until the towers stand. With ``head=partial(nn.DependentHead, learned=False)`` lambda is held.

    Args:
        spec: The features.
        funnel: A chain of two or more stages.
        bottom: Builds the bottom.
        head: Builds the head: `nn.DependentHead` or a partial of it.
        dependence: How an estimator finds lambda; None for the defaults of `DependenceConfig`.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    objective = Objective({"outcomes": DependentLikelihood()})
    model = assemble(spec, objective, funnel=funnel, bottom=bottom, head=head, seed=seed)
    model.dependence = dependence or DependenceConfig()
    return model
