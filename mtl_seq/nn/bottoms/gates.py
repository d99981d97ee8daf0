"""What every mixture of experts is made of: experts, gates, and mixing the one by the other.

Shapes: B rows, F input features, G gates, E experts, D output features.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtl_seq.errors import CompositionError
from mtl_seq.nn.layers.batched_experts import few_rows
from mtl_seq.nn.layers.mlp import MLP

__all__ = ["ExpertFactory", "Gate", "build_experts", "mix", "width_of"]

ExpertFactory = Callable[[int], nn.Module]
"""Builds an expert, ``(B, F) -> (B, D)``, from F; its attribute ``out_features`` says D."""


class Gate(nn.Linear):
    """Shares of experts: ``softmax(W x / temperature)``, linear on the input and without bias.

    Args:
        in_features: F.
        gates: G, gates side by side.
        experts: E.
        temperature: Below 1 a gate leans to its first choice, above 1 it mixes more evenly.
        dropout: Probability that training takes an expert away from a gate, per row. The shares of
            those that are left add up to 1; a gate that would lose all keeps all. It keeps a gate
            from giving one expert everything before the others have learned anything.

    Raises:
        CompositionError: A temperature that is not positive, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        in_features: int,
        gates: int,
        experts: int,
        *,
        temperature: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        if not 0 < temperature < math.inf:
            raise CompositionError(
                f"`temperature` must be positive and finite, found {temperature}: 1 is plain MMoE"
            )
        if not 0 <= dropout < 1:
            raise CompositionError(
                f"`gate_dropout` must lie in [0, 1), found {dropout}: 0 drops no gate"
            )
        super().__init__(in_features, gates * experts, bias=False)
        self.shape = (gates, experts)
        self.temperature = temperature
        self.dropout = dropout

    def forward(self, input: Tensor) -> Tensor:
        """``(B, F) -> (B, G, E)``; each gate's shares add up to 1."""
        logits = torch.unflatten(super().forward(input), 1, self.shape) / self.temperature
        # Without dropout nothing is drawn, so that it leaves other draws of a run as they were.
        if self.training and self.dropout > 0:
            kept = functional.dropout(torch.ones_like(logits), self.dropout) > 0
            kept = kept | ~kept.any(dim=2, keepdim=True)
            # Before the softmax: shares that are left may be too small to be divided by their sum.
            logits = logits.masked_fill(~kept, -math.inf)
        if few_rows(logits):
            return torch.softmax(logits, dim=2)
        # With the few experts outermost the softmax runs along rows: several times faster on a CPU.
        along_rows = logits.permute(1, 2, 0).contiguous()
        return torch.softmax(along_rows, dim=1).permute(2, 0, 1)


def build_experts(
    expert: ExpertFactory | None, hidden: Sequence[int], in_features: int, count: int
) -> nn.ModuleList:
    """Experts that start from different weights.

    Args:
        expert: Builds an expert; by default an `MLP`.
        hidden: Widths of that MLP.
        in_features: F.
        count: How many.

    Raises:
        CompositionError: Experts that do not say how wide they are, or one module built twice.
    """
    built = [
        MLP(in_features, hidden) if expert is None else expert(in_features) for _ in range(count)
    ]
    for module in built:
        if not isinstance(getattr(module, "out_features", None), int):
            raise CompositionError(
                "`expert` must build modules with an attribute `out_features`, found a "
                f"{type(module).__name__} without: set it, or use `partial(MLP, hidden=...)`"
            )
    if len({id(module) for module in built}) < count:
        raise CompositionError(
            f"`expert` must build a new module at every call, found one module for {count} experts:"
            " construct it within the function"
        )
    return nn.ModuleList(built)


def width_of(expert: nn.Module) -> int:
    """D of an expert."""
    width = expert.out_features
    assert isinstance(width, int)
    return width


def mix(gates: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    """``(B, G, E)`` and E times ``(B, D)`` -> ``(B, G, D)``."""
    return torch.bmm(gates, torch.stack(tuple(outputs), dim=1))
