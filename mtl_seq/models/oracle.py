"""The oracle: trained on potential outcomes, in simulation only."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective, PotentialOutcome
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["oracle"]


def oracle(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    seed: int,
) -> FunnelModel:
    """The network of the control, its CVR tower trained on every impression's potential conversion.

    It marks what the network could reach without selection. Fit it with
    ``FunnelEstimator(oracle, ...).fit(log, truth=truth)``.
    """
    objective = Objective({**losses_before(funnel), "cvr": PotentialOutcome()})
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
