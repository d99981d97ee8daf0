from contextlib import contextmanager

import torch
from torch import nn

from mtl_seq.nn.forward import batched_forward


class Doubling(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))
        self.blocks = []

    def forward(self, features):
        assert not torch.is_grad_enabled()
        assert not self.training
        self.blocks.append(len(features["x"]))
        return self.factor * features["x"]


def read(output):
    return output, output[:, None].expand(-1, 3)


def test_blocks_of_4096_rows_are_joined_in_order():
    network = Doubling()
    x = torch.arange(10_000.0)
    column, table = batched_forward(network, {"x": x}, read)
    assert network.blocks == [4096, 4096, 1808]
    assert column.dtype == table.dtype == torch.float64
    assert torch.equal(column, 2 * x.double())
    assert torch.equal(table, 2 * x.double()[:, None].expand(-1, 3))


def test_no_rows_give_empty_columns():
    column, table = batched_forward(Doubling(), {"x": torch.zeros(0)}, read)
    assert column.shape == (0,)
    assert table.shape == (0, 3)


def test_results_may_enter_a_differentiable_computation():
    (column,) = batched_forward(Doubling(), {"x": torch.ones(3)}, lambda output: (output,))
    column.requires_grad_()
    (gradient,) = torch.autograd.grad((column**2).sum(), column)
    assert torch.equal(gradient, torch.full((3,), 4.0, dtype=torch.float64))


def test_precision_surrounds_the_forward_call_only():
    inside = []

    @contextmanager
    def precision(device):
        inside.append(device.type)
        yield
        inside.pop()

    network = Doubling()

    def forward(features):
        assert inside == ["cpu"]
        return network(features)

    def outside(output):
        assert inside == []
        return (output,)

    batched_forward(network, {"x": torch.ones(3)}, outside, forward=forward, precision=precision)
    assert network.blocks == [3]
