"""Losses that train in turns."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor
from torch.nn import Parameter

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
    *,
    predict: Callable[[Mapping[str, Tensor]], FunnelPrediction],
) -> tuple[FunnelPrediction, dict[str, Tensor]]:
    """Go through the turns with one batch: an optimiser step each, then one of the learning rate.

    A turn predicts anew, from the weights that the turn before it left. Parameters whose gradient
    is 0 in a turn are not moved, not even by the optimiser's momentum: so one turn freezes what
    only the other trains.

    Args:
        module: In manual optimisation, with one optimiser.
        model: What is trained.
        schedule: The turns.
        features: Of one batch.
        labels: Of the same rows.
        predict: The model, in the arithmetic it trains in.

    Returns:
        The last turn's prediction, and the weighted losses, each as of its own turn.
    """
    # One optimiser and one schedule were configured; Lightning types them as either or a list.
    optimizer: Any = module.optimizers()
    rate: Any = module.lr_schedulers()
    losses: dict[str, Tensor] = {}
    for step in schedule.steps:
        prediction = predict(features)
        found = model.objective(prediction, labels)
        active = {name: found[name] for name in step}
        optimizer.zero_grad()
        module.manual_backward(torch.stack(list(active.values())).sum())
        _forget_zeros(model)
        optimizer.step()
        losses |= {name: loss.detach() for name, loss in active.items()}
    rate.step()
    return prediction, losses


def _forget_zeros(model: FunnelModel) -> None:
    """Towers lie in one tensor for a while, so the others' gradients are zeros and not absent."""
    with_gradient = [p for p in model.parameters() if p.grad is not None]
    if not with_gradient:
        return
    # One transfer from the device, however many parameters.
    moved = torch.stack([_numbers(p).any() for p in with_gradient]).tolist()
    for parameter, moves in zip(with_gradient, moved, strict=True):
        if not moves:
            parameter.grad = None


def _numbers(parameter: Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad._values() if parameter.grad.is_sparse else parameter.grad


def copy_towers(model: FunnelModel) -> None:
    """What a schedule has happen at the start of an epoch."""
    if model.schedule is not None:
        for source, target in model.schedule.weight_copies:
            copy_tower(model.network, source, target)
