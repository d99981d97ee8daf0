"""The model class, a network with its objective, and its assembly."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.funnel import Funnel
from mtl_seq.losses import Objective
from mtl_seq.models.policies import CalibrationConfig, DependenceConfig, Schedule
from mtl_seq.nn import (
    BottomFactory,
    Embedding,
    EmbeddingFactory,
    FunnelNetwork,
    HeadFactory,
    ParallelHead,
    SingleTask,
    TowerEmbeddings,
)
from mtl_seq.records import FunnelPrediction
from mtl_seq.schema import FeatureSpec

__all__ = ["CLICK_CONVERSION", "Builder", "FunnelModel", "assemble", "assemble_separate"]

CLICK_CONVERSION = Funnel.chain("click", "conversion")
"""The default funnel: click, conversion."""


class FunnelModel(nn.Module):
    """A network with its objective; a call is a call of the network.

    Args:
        network: Features to prediction.
        objective: Prediction and labels to losses.
        schedule: Alternating optimisation of the losses, which `fit` follows; None for one step on
            all.

    Attributes:
        dependence: How an estimator estimates the dependence of click and conversion; None where
            the model has none.
        calibration: How an estimator calibrates pCVR after training, unless its ``calibrate=`` is
            set; None for no calibration.

    Raises:
        CompositionError: The network lacks a tower that a loss reads, or has one that none reads;
            or the schedule names an unknown loss or tower.
    """

    dependence: DependenceConfig | None = None
    calibration: CalibrationConfig | None = None

    def __init__(
        self, network: FunnelNetwork, objective: Objective, schedule: Schedule | None = None
    ) -> None:
        super().__init__()
        if set(network.aux) != set(objective.aux):
            raise CompositionError(
                f"the objective reads extra towers {sorted(objective.aux)}, the network has "
                f"{sorted(network.aux)}: build the network with `aux` of the objective"
            )
        if schedule is not None:
            schedule.check(tuple(objective.losses), network.towers)
        self.network = network
        self.objective = objective
        self.schedule = schedule

    def forward(self, features: Mapping[str, Tensor]) -> FunnelPrediction:
        """Map features by name, ``(B,)`` each, to the prediction of B rows."""
        prediction: FunnelPrediction = self.network(features)
        return prediction


Builder = Callable[..., FunnelModel]
"""``build(spec, *, funnel, bottom, seed, ...) -> FunnelModel``; see `mtl_seq.models`."""


def assemble(
    spec: FeatureSpec,
    objective: Objective,
    *,
    funnel: Funnel,
    bottom: BottomFactory,
    seed: int,
    head: HeadFactory = ParallelHead,
    embedding: EmbeddingFactory = Embedding,
    schedule: Schedule | None = None,
) -> FunnelModel:
    """Build the network that an objective needs, with weights drawn from `seed`.

    Args:
        spec: The features.
        objective: The losses; the extra towers they read are built.
        funnel: The stages.
        bottom: Builds the bottom.
        seed: Seed of the initial weights; the global RNG state is restored.
        head: Builds the head.
        embedding: Builds the embedding.
        schedule: Alternating optimisation of the losses; None for one step on all.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FunnelNetwork(
            spec, funnel=funnel, bottom=bottom, head=head, aux=objective.aux, embedding=embedding
        )
    return FunnelModel(network, objective, schedule)


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
    """`assemble` with a separate bottom and separate embeddings for every tower."""
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
