"""Labels to check parts on."""

import torch
from torch import Tensor

from mtl_seq.funnel import Funnel
from mtl_seq.records import FunnelLabels

__all__ = ["draw_labels"]


def draw_labels(funnel: Funnel, rows: int, generator: torch.Generator) -> FunnelLabels:
    """Labels of a funnel, with the potential outcome of its last stage.

    Args:
        funnel: The stages; each happens in about half of the rows in which it can.
        rows: How many.
        generator: The only source of randomness.
    """
    # What each stage would do were its parent to happen.
    own = {name: (torch.rand(rows, generator=generator) < 0.5).float() for name in funnel.names}
    for stage in funnel.stages:
        for index, name in enumerate(stage.via):
            for earlier in stage.via[:index]:
                own[name] = own[name] * (1 - own[earlier])
    potential = torch.ones(rows)
    happened: dict[str, Tensor] = {}
    parents = funnel.parents()
    for name in funnel.names:
        happened[name] = own[name] * (happened[parents[name]] if name in parents else 1)
    step = funnel.last
    while step in parents:
        potential = potential * own[step]
        step = parents[step]
    return FunnelLabels(torch.stack(list(happened.values()), dim=1), potential=potential)
