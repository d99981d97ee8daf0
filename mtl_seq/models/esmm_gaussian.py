"""ESMM with correlated normal utilities of click and conversion."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import GaussianLikelihood, Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.nn import BottomFactory, GaussianHead, MMoE
from mtl_seq.nn.heads import HeadFactory
from mtl_seq.schema import FeatureSpec

__all__ = ["esmm_gaussian"]


def esmm_gaussian(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    head: HeadFactory = GaussianHead,
    seed: int,
) -> FunnelModel:
    """Heckman's selection model with networks: a bivariate probit, by its joint likelihood.

    The counterpart of `esmm_dependent` for a normal hidden confounder. Its correlation, too, is
    identified by features that move clicks only, and converges slowly with embeddings of ids. The
    funnel must have two stages.
    """
    objective = Objective({"outcomes": GaussianLikelihood()})
    return assemble(spec, objective, funnel=funnel, bottom=bottom, head=head, seed=seed)
