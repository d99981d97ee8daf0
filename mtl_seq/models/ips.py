"""Inverse propensity scoring: IPS and SNIPS on separate networks, Multi-IPW on a shared one."""

from dataclasses import replace

from mtl_seq.funnel import Funnel
from mtl_seq.losses import IPS, Objective, PropensityPolicy
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble, assemble_separate
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["ips", "multi_ipw", "snips"]


def ips(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """The networks of `click_space`, with clicks weighted by the inverse of the detached pCTR."""
    objective = _objective(funnel, propensity)
    return assemble_separate(spec, objective, funnel=funnel, bottom=bottom, seed=seed)


def snips(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """`ips` with self-normalised weights (Swaminathan and Joachims, NIPS 2015)."""
    scaled = replace(propensity or PropensityPolicy(), self_normalise=True)
    return ips(spec, funnel=funnel, bottom=bottom, propensity=scaled, seed=seed)


def multi_ipw(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """CTR and inverse-propensity CVR on a shared network (Zhang et al., WWW 2020).

    It is ESCM2-IPS without the CTCVR loss.
    """
    objective = _objective(funnel, propensity)
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)


def _objective(funnel: Funnel, propensity: PropensityPolicy | None) -> Objective:
    return Objective({**losses_before(funnel), "cvr": IPS(propensity)})
