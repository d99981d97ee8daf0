"""Bottoms against their formulas, evaluated by hand."""

from functools import partial

import numpy as np
import pytest
import torch

from mtl_seq.errors import CompositionError
from mtl_seq.nn import MMoE, SharedBottom, SingleTask

ROWS, FEATURES, TOWERS = 7, 5, 3


def seeded(bottom):
    torch.manual_seed(0)
    return bottom(FEATURES, TOWERS).double()


def inputs(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).double()


def stack_by_hand(mlp, x):
    for layer in mlp.layers:
        x = np.maximum(x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy(), 0)
    return x


@pytest.mark.parametrize("experts", [1, 2, 4])
def test_mmoe_is_the_sum_of_its_experts_weighted_by_each_towers_gate(experts):
    bottom, x = seeded(partial(MMoE, experts=experts, hidden=(6, 4))), inputs(ROWS, FEATURES)
    assert bottom.gate.bias is None
    gate = bottom.gate.weight.detach().numpy().reshape(TOWERS, experts, FEATURES)
    outputs = [stack_by_hand(expert, x.numpy()) for expert in bottom.experts]
    expected = np.zeros((ROWS, TOWERS, 4))
    for row in range(ROWS):
        for tower in range(TOWERS):
            shares = np.exp(gate[tower] @ x[row].numpy())
            for expert in range(experts):
                share = shares[expert] / shares.sum()
                expected[row, tower] += share * outputs[expert][row]
    assert bottom.out_features == 4
    np.testing.assert_allclose(bottom(x).detach().numpy(), expected, rtol=1e-12, atol=1e-12)


def test_gates_of_mmoe_are_shares():
    gates = seeded(MMoE).gates(10 * inputs(ROWS, FEATURES))
    assert gates.shape == (ROWS, TOWERS, 4)
    assert bool((gates >= 0).all())
    torch.testing.assert_close(gates.sum(2), torch.ones(ROWS, TOWERS).double(), rtol=0, atol=1e-14)


def test_the_gate_of_one_tower_moves_no_other_tower():
    bottom, x = seeded(MMoE), inputs(ROWS, FEATURES)
    bottom(x)[:, 0].sum().backward()
    by_tower = bottom.gate.weight.grad.unflatten(0, (TOWERS, 4))
    assert bool((by_tower[0] != 0).any())
    assert bool((by_tower[1:] == 0).all())


@pytest.mark.parametrize("experts", [0, -1])
def test_mmoe_without_experts_is_refused(experts):
    with pytest.raises(CompositionError, match=f"`experts` must be at least 1, found {experts}"):
        MMoE(FEATURES, TOWERS, experts=experts)


@pytest.mark.parametrize("hidden", [(), (4,), (6, 4)])
def test_a_shared_bottom_gives_every_tower_the_same_stack(hidden):
    bottom, x = seeded(partial(SharedBottom, hidden=hidden)), inputs(ROWS, FEATURES)
    result = bottom(x).detach().numpy()
    expected = stack_by_hand(bottom.stack, x.numpy())
    assert bottom.out_features == (hidden[-1] if hidden else FEATURES)
    assert result.shape == (ROWS, TOWERS, bottom.out_features)
    for tower in range(TOWERS):
        np.testing.assert_allclose(result[:, tower], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "inner", [SharedBottom, partial(MMoE, experts=2, hidden=(6, 4)), SingleTask]
)
def test_single_task_gives_each_tower_its_own_bottom_on_its_own_input(inner):
    bottom, x = seeded(partial(SingleTask, bottom=inner)), inputs(ROWS, TOWERS, FEATURES)
    result = bottom(x)
    assert result.shape == (ROWS, TOWERS, bottom.out_features)
    for tower, alone in enumerate(bottom.bottoms):
        # A bottom that takes an input per tower is here one of a single tower.
        expected = alone(x[:, tower : tower + 1] if alone.per_tower else x[:, tower])[:, 0]
        torch.testing.assert_close(result[:, tower], expected, rtol=0, atol=0)


def test_single_task_towers_start_from_different_weights():
    x = inputs(ROWS, 1, FEATURES).expand(-1, TOWERS, -1)
    result = seeded(SingleTask)(x)
    assert not torch.allclose(result[:, 0], result[:, 1])


@pytest.mark.parametrize("inner", [SharedBottom, MMoE])
def test_single_task_towers_do_not_touch_each_other(inner):
    bottom = seeded(partial(SingleTask, bottom=inner))
    x = inputs(ROWS, TOWERS, FEATURES).requires_grad_()
    bottom(x)[:, 0].sum().backward()
    assert bool((x.grad[:, 0] != 0).any())
    assert bool((x.grad[:, 1:] == 0).all())
    for tower, alone in enumerate(bottom.bottoms):
        moved = [p.grad is not None and bool((p.grad != 0).any()) for p in alone.parameters()]
        assert any(moved) == (tower == 0)
