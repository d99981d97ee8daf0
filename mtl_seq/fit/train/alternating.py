"""Alternating optimisation of losses."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor
from torch.nn import Parameter

from mtl_seq.models import FunnelModel, Schedule
from mtl_seq.nn.tower_copy import copy_tower
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["alternating_steps", "copy_towers"]


def alternating_steps(
    module: LightningModule,
    model: FunnelModel,
    schedule: Schedule,
    features: Mapping[str, Tensor],
    labels: FunnelLabels,
    *,
    predict: Callable[[Mapping[str, Tensor]], FunnelPrediction],
) -> tuple[FunnelPrediction, dict[str, Tensor]]:
    """Take each optimiser step of a schedule on one batch, then advance the rate.

    Each step predicts from the weights after the step before it. Parameters whose gradient is 0 in
    a step are not updated, not even by the optimiser's momentum: a step freezes the parameters that
    only another one trains.

    Args:
        module: In manual optimisation, with one optimiser.
        model: The model to train.
        schedule: The steps.
        features: Of one batch.
        labels: Of the same rows.
        predict: The model's forward pass, in the arithmetic of training.

    Returns:
        The last step's prediction, and the weighted losses, each from its step.
    """
    # One optimiser and one schedule were configured; Lightning types them as either or a list.
    optimizer: Any = module.optimizers()
    rate: Any = module.lr_schedulers()
    losses: dict[str, Tensor] = {}
    for step in schedule.steps:
        prediction = predict(features)
        every = model.objective(prediction, labels)
        active = {name: every[name] for name in step}
        optimizer.zero_grad()
        module.manual_backward(torch.stack(list(active.values())).sum())
        _drop_zero_gradients(model)
        optimizer.step()
        losses |= {name: loss.detach() for name, loss in active.items()}
    rate.step()
    return prediction, losses


def _drop_zero_gradients(model: FunnelModel) -> None:
    """Drop gradients of 0: towers are stacked in one tensor, so those without a loss have zeros."""
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
    """Copy towers as a model's schedule says for the start of an epoch."""
    if model.schedule is not None:
        for source, target in model.schedule.weight_copies:
            copy_tower(model.network, source, target)
