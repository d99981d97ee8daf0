"""Networks that share nothing: what a CVR method of its own, without multi-task learning, has."""

from functools import partial

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective
from mtl_seq.models.base import FunnelModel, assemble
from mtl_seq.models.policies import Schedule
from mtl_seq.nn import (
    BottomFactory,
    HeadFactory,
    ParallelHead,
    SingleTask,
    TowerEmbeddings,
)
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
    """`assemble` with a bottom and embeddings for every tower.

    Args:
        spec: The features.
        objective: What the model is trained on; its extra towers are built.
        funnel: The stages.
        bottom: Builds the bottom of each tower.
        seed: Seed of the initial weights.
        head: Builds the head.
        schedule: In what order the losses train; None for all together.

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
