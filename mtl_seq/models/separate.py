"""Assemble models whose towers share nothing: methods without multi-task learning."""

from functools import partial

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective
from mtl_seq.models.base import FunnelModel, assemble
from mtl_seq.models.policies import Schedule
from mtl_seq.nn import BottomFactory, HeadFactory, ParallelHead, SingleTask, TowerEmbeddings
from mtl_seq.schema import FeatureSpec

__all__ = ["assemble_separate"]


def assemble_separate(
    spec: FeatureSpec,
    objective: Objective,
    *,
    funnel: Funnel,
    bottom: BottomFactory,
    seed: int,
    head: HeadFactory = ParallelHead,
    schedule: Schedule | None = None,
) -> FunnelModel:
    """`assemble` with a separate bottom and separate embeddings for every tower.

    Args:
        spec: The features.
        objective: The losses; the extra towers they read are built.
        funnel: The stages.
        bottom: Builds the bottom of each tower.
        seed: Seed of the initial weights.
        head: Builds the head.
        schedule: Alternating optimisation of the losses; None for one step on all.

    Returns:
        The model.
    """
    return assemble(
        spec,
        objective,
        funnel=funnel,
        bottom=partial(SingleTask, bottom=bottom),
        seed=seed,
        head=head,
        embedding=TowerEmbeddings,
        schedule=schedule,
    )
