"""ChorusCVR (arXiv 2502.08277, WSDM 2026), after an independent re-implementation."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import (
    IPS,
    ClickUnconverted,
    EntireSpace,
    Objective,
    PropensityPolicy,
    SoftAlignment,
    UnconvertedIPS,
)
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["chorus_cvr"]


def chorus_cvr(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    alignment_weight: float = 1.0,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """ESCM2-IPS, the same loss for clicks without conversion, and an alignment of the two.

    The formulas are those of an independent re-implementation; the weights of the losses are
    uncertain and are 1 here. There an `alignment_weight` of 0 was best.
    """
    objective = Objective(
        {
            **losses_before(funnel),
            "cvr": IPS(propensity),
            "ctcvr": EntireSpace(funnel.last),
            "unconverted": UnconvertedIPS(propensity),
            "click_unconverted": ClickUnconverted(),
            "alignment": SoftAlignment(propensity),
        },
        {"alignment": alignment_weight},
    )
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
