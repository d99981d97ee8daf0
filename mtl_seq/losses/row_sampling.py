"""Rows kept or left out by a coin, the same coins for the same seed."""

import torch
from torch import Tensor, nn

__all__ = ["Coins"]

_STEPS, _SEEDS = 2**32, 2**63


class Coins(nn.Module):
    """Keeps rows with given probabilities: fresh coins in every training step.

    In eval mode nothing is drawn and a row counts by its probability, which is the expectation of
    the coins: a validation loss carries no noise of theirs. The global generators are not touched;
    the number of steps is part of the state, so that a resumed run draws what it would have drawn.

    Args:
        seed: Seed of the coins.
    """

    steps: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, chance: Tensor) -> Tensor:
        """``(B,)`` probabilities in [0, 1] -> ``(B,)`` 0 or 1, or in eval mode the same again."""
        if not self.training:
            return chance
        mixed = (self.seed * _STEPS + int(self.steps)) % _SEEDS
        generator = torch.Generator().manual_seed(mixed)
        self.steps += 1
        drawn = torch.rand(chance.shape, generator=generator, dtype=torch.float64)
        return (drawn.to(chance.device) < chance).to(chance.dtype)
