"""AMAN: non-clicks as negatives of CVR (Pan et al., ICDM 2008; a baseline of ESMM)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import AMAN, Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble_separate
from mtl_seq.models.search_space import Choice, SearchSpace
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["aman"]

SPACE: SearchSpace = {"rate": Choice((0.1, 0.2, 0.5, 1.0))}


def aman(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    rate: float = 0.1,
    corrected: bool = False,
    seed: int,
) -> FunnelModel:
    """The networks of `click_space`, CVR trained on clicks and a sample of the non-clicks.

    Its pCVR is biased low by design, since its optimum is ``p q / (p + s (1 - p))``, and orders
    impressions by their clicks as much as by their conversions.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each of the two networks.
        rate: s, the share of the non-clicks that is sampled; the paper tries 0.1, 0.2, 0.5 and 1.
        corrected: Not in the paper: see `losses.AMAN`.
        seed: Seed of the initial weights and of the draw.
    """
    objective = Objective(
        {**losses_before(funnel), "cvr": AMAN(rate, corrected=corrected, seed=seed)}
    )
    return assemble_separate(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
