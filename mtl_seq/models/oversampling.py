"""Oversampling of conversions (Weiss, SIGKDD Explorations 2004; a row of ESMM)."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.joints import risks_before
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel
from mtl_seq.models.separate import assemble_separate
from mtl_seq.models.space import Choice, Space
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.risks import Objective, Oversampling
from mtl_seq.schema import FeatureSpec

__all__ = ["oversampling"]

SPACE: Space = {"factor": Choice((2.0, 3.0, 5.0, 10.0))}


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

    Its pCVR has the odds times k unless corrected. On a longer funnel the stages between have the
    risks of ESMM, named by stage.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each of the two networks.
        factor: k, at least 1; the paper tries 2, 3, 5 and 10.
        corrected: Not in the paper: see `risks.Oversampling`.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    objective = Objective(
        {
            **risks_before(funnel),
            "cvr": Oversampling(factor, corrected=corrected),
        }
    )
    return assemble_separate(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
