"""Parameters that tasks share, and those of single towers."""

from typing import NamedTuple

from torch.nn import Parameter

from mtl_seq.nn import Bottom, Embedding, FunnelNetwork

__all__ = ["Parts", "parts_of"]


class Parts(NamedTuple):
    """The parameters of a network, each in exactly one part.

    Attributes:
        embedding: Tables that all towers read; empty where every tower has separate ones.
        bottom: Experts and gates, or a shared stack; empty where every tower has a separate one.
        unshared: All others: towers, and inputs that only one tower reads.
    """

    embedding: tuple[Parameter, ...]
    bottom: tuple[Parameter, ...]
    unshared: tuple[Parameter, ...]

    @property
    def shared(self) -> tuple[Parameter, ...]:
        """The embedding and the bottom."""
        return self.embedding + self.bottom


def parts_of(network: FunnelNetwork) -> Parts:
    """Split a network's parameters by whether its towers share them.

    In the literature every task has a head to itself. Here tasks share towers: the CTCVR loss
    reaches the click tower and the conversion tower, and both losses of ESMM reach the click tower.
    What is balanced or projected is therefore the gradient of the embedding and the experts only; a
    tower takes the plain sum of the losses' gradients, since tasks do not conflict in a tower that
    only one conditional of the funnel reads. A gate of MMoE belongs to one tower but is stored in
    one matrix with the others: it counts as part of the bottom.

    Args:
        network: The network.
    """
    bottom = network.bottom
    assert isinstance(bottom, Bottom)
    embedding = tuple(network.embedding.parameters())
    stack = tuple(bottom.parameters())
    shared = (
        embedding if isinstance(network.embedding, Embedding) else (),
        () if bottom.per_tower else stack,
    )
    taken = {id(parameter) for part in shared for parameter in part}
    unshared = tuple(p for p in network.parameters() if id(p) not in taken)
    return Parts(*shared, unshared)
