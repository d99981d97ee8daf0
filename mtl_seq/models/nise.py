"""NISE: non-click samples improved semi-supervised method (RecSys 2024)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import NISE, Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.search_space import Choice, Range, SearchSpace
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["nise"]

SPACE: SearchSpace = {"alpha": Range(0.1, 10, log=True), "beta": Choice((10.0, 50.0, 100.0))}


def nise(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    alpha: float = 1.0,
    beta: float = 50.0,
    seed: int,
) -> FunnelModel:
    """CTR, and CVR with pseudo-labels off the clicks; no CTCVR loss.

    The term off the clicks reduces the entropy of pCVR, which drives it towards 0 where conversions
    are rare: check its calibration before using it. The CVR loss has the constant
    ``alpha min(L_CTR / L_CVR, beta)``: `alpha` is its scale, `beta` its bound.
    """
    objective = Objective({**losses_before(funnel), "cvr": NISE(alpha=alpha, beta=beta)})
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
