"""Protocol of optimiser factories, and the split of parameters they use."""

from typing import Protocol

from torch import nn
from torch.nn import Parameter
from torch.optim import Optimizer

__all__ = ["OptimizerFactory", "split_tables"]


class OptimizerFactory(Protocol):
    """Builds the optimiser of a network."""

    def __call__(self, network: nn.Module, *, lr: float, weight_decay: float) -> Optimizer:
        """The network, its learning rate, and the decoupled decay of all but tables."""


def split_tables(network: nn.Module) -> tuple[list[Parameter], list[Parameter]]:
    """All parameters but embedding tables, and the tables."""
    tables = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
    parameters = list(network.parameters())
    rest = [p for p in parameters if id(p) not in tables]
    return rest, [p for p in parameters if id(p) in tables]
