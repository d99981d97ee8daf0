"""Random labels for the contract checks."""

import torch
from torch import Tensor

from mtl_seq.funnel import Funnel
from mtl_seq.records import FunnelLabels

__all__ = ["draw_labels"]


def draw_labels(funnel: Funnel, rows: int, generator: torch.Generator) -> FunnelLabels:
    """Draw labels of a funnel, with the potential outcome of its last stage.

    Args:
        funnel: The stages; each is reached in about half of the rows in which it can be.
        rows: Number of rows.
        generator: The only source of randomness.
    """
    # Whether each stage would be reached if its parent is.
    conditional = {
        name: (torch.rand(rows, generator=generator) < 0.5).float() for name in funnel.names
    }
    for stage in funnel.stages:
        for index, name in enumerate(stage.via):
            for earlier in stage.via[:index]:
                conditional[name] = conditional[name] * (1 - conditional[earlier])
    potential = torch.ones(rows)
    reached: dict[str, Tensor] = {}
    parents = funnel.parents()
    for name in funnel.names:
        reached[name] = conditional[name] * (reached[parents[name]] if name in parents else 1)
    step = funnel.last
    while step in parents:
        potential = potential * conditional[step]
        step = parents[step]
    return FunnelLabels(torch.stack(list(reached.values()), dim=1), potential=potential)
