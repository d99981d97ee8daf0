"""The optimiser."""

import torch
from torch import nn

__all__ = ["build_optimizer"]


def build_optimizer(
    network: nn.Module, *, lr: float, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Adam over all parameters, in its fused form.

    First-order on purpose: with a detached propensity the gradient is not that of the reported
    loss, so a line search (L-BFGS) ends elsewhere.

    Args:
        network: What to train.
        lr: Learning rate.
        weight_decay: Decoupled decay of everything but embedding tables, whose rarely seen rows it
            would pull to zero.

    Returns:
        The optimiser.
    """
    tables = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if id(p) not in tables], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) in tables], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, fused=True)
