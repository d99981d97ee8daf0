"""DDPO: direct dual propensity optimization (SIGIR 2024)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import DDPO, ConversionPropensity, EntireSpace, Objective, PropensityPolicy
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.search_space import Choice, SearchSpace
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["ddpo"]

SPACE: SearchSpace = {"soft_labels": Choice((False, True))}


def ddpo(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    soft_labels: bool = True,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """ESMM with a CVR loss on both spaces, with a conversion propensity as teacher off the clicks.

    The paper also moves click and conversion features into the CVR tower by attention; that part is
    not implemented: towers read the bottom only. Its loss inflates pCVR, see `losses.DDPO`.
    `soft_labels` is whether clicks without conversion have the teacher's label, as in the paper.
    Propensities are self-normalising by default.
    """
    objective = Objective(
        {
            **losses_before(funnel),
            "teacher": ConversionPropensity(),
            "cvr": DDPO(propensity, soft_labels=soft_labels),
            "ctcvr": EntireSpace(funnel.last),
        }
    )
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
