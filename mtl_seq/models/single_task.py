"""No sharing at all: a network for each tower."""

from mtl_seq.funnel import Funnel
from mtl_seq.models.click_space import click_space
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel
from mtl_seq.nn import BottomFactory, SharedBottom
from mtl_seq.schema import FeatureSpec

__all__ = ["single_task"]


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
