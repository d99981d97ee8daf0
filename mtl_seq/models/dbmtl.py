"""Deep Bayesian multi-target learning (Wang et al., arXiv 1902.09154)."""

from collections.abc import Mapping, Sequence
from functools import partial

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.search_space import Choice, SearchSpace
from mtl_seq.models.stage_losses import joint_losses
from mtl_seq.nn import DBMTL, BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["dbmtl"]

SPACE: SearchSpace = {"detach_parents": Choice((False, True))}


def dbmtl(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    parents: Mapping[str, Sequence[str]] | None = None,
    detach_parents: bool = False,
    seed: int,
) -> FunnelModel:
    """The losses of `esmm` on towers that pass their hidden vectors to dependent towers.

    The towers' logits are conditionals of the funnel, as ESMM's are; the reference's are
    unconditional probabilities over all impressions.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom; the paper's is `nn.SharedBottom`.
        parents: For a stage, the stages it depends on; None takes the funnel's parents.
        detach_parents: Whether the gradient of a stage's loss stops at its parents' vectors.
        seed: Seed of the initial weights.

    Raises:
        CompositionError: `parents` names an unknown stage or has a cycle.
    """
    head = partial(DBMTL, parents=parents, detach_parents=detach_parents)
    objective = Objective(joint_losses(funnel))
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed, head=head)
