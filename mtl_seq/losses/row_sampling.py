"""Bernoulli row sampling."""

import torch
from torch import Tensor, nn

__all__ = ["BernoulliSampling"]

_STEPS, _SEEDS = 2**32, 2**63


class BernoulliSampling(nn.Module):
    """Sample rows independently with given probabilities, newly in every training step.

    In eval mode nothing is drawn and a row counts by its probability, so that a validation loss has
    no sampling noise. The global generators are not used; the number of steps is part of the state,
    so that a resumed run draws the same rows as an uninterrupted one.
    """

    steps: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, chance: Tensor) -> Tensor:
        """``(B,)`` probabilities in [0, 1] -> ``(B,)`` 0 or 1; in eval mode the probabilities."""
        if not self.training:
            return chance
        mixed = (self.seed * _STEPS + int(self.steps)) % _SEEDS
        generator = torch.Generator().manual_seed(mixed)
        self.steps += 1
        drawn = torch.rand(chance.shape, generator=generator, dtype=torch.float64)
        return (drawn.to(chance.device) < chance).to(chance.dtype)
