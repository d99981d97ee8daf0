"""The control: CTR and CVR share a network, CVR is masked to clicks."""

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
    """Plain multi-task learning, the row every entire-space method must be compared with.

    It shares all that ESMM shares and has no entire-space CVR term. On a longer funnel the stages
    between have that of ESMM, named by stage, so that what pCVR is trained on stays the only
    difference.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom.
        seed: Seed of the initial weights.

    Returns:
        The model.
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
    """CTR and CVR on shared experts with a gate each, CVR masked to clicks.

    It is `multitask` on that bottom.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom: ``partial(nn.MMoE, ...)`` for other sizes.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)


def omoe(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = OMoE,
    seed: int,
) -> FunnelModel:
    """CTR and CVR on experts that one gate mixes for both, CVR masked to clicks.

    It is `multitask` on that bottom, the control of `mmoe`.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom: ``partial(nn.OMoE, ...)`` for other sizes.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)


def ple(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = PLE,
    seed: int,
) -> FunnelModel:
    """CTR and CVR on own and shared experts in levels, CVR masked to clicks.

    It is `multitask` on that bottom. Masking CVR to its own sample space, as the paper does, is the
    click-space loss: it corrects no selection bias.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom: ``partial(nn.PLE, ...)`` for other sizes.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)


def shared_bottom(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = SharedBottom,
    seed: int,
) -> FunnelModel:
    """CTR and CVR on one shared stack, CVR masked to clicks.

    It is `multitask` on that bottom, and what every mixture of experts must beat.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom: ``partial(nn.SharedBottom, ...)`` for other sizes.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    return multitask(spec, funnel=funnel, bottom=bottom, seed=seed)


def single_task(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = SharedBottom,
    seed: int,
) -> FunnelModel:
    """A plain network for CTR and another for CVR on clicks.

    It is `click_space` with a plain stack in place of experts: the row without any sharing in a
    table of bottoms.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds each tower's stack.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    return click_space(spec, funnel=funnel, bottom=bottom, seed=seed)
