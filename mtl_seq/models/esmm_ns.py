"""ESMM-NS: ESMM without sharing (Ma et al., SIGIR 2018)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble_separate
from mtl_seq.models.stage_losses import joint_losses
from mtl_seq.nn import BottomFactory, SharedBottom
from mtl_seq.schema import FeatureSpec

__all__ = ["esmm_ns"]


def esmm_ns(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = SharedBottom,
    seed: int,
) -> FunnelModel:
    """The losses of ESMM on towers that share nothing, not even embeddings.

    The paper's ablation: it isolates the entire-space losses from the sharing.
    """
    objective = Objective(joint_losses(funnel))
    return assemble_separate(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
