"""Propensities from another source than the forward pass that is trained."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.losses import EvalMode, MovingAverage, Objective, PropensityLoss
from mtl_seq.losses.propensity_sources import PropensitySource
from mtl_seq.nn import FunnelNetwork

__all__ = ["NetworkPropensity", "clip_open", "propensity_source"]


def propensity_source(objective: Objective, *, logged: bool) -> PropensitySource | None:
    """The propensity source that an objective's policies name.

    Args:
        objective: The objective.
        logged: Whether the log has propensities.

    Returns:
        The source; None for the forward pass itself, or for propensities of the labels.

    Raises:
        CompositionError: Policies that differ, or a source beside propensities of the log.
    """
    losses = [loss for loss in objective.losses.values() if isinstance(loss, PropensityLoss)]
    sources = list(dict.fromkeys(loss.propensity.source for loss in losses))
    if len(sources) > 1:
        raise CompositionError(
            f"all losses of a model must have the same `source` of propensities, found {sources}: "
            "labels hold one propensity per row"
        )
    if not sources or sources[0] is None:
        return None
    if logged:
        raise CompositionError(
            f"the policy takes propensities from {sources[0]}, but the log has its own: leave "
            "`source` out, or `propensity` of the schema"
        )
    return sources[0]


class NetworkPropensity(nn.Module):
    """pCTR of a network, or of the moving average of its weights, with dropout switched off.

    Args:
        network: The network.
        source: `EvalMode` or `MovingAverage`.
    """

    def __init__(self, network: FunnelNetwork, source: EvalMode | MovingAverage) -> None:
        super().__init__()
        self.source = source
        # In a tuple, so that the trained network is not registered as a submodule.
        self._trained = (network,)
        self.average = copy.deepcopy(network) if isinstance(source, MovingAverage) else None
        if self.average is not None:
            self.average.requires_grad_(False)
        self.steps = 0

    @torch.no_grad()
    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Features of B rows -> ``(B,)`` propensities in (0, 1)."""
        network = self._trained[0] if self.average is None else self.average
        before = network.training
        network.eval()
        pctr: Tensor = network(features).pctr
        network.train(before)
        return clip_open(pctr)

    def get_extra_state(self) -> dict[str, int]:
        """For a checkpoint: the number of averaged steps."""
        return {"steps": self.steps}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Read what `get_extra_state` gave."""
        self.steps = state["steps"]

    @torch.no_grad()
    def update(self) -> None:
        """Update the moving average, where there is one, after an optimiser step."""
        if self.average is None or not isinstance(self.source, MovingAverage):
            return
        self.steps += 1
        decay = min(self.source.decay, 1 - 1 / self.steps)
        pairs = zip(self.average.parameters(), self._trained[0].parameters(), strict=True)
        for mean, current in pairs:
            mean.lerp_(current, 1 - decay)


def clip_open(propensity: Tensor) -> Tensor:
    """Clip propensities of saturated logits to the float32 epsilon from 0 and 1."""
    eps = torch.finfo(propensity.dtype).eps
    return propensity.clamp(eps, 1 - eps)
