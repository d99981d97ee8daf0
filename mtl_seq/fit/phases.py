"""Risks that train in turns."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from mtl_seq.models import FunnelModel, Schedule
from mtl_seq.nn.tower_copy import copy_tower
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["copy_towers", "take_turns"]


def take_turns(
    module: LightningModule,
    model: FunnelModel,
    schedule: Schedule,
    features: Mapping[str, Tensor],
    labels: FunnelLabels,
) -> tuple[FunnelPrediction, dict[str, Tensor]]:
    """Go through the turns with one batch: an optimiser step each, then one of the learning rate.

    A turn predicts anew, from the weights that the turn before it left. Parameters that no risk of
    a turn reaches have no gradient in it and are not moved, not even by the optimiser's momentum.

    Args:
        module: In manual optimisation, with one optimiser.
        model: What is trained.
        schedule: The turns.
        features: Of one batch.
        labels: Of the same rows.

    Returns:
        The last turn's prediction, and the weighted risks, each as of its own turn.
    """
    # One optimiser and one schedule were configured; Lightning types them as either or a list.
    optimizer: Any = module.optimizers()
    rate: Any = module.lr_schedulers()
    losses: dict[str, Tensor] = {}
    for turn in schedule.turns:
        prediction = model(features)
        found = model.objective(prediction, labels)
        active = {name: found[name] for name in turn}
        optimizer.zero_grad()
        module.manual_backward(torch.stack(list(active.values())).sum())
        optimizer.step()
        losses |= {name: loss.detach() for name, loss in active.items()}
    rate.step()
    return prediction, losses


def copy_towers(model: FunnelModel) -> None:
    """What a schedule has happen at the start of an epoch."""
    if model.schedule is not None:
        for source, target in model.schedule.copies:
            copy_tower(model.network, source, target)
