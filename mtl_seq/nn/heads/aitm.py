"""AITM: Adaptive Information Transfer Multi-task (Xi et al., KDD 2021)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.funnel import Funnel
from mtl_seq.nn.compose.compose_joints import compose_joints, joint_rates
from mtl_seq.nn.heads.base import TowerHead
from mtl_seq.nn.layers.mlp import MLP, Tower

__all__ = ["AITM"]


class AITM(TowerHead):
    """A chain in which every tower attends to a vector passed on by the tower before it.

    With ``t_k = MLP(f_k)`` and ``z_1 = t_1``: ``p = relu(linear(z_{k-1}))``, and z_k is the
    attention over the two tokens p and t_k, a token u weighing
    ``softmax(<h1 u, h2 u> / sqrt(d))`` and giving h3 u. h1, h2 and h3 are linear, without bias, and
    shared by all towers. ``logit_k = linear(z_k)``.

    The logits are those of joints, over all impressions: the second is pCTCVR, not pCVR. Only the
    loss `MonotonicityPenalty` pushes pCTCVR below pCTR; nothing enforces it. pCVR is the ratio
    pCTCVR / pCTR, clipped below 1 where the two are in the wrong order, and inherits the ratio's
    instability where pCTR is small; see `compose_joints`. Therefore ``conditional`` is False.

    Own features are concatenated between z_k and the logit, after the vector that is passed on, as
    they may be hidden from a later stage. A feature hidden from the conversion stays out of the
    tower of the joint, although the click makes the true joint depend on it; pCVR depends on it
    through the divisor. `DBMTL` and `ParallelHead` have neither limitation.

    Args:
        hidden: Widths of t_k, the last being d; empty for the representation itself. The paper has
            128, 64, 32, with dropout, on embeddings without a bottom.
        readout: Widths of layers between ``[z_k, own]`` and the logit; empty as published.

    Raises:
        CompositionError: A funnel that is no chain of two or more stages.
    """

    compose = staticmethod(compose_joints)
    conditional = False

    def __init__(
        self,
        funnel: Funnel,
        in_features: int,
        own: Mapping[str, int],
        *,
        hidden: Sequence[int] = (32,),
        readout: Sequence[int] = (),
    ) -> None:
        super().__init__(funnel)
        if len(funnel.stages) < 2 or funnel != Funnel.chain(*funnel.names):
            raise CompositionError(
                "`funnel` must be a chain of two or more stages, since AITM passes a vector from "
                f"each to the next, found {funnel.to_dict()}: use `ParallelHead` or `DBMTL`"
            )
        self.hidden = nn.ModuleList(MLP(in_features, hidden) for _ in self.names)
        first = self.hidden[0]
        assert isinstance(first, MLP)
        width = first.out_features
        self.transfers = nn.ModuleList(MLP(width, (width,)) for _ in self.names[1:])
        self.queries, self.keys, self.values = (
            nn.Linear(width, width, bias=False) for _ in range(3)
        )
        self.towers = nn.ModuleList(Tower(width + own.get(name, 0), readout) for name in self.names)

    def forward(self, hidden: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """``(B, T, D)`` and own features by tower -> ``(B, C)`` logits of joints."""
        tokens = [mlp(row) for mlp, row in zip(self.hidden, hidden.unbind(1), strict=True)]
        passed = tokens[:1]
        for transfer, token in zip(self.transfers, tokens[1:], strict=True):
            passed.append(self._attend(torch.stack((transfer(passed[-1]), token), dim=1)))
        return self._logits(passed, own)

    def start_at(self, rates: Mapping[str, float]) -> None:
        """Set the biases of the logits to products of rates, up to the first that is absent."""
        super().start_at(joint_rates(self.names, rates))

    def _attend(self, tokens: Tensor) -> Tensor:
        """``(B, 2, d) -> (B, d)``."""
        queries, keys, values = self.queries(tokens), self.keys(tokens), self.values(tokens)
        scores = (queries * keys).sum(2, keepdim=True) / math.sqrt(tokens.shape[2])
        attended: Tensor = (torch.softmax(scores, dim=1) * values).sum(1)
        return attended
