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
    reach the click tower alone. `FunnelEstimator` estimates lambda as `dependence` says, None for
    the defaults of `DependenceConfig`; a user-defined training loop trains the joint likelihood, in
    which lambda is fixed for the first steps. With ``head=partial(nn.DependentHead,
    learned=False)`` lambda stays fixed. The funnel must be a chain of two or more stages.
    """
    objective = Objective({"outcomes": DependentLikelihood()})
    model = assemble(spec, objective, funnel=funnel, bottom=bottom, head=head, seed=seed)
    model.dependence = dependence or DependenceConfig()
    return model
