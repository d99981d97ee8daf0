"""Transfer of a fitted model's weights to a model with more ids."""

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
    """Codec and model of an earlier fit.

    Attributes:
        codec: Fitted to the earlier rows.
        model: Trained on them.
    """

    codec: Codec
    model: FunnelModel


@runtime_checkable
class _TableHolder(Protocol):
    """A module that holds embedding tables of ids."""

    rows: dict[str, int]

    def place_of(self, name: str) -> tuple[nn.Embedding, int]:
        """The table of an id or a bag, and its first row there."""


@torch.no_grad()
def grow(start: Fitted, codec: Codec, model: FunnelModel) -> None:
    """Copy an earlier model's weights, so that the model predicts as the earlier one did.

    Old ids keep their vectors; new ids start with the vector of the unseen, row 0.

    Args:
        start: The earlier model.
        codec: The earlier codec, extended.
        model: Built for it by the same builder.

    Raises:
        CompositionError: Models that differ in more than their ids.
    """
    tables = _tables(model)
    before, after = start.model.state_dict(), model.state_dict()
    fixed = {name: value for name, value in before.items() if name not in tables}
    same = {name: value.shape for name, value in after.items() if name not in tables}
    if {name: value.shape for name, value in fixed.items()} != same or tables != _tables(
        start.model
    ):
        raise CompositionError(
            "a warm start needs the model that was fitted before, and this one has other weights: "
            "pass the same builder and `Encoding`"
        )
    model.load_state_dict({**after, **fixed})
    earlier = dict(start.model.named_modules())
    for name, module in model.named_modules():
        old = earlier[name]
        if not isinstance(module, _TableHolder):
            continue
        assert isinstance(old, _TableHolder)
        for feature, count in module.rows.items():
            known = start.codec.vocabularies.get(feature)
            # The buckets of a dense column do not change.
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
    """Names of the weights that are tables of ids."""
    tables = {
        id(module.place_of(feature)[0].weight)
        for module in model.modules()
        if isinstance(module, _TableHolder)
        for feature in module.rows
    }
    return {name for name, weight in model.named_parameters() if id(weight) in tables}
