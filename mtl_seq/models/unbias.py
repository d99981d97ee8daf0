"""UNBIAS: rejection sampling of clicks by propensity (a baseline of ESMM, SIGIR 2018)."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective, Unbias
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble_separate
from mtl_seq.models.search_space import Range, SearchSpace
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["unbias"]

SPACE: SearchSpace = {"quantile": Range(0.01, 0.5, log=True)}


def unbias(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    quantile: float = 0.1,
    seed: int,
) -> FunnelModel:
    """The networks of `click_space`, CVR trained on clicks accepted with probability ``c / pCTR``.

    c is the `quantile` of a batch's clicked propensities; see `losses.Unbias`. The paper takes its
    propensities from a pCTR model trained before; here a separate network is trained at the same
    time. The share of accepted clicks is recorded after every epoch:
    ``run_.training_history[-1]["cvr/accepted"]`` of a fitted estimator.
    """
    objective = Objective({**losses_before(funnel), "cvr": Unbias(quantile, seed=seed)})
    return assemble_separate(spec, objective, funnel=funnel, bottom=bottom, seed=seed)
