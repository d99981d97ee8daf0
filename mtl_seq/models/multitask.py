"""The control: multi-task learning with CVR masked to clicks, by bottom."""

from mtl_seq.funnel import Funnel
from mtl_seq.losses import ClickSpace, Objective
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.models.click_space import click_space
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import PLE, BottomFactory, MMoE, OMoE, SharedBottom
from mtl_seq.schema import FeatureSpec

__all__ = ["mmoe", "multitask", "omoe", "ple", "shared_bottom", "single_task"]


def multitask(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    seed: int,
) -> FunnelModel:
    """The control of every entire-space method: CTR and CVR on one network, CVR masked to clicks.

    It shares all that ESMM shares and has no entire-space CVR loss: the CVR loss is the only
    difference, on a longer funnel too.
    """
    objective = Objective({**losses_before(funnel), "cvr": ClickSpace()})
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)


def mmoe(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    seed: int,
) -> FunnelModel:
    """MMoE (Ma et al., KDD 2018): `multitask` on shared experts with one gate per tower."""
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)


def omoe(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = OMoE,
    seed: int,
) -> FunnelModel:
    """`multitask` on experts that one gate mixes for all towers: the control of `mmoe`."""
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)


def ple(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = PLE,
    seed: int,
) -> FunnelModel:
    """PLE (Tang et al., RecSys 2020): `multitask` on tower-specific and shared experts in levels.

    Masking CVR to its own sample space, as the paper does, is the click-space loss: it does not
    correct selection bias.
    """
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)


def shared_bottom(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = SharedBottom,
    seed: int,
) -> FunnelModel:
    """`multitask` on one shared MLP: the baseline of every mixture of experts."""
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)


def single_task(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = SharedBottom,
    seed: int,
) -> FunnelModel:
    """`click_space` with an MLP per tower instead of experts: the baseline without any sharing."""
    return click_space(spec, funnel=funnel, bottom=bottom, seed=seed)
