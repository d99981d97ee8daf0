"""The networks of benchmarks/papers/mmoe.py, and many of one structure as one stack of matrices."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mtl_seq.nn.bottoms import Bottom, MMoE, OMoE, SharedBottom, SingleTask
from mtl_seq.nn.layers.mlp import Tower

__all__ = ["FEATURES", "STRUCTURES", "Network", "Stacked", "count", "widths"]

FEATURES, EXPERTS, EXPERT_WIDTH, TOWER_WIDTH = 100, 8, 16, 8  # the paper's

# From the width of a layer; the MMoE of the paper's width sets the budget.
STRUCTURES: dict[str, Callable[[int], Bottom]] = {
    "separate": lambda width: SingleTask(
        FEATURES, 2, bottom=partial(SharedBottom, hidden=(width,))
    ),
    "shared bottom": lambda width: SharedBottom(FEATURES, 2, hidden=(width,)),
    "OMoE": lambda width: OMoE(FEATURES, 2, experts=EXPERTS, hidden=(width,)),
    "MMoE": lambda width: MMoE(FEATURES, 2, experts=EXPERTS, hidden=(width,)),
}


class Network(nn.Module):
    """A bottom of the package under two of its towers."""

    def __init__(self, bottom: Bottom) -> None:
        super().__init__()
        self.bottom = bottom
        self.towers = nn.ModuleList(Tower(bottom.out_features, (TOWER_WIDTH,)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, F) -> (B, 2)``."""
        per_tower = self.bottom.per_tower
        read = self.bottom(x.unsqueeze(1).expand(-1, 2, -1) if per_tower else x)
        return torch.stack([tower(read[:, k]) for k, tower in enumerate(self.towers)], dim=1)


class Stacked(nn.Module):
    """M networks of one structure, computed together; starts from copies of their weights.

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
        """``(M, B, F) -> (M, B, G, E)``: what each gate gives each expert."""
        return torch.softmax(torch.bmm(x, self.gate).unflatten(2, self.shape), dim=3)

    def forward(self, x: Tensor) -> Tensor:
        """``(M, B, F) -> (M, 2, B)``."""
        hidden = torch.relu(torch.baddbmm(self.bias, x, self.weight))
        read = hidden.unflatten(2, (-1, self.width))
        if self.gate is not None:
            read = (self.shares(x).unsqueeze(4) * read.unsqueeze(2)).sum(3)
        # A structure that has one representation for both towers is read twice.
        read = read.expand(-1, -1, 2, -1).transpose(1, 2).flatten(0, 1)
        read = torch.relu(torch.baddbmm(self.tower_bias, read, self.tower_weight))
        out = torch.baddbmm(self.out_bias, read, self.out_weight)
        return out.squeeze(2).unflatten(0, (-1, 2))


def _stack(weights: Sequence[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.stack([weight.detach() for weight in weights]).contiguous())


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def widths() -> dict[str, int]:
    """The width that brings each structure nearest to the parameters of the paper's MMoE."""
    budget = count(Network(STRUCTURES["MMoE"](EXPERT_WIDTH)))
    found = {}
    for name, build in STRUCTURES.items():
        gaps = {w: abs(count(Network(build(w))) - budget) for w in range(1, 200)}
        found[name] = min(gaps, key=gaps.__getitem__)
        assert gaps[found[name]] <= 0.01 * budget, name
    assert found["MMoE"] == EXPERT_WIDTH
    return found
