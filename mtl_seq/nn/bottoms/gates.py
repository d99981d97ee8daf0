"""Parts of mixtures of experts: experts, gates, and the mixing of experts by gates.

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
"""Builds an expert, ``(B, F) -> (B, D)``, from F; its attribute ``out_features`` is D."""


class Gate(nn.Linear):
    """Shares of experts: ``softmax(W x / temperature)``, linear on the input and without bias.

    Args:
        in_features: F.
        gates: G, gates side by side.
        experts: E.
        temperature: Below 1 shares are more concentrated, above 1 more even.
        dropout: Probability that training drops an expert from a gate, per row. The shares of the
            remaining experts add up to 1; a gate that would drop all keeps all. It keeps a gate
            from collapsing onto one expert before the others are trained.

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
        # Without dropout nothing is drawn, so that the other draws of a run are unchanged.
        if self.training and self.dropout > 0:
            kept = functional.dropout(torch.ones_like(logits), self.dropout) > 0
            kept = kept | ~kept.any(dim=2, keepdim=True)
            # Before the softmax: the remaining shares may be too small to divide by their sum.
            logits = logits.masked_fill(~kept, -math.inf)
        if few_rows(logits):
            return torch.softmax(logits, dim=2)
        # With the experts as the outer dimension the softmax vectorises over rows: several times
        # faster on a CPU.
        along_rows = logits.permute(1, 2, 0).contiguous()
        return torch.softmax(along_rows, dim=1).permute(2, 0, 1)


def build_experts(
    expert: ExpertFactory | None, hidden: Sequence[int], in_features: int, count: int
) -> nn.ModuleList:
    """Build experts with different initial weights.

    Args:
        expert: Builds an expert; by default an `MLP`.
        hidden: Widths of that MLP.
        in_features: F.
        count: How many.

    Raises:
        CompositionError: Experts without `out_features`, or one module returned twice.
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
