"""Progressive layered extraction and its one-level form (Tang et al., RecSys 2020).

Shapes: B rows, F input features, T towers, m experts of one tower, s experts that all share,
E = T m + s, D output features.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtl_seq.errors import CompositionError
from mtl_seq.nn.bottoms.base import Bottom
from mtl_seq.nn.bottoms.gates import ExpertFactory, Gate, build_experts, mix, width_of
from mtl_seq.nn.layers.batched_experts import run_alike

__all__ = ["CGC", "PLE"]


class PLE(Bottom):
    """Tower-specific and shared experts, in levels.

    On a level, tower t's gate mixes its own m experts and the s shared ones, all of which read the
    outputs of the level before: ``f_t = softmax(W_t h_t) [own_t(h_t); shared(h_0)]``. Every
    level but the last also has a shared gate, which mixes all E experts into the input ``h_0`` of
    the next level's shared experts; the first level reads x throughout.

    The paper trains each tower on rows of its own sample space. That is set by the objective, and
    with CVR on clicks it does not correct selection bias.

    Further arguments are those of `MMoE`; `expert` builds one from the width of its input.

    Args:
        own: m, number of experts of each tower; 0 for none, which on one level is `MMoE`.
        shared: s, number of experts that all towers share; 0 for none, and then no shared gate.
        levels: Number of levels; with one it is `CGC`.

    Raises:
        CompositionError: No expert at all, fewer than one level, or an option outside its range.
    """

    def __init__(
        self,
        in_features: int,
        towers: int,
        *,
        own: int = 1,
        shared: int = 2,
        levels: int = 2,
        hidden: Sequence[int] = (64, 32),
        expert: ExpertFactory | None = None,
        temperature: float = 1.0,
        gate_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if own < 0 or shared < 0 or own + shared < 1:
            raise CompositionError(
                "`own` and `shared` must be at least 0 and one of them at least 1, found "
                f"`own={own}` and `shared={shared}`: a tower needs an expert to read"
            )
        if levels < 1:
            raise CompositionError(
                f"`levels` must be at least 1, found {levels}: one level is `CGC`"
            )
        self.counts = (towers, own, shared)
        build = partial(build_experts, expert, hidden)
        gate = partial(Gate, temperature=temperature, dropout=gate_dropout)
        self.levels = nn.ModuleList()
        width = in_features
        for level in range(levels):
            last = level == levels - 1
            built = _Level(width, self.counts, build, gate, shared_gate=shared > 0 and not last)
            self.levels.append(built)
            width = built.out_features
        self.out_features = width

    def forward(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, D)``."""
        inputs, common = [shared] * self.counts[0], shared
        for level in self.levels:
            inputs, common = level(inputs, common)
        return torch.stack(inputs, dim=1)

    def gates(self, shared: Tensor) -> Tensor:
        """``(B, F) -> (B, T, E)``: each tower's share of each expert of the last level.

        Experts are in this order: those of tower 0, those of tower 1, ..., the shared ones. A
        tower's share of another tower's experts is exactly 0.
        """
        towers, own, _ = self.counts
        inputs, common = [shared] * towers, shared
        for level in self.levels[:-1]:
            inputs, common = level(inputs, common)
        last = self.levels[-1]
        assert isinstance(last, _Level)
        rows = []
        for tower, gate in enumerate(last.gates(inputs)):
            mine, rest = gate.squeeze(1).tensor_split([own], dim=1)
            place = (own * tower, own * (towers - tower - 1))
            rows.append(torch.cat((functional.pad(mine, place), rest), dim=1))
        return torch.stack(rows, dim=1)


class CGC(PLE):
    """Customized gate control: `PLE` with a single level, and its other arguments."""

    def __init__(
        self,
        in_features: int,
        towers: int,
        *,
        own: int = 1,
        shared: int = 2,
        hidden: Sequence[int] = (64, 32),
        expert: ExpertFactory | None = None,
        temperature: float = 1.0,
        gate_dropout: float = 0.0,
    ) -> None:
        super().__init__(
            in_features,
            towers,
            own=own,
            shared=shared,
            levels=1,
            hidden=hidden,
            expert=expert,
            temperature=temperature,
            gate_dropout=gate_dropout,
        )


class _Level(nn.Module):
    """One level: T inputs for the towers and one for the shared experts, to as many outputs."""

    def __init__(
        self,
        in_features: int,
        counts: tuple[int, int, int],
        build: Callable[[int, int], nn.ModuleList],
        gate: Callable[[int, int, int], Gate],
        *,
        shared_gate: bool,
    ) -> None:
        super().__init__()
        towers, own, shared = counts
        self.own = nn.ModuleList(build(in_features, own) for _ in range(towers))
        self.shared = build(in_features, shared)
        self.tower_gates = nn.ModuleList(gate(in_features, 1, own + shared) for _ in range(towers))
        self.shared_gate = gate(in_features, 1, towers * own + shared) if shared_gate else None
        self.out_features = width_of(next(iter((*self.own[0].children(), *self.shared))))

    def gates(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Each tower's gate over its own and the shared experts: T times ``(B, 1, m + s)``."""
        return [gate(x) for gate, x in zip(self.tower_gates, inputs, strict=True)]

    def forward(self, inputs: Sequence[Tensor], common: Tensor) -> tuple[list[Tensor], Tensor]:
        """Inputs ``(B, F)`` of the towers and of the shared experts -> ``(B, D)`` for the same.

        Without a shared gate the input of the shared experts is returned unchanged; nothing reads
        it.
        """
        own = [run_alike(list(e.children()), x) for e, x in zip(self.own, inputs, strict=True)]
        shared = run_alike(list(self.shared), common)
        gates = self.gates(inputs)
        fused = [
            mix(gate, (*mine, *shared)).squeeze(1) for gate, mine in zip(gates, own, strict=True)
        ]
        if self.shared_gate is not None:
            every = [output for mine in own for output in mine]
            common = mix(self.shared_gate(common), (*every, *shared)).squeeze(1)
        return fused, common
