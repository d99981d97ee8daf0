"""Weights of a fitted model into one that knows more ids."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn

from mtl_seq.data import Codec
from mtl_seq.data.encode.warm_start import moved_rows
from mtl_seq.errors import CompositionError
from mtl_seq.models import FunnelModel

__all__ = ["Fitted", "grow"]


class Fitted(NamedTuple):
    """What a warm start begins with.

    Attributes:
        codec: Of the earlier rows.
        model: Trained on them.
    """

    codec: Codec
    model: FunnelModel


@runtime_checkable
class _HoldsTables(Protocol):
    """A module in which ids have rows."""

    rows: dict[str, int]

    def place_of(self, name: str) -> tuple[nn.Embedding, int]:
        """The table of an id or a bag, and its first row there."""


@torch.no_grad()
def grow(start: Fitted, codec: Codec, model: FunnelModel) -> None:
    """Give a model the weights of an earlier one, so that it predicts what that one predicted.

    Old ids have the vectors they had; new ones begin with that of the unseen, row 0.

    Args:
        start: The earlier model.
        codec: That of the earlier model, extended.
        model: Built for it, by the same builder.

    Raises:
        CompositionError: Models that differ in more than their ids.
    """
    tables = _tables(model)
    before, after = start.model.state_dict(), model.state_dict()
    kept = {name: value for name, value in before.items() if name not in tables}
    same = {name: value.shape for name, value in after.items() if name not in tables}
    if {name: value.shape for name, value in kept.items()} != same or tables != _tables(
        start.model
    ):
        raise CompositionError(
            "a warm start goes on with the model that was fitted before, and this one has other "
            "weights: give the same builder and `Encoding`"
        )
    model.load_state_dict({**after, **kept})
    earlier = dict(start.model.named_modules())
    for name, module in model.named_modules():
        old = earlier[name]
        if not isinstance(module, _HoldsTables):
            continue
        assert isinstance(old, _HoldsTables)
        for feature, count in module.rows.items():
            known = start.codec.vocabularies.get(feature)
            # The buckets of a number are as they were.
            moved = (
                np.arange(count)
                if known is None
                else moved_rows(known, codec.vocabularies[feature])
            )
            (source, first), (target, begin) = old.place_of(feature), module.place_of(feature)
            rows = source.weight[first : first + len(moved)]
            target.weight[begin : begin + count] = rows[0]
            target.weight[begin + torch.from_numpy(moved)] = rows


def _tables(model: FunnelModel) -> set[str]:
    """Names of the weights in which ids have rows."""
    held = {
        id(module.place_of(feature)[0].weight)
        for module in model.modules()
        if isinstance(module, _HoldsTables)
        for feature in module.rows
    }
    return {name for name, weight in model.named_parameters() if id(weight) in held}
