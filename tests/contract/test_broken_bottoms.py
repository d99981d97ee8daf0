"""Every check of a bottom detects a bottom that violates it, and names the violation."""

import pytest
import torch

from mtl_seq import nn
from mtl_seq.testing import ContractError, check_bottom


class NoEmptyBatch(nn.SharedBottom):
    def forward(self, shared):
        return torch.stack([super(NoEmptyBatch, self).forward(row[None])[0] for row in shared])


class ReadsTheRowNumber(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared) + torch.arange(len(shared)).view(-1, 1, 1)


class Remembers(nn.SharedBottom):
    calls = 0

    def forward(self, shared):
        self.calls += 1
        return super().forward(shared) * self.calls


class DrawsInEval(nn.SharedBottom):
    """Draws from the global generator without using the draw, which shifts later draws."""

    def forward(self, shared):
        torch.rand(1)
        return super().forward(shared)


class CorrectMixture(nn.MMoE):
    """Mixes correctly, whatever `gates` returns."""

    def forward(self, shared):
        outputs = torch.stack([expert(shared) for expert in self.experts], dim=1)
        return torch.bmm(self.gate(shared), outputs)


class GatesOverRows(CorrectMixture):
    """Softmax over the wrong axis, a common bug."""

    def gates(self, shared):
        return torch.softmax(self.gate(shared), dim=0)


class NegativeGates(CorrectMixture):
    def gates(self, shared):
        return 2 * self.gate(shared) - 1 / len(self.experts)


class FlatGates(CorrectMixture):
    def gates(self, shared):
        return self.gate(shared).flatten(1)


class FloatOnly(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared.float())


class ForgetsDouble(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared).float()


class OtherInDouble(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared) * (2 if shared.dtype == torch.float64 else 1)


class NoAutocast(nn.SharedBottom):
    def forward(self, shared):
        hidden = super().forward(shared).contiguous()
        nothing = torch.zeros(hidden.shape, dtype=shared.dtype)
        return nothing.index_add(0, torch.arange(len(shared)), hidden)


class OverflowsInAutocast(nn.SharedBottom):
    def forward(self, shared):
        hidden = super().forward(shared)
        return hidden / hidden.new_tensor(hidden.dtype != torch.bfloat16)


class LooksAtValues(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared if shared.sum() < 1e9 else -shared)


class OneNumberOfRows(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared) + torch.zeros(int(shared.shape[0]), 1, 1)[: len([*shared])]


class BreaksTheGraph(nn.SharedBottom):
    def forward(self, shared):
        torch._dynamo.graph_break()
        return super().forward(shared)


class OtherWhenExported(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared) * (2 if torch.compiler.is_exporting() else 1)


class OtherWhenCompiled(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared) * (2 if torch.compiler.is_dynamo_compiling() else 1)


@pytest.mark.parametrize(
    ("bottom", "message"),
    [
        (NoEmptyBatch, "a batch of 0 rows: RuntimeError"),
        (ReadsTheRowNumber, "permuted rows must give permuted outputs"),
        (Remembers, "two calls in eval mode must agree"),
        (DrawsInEval, "in eval mode draws from torch's global generator"),
        (GatesOverRows, "gates must add up to 1 over experts"),
        (FlatGates, "must be .B, T, E."),
        (NegativeGates, "gates must not be negative"),
        (FloatOnly, "float64: RuntimeError"),
        (ForgetsDouble, "float64 must stay float64"),
        (OtherInDouble, "float64 must agree with float32"),
        (NoAutocast, "bfloat16 autocast: RuntimeError"),
        (OverflowsInAutocast, "bfloat16 autocast must give finite outputs"),
        (LooksAtValues, "torch.export with any number of rows: "),
        (OneNumberOfRows, "torch.export with any number of rows: "),
        (BreaksTheGraph, "torch.compile in one graph: "),
        (OtherWhenExported, "the exported module must give the same output"),
        (OtherWhenCompiled, "the compiled module must give the same output"),
    ],
)
def test_a_broken_bottom_is_named(bottom, message):
    with pytest.raises(ContractError, match=message):
        check_bottom(bottom)
