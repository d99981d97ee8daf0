"""Oversampling of conversions (Weiss, SIGKDD Explorations 2004; a baseline of ESMM)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective, Oversampling
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble_separate
from mtl_seq.models.search_space import Choice, SearchSpace
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["oversampling"]

SPACE: SearchSpace = {"factor": Choice((2.0, 3.0, 5.0, 10.0))}


def oversampling(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    factor: float = 5.0,
    corrected: bool = False,
    seed: int,
) -> FunnelModel:
    """The networks of `click_space`, with every conversion among the clicks counted k times.

    Its pCVR has the odds times k unless corrected.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each of the two networks.
        factor: k, at least 1; the paper tries 2, 3, 5 and 10.
        corrected: Not in the paper: see `losses.Oversampling`.
        seed: Seed of the initial weights.
    """
    objective = Objective(
        {**losses_before(funnel), "cvr": Oversampling(factor, corrected=corrected)}
    )
    return assemble_separate(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
