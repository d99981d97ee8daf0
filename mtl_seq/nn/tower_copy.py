"""Copy the weights of a tower to another, in networks whose towers share nothing."""

import torch
from torch import nn

from mtl_seq.errors import CompositionError
from mtl_seq.nn.bottoms import SingleTask
from mtl_seq.nn.heads import ParallelHead
from mtl_seq.nn.layers.embedding import TowerEmbeddings
from mtl_seq.nn.network import FunnelNetwork

__all__ = ["copy_tower"]


def copy_tower(network: FunnelNetwork, source: str, target: str) -> None:
    """Copy all weights of a tower to another: embeddings, bottom, layers and linear terms.

    Args:
        network: With embeddings and a bottom per tower; changed in place.
        source: The tower to copy from, one of ``network.towers``.
        target: The tower to copy to.

    Raises:
        CompositionError: Towers that share parts, or that differ in shape.
    """
    sources, targets = (_parts(network, name) for name in (source, target))
    try:
        for part, copy in zip(sources, targets, strict=True):
            copy.load_state_dict(part.state_dict())
    except RuntimeError as error:
        raise CompositionError(
            f"tower {target!r} cannot take over the weights of {source!r}, since their shapes "
            "differ: let both see the same features and give both layers of the same widths"
        ) from error
    if network.wide is not None:
        i, j = (network.towers.index(name) for name in (source, target))
        with torch.no_grad():
            for weight in network.wide.parameters():
                weight[:, j] = weight[:, i]


def _parts(network: FunnelNetwork, name: str) -> tuple[nn.Module, nn.Module, nn.Module]:
    embedding, bottom, head = network.embedding, network.bottom, network.head
    if not (
        isinstance(embedding, TowerEmbeddings)
        and isinstance(bottom, SingleTask)
        and isinstance(head, ParallelHead)
    ):
        raise CompositionError(
            "a tower is copied where towers share nothing, found "
            f"{type(embedding).__name__}, {type(bottom).__name__} and {type(head).__name__}: "
            "build the network with TowerEmbeddings, SingleTask and ParallelHead"
        )
    index = network.towers.index(name)
    layers = [*head.towers, *network.aux_towers.values()]
    return embedding.lookups[index], bottom.bottoms[index], layers[index]
