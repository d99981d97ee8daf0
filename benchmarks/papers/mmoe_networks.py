"""Bottoms of equal size as in the MMoE paper, and a stack of networks trained together."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import torch
from torch import Tensor, nn

from mtl_seq.nn import PLE, Bottom, MMoE, OMoE, SharedBottom, SingleTask, Tower

__all__ = ["STRUCTURES", "TOWER_WIDTH", "Network", "Stacked", "parameters", "widths"]

EXPERTS, EXPERT_WIDTH, TOWER_WIDTH = 8, 16, 8  # the paper's

# Of the number of inputs and the width of a layer; MMoE sets the number of parameters.
STRUCTURES: Mapping[str, Callable[[int, int], Bottom]] = {
    "single task": lambda inputs, width: SingleTask(
        inputs, 2, bottom=partial(SharedBottom, hidden=(width,))
    ),
    "shared bottom": lambda inputs, width: SharedBottom(inputs, 2, hidden=(width,)),
    "OMoE": lambda inputs, width: OMoE(inputs, 2, experts=EXPERTS, hidden=(width,)),
    "MMoE": lambda inputs, width: MMoE(inputs, 2, experts=EXPERTS, hidden=(width,)),
    "PLE": lambda inputs, width: PLE(inputs, 2, own=2, shared=4, levels=2, hidden=(width,)),
}


class Network(nn.Module):
    """A bottom under two towers."""

    def __init__(self, bottom: Bottom) -> None:
        super().__init__()
        self.bottom = bottom
        self.towers = nn.ModuleList(Tower(bottom.out_features, (TOWER_WIDTH,)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Logits or values, ``(B, F) -> (B, 2)``."""
        per_tower = self.bottom.per_tower
        hidden = self.bottom(x.unsqueeze(1).expand(-1, 2, -1) if per_tower else x)
        return torch.stack([tower(hidden[:, k]) for k, tower in enumerate(self.towers)], dim=1)


def parameters(inputs: int, structure: str, width: int) -> int:
    """Number of parameters of the bottom and the towers."""
    return sum(p.numel() for p in Network(STRUCTURES[structure](inputs, width)).parameters())


@cache
def widths(inputs: int) -> dict[str, int]:
    """Width of each structure whose number of parameters is nearest to that of MMoE."""
    with torch.device("meta"):
        budget = parameters(inputs, "MMoE", EXPERT_WIDTH)
        return {
            name: min(range(1, 200), key=lambda w: abs(parameters(inputs, name, w) - budget))
            for name in STRUCTURES
        }


class Stacked(nn.Module):
    """M networks of one structure as one stack of matrices, which copies their weights.

    Shapes: M networks, B rows, F features, E experts (or bottoms), D of their outputs, G gates.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.width = networks[0].bottom.out_features
        gate = [getattr(n.bottom, "gate", None) for n in networks]
        self.shape = None if gate[0] is None else gate[0].shape
        self.gate = None if gate[0] is None else _stack([g.weight.T for g in gate])
        layers = [
            [m for name, m in n.bottom.named_modules() if name != "gate" and hasattr(m, "weight")]
            for n in networks
        ]
        self.weight = _stack([torch.cat([m.weight for m in row]).T for row in layers])
        self.bias = _stack([torch.cat([m.bias for m in row])[None] for row in layers])
        towers = [tower for n in networks for tower in n.towers]
        self.tower_weight = _stack([t.stack.layers[0].weight.T for t in towers])
        self.tower_bias = _stack([t.stack.layers[0].bias[None] for t in towers])
        self.out_weight = _stack([t.logit.weight.T for t in towers])
        self.out_bias = _stack([t.logit.bias[None] for t in towers])

    def shares(self, x: Tensor) -> Tensor:
        """Gate weights, ``(M, B, F) -> (M, B, G, E)``."""
        return torch.softmax(torch.bmm(x, self.gate).unflatten(2, self.shape), dim=3)

    def forward(self, x: Tensor) -> Tensor:
        """Values of both towers, ``(M, B, F) -> (M, 2, B)``."""
        hidden = torch.relu(torch.baddbmm(self.bias, x, self.weight))
        hidden = hidden.unflatten(2, (-1, self.width))
        if self.gate is not None:
            hidden = (self.shares(x).unsqueeze(4) * hidden.unsqueeze(2)).sum(3)
        # One representation for both towers is repeated.
        hidden = hidden.expand(-1, -1, 2, -1).transpose(1, 2).flatten(0, 1)
        hidden = torch.relu(torch.baddbmm(self.tower_bias, hidden, self.tower_weight))
        out = torch.baddbmm(self.out_bias, hidden, self.out_weight)
        return out.squeeze(2).unflatten(0, (-1, 2))


def _stack(weights: Sequence[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.stack([weight.detach() for weight in weights]).contiguous())
