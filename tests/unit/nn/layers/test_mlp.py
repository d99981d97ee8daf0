"""ReLU stacks and towers against the same arithmetic in NumPy."""

import math

import numpy as np
import pytest
import torch

from mtl_seq.errors import CompositionError
from mtl_seq.nn import MLP, Tower


def inputs(features, rows=7):
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(1)).double()


def randomised(module):
    """Biases start at 0, where forgetting them would go unseen."""
    generator = torch.Generator().manual_seed(2)
    for parameter in module.double().parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    return module


def stack_by_hand(mlp, x):
    for layer in mlp.layers:
        x = np.maximum(x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy(), 0)
    return x


@pytest.mark.parametrize("hidden", [(1,), (4,), (8, 3), (5, 6, 2)])
def test_every_layer_is_linear_then_relu(hidden):
    mlp = randomised(MLP(3, hidden))
    x = inputs(3)
    assert [layer.out_features for layer in mlp.layers] == list(hidden)
    assert mlp.out_features == hidden[-1]
    np.testing.assert_allclose(
        mlp(x).detach().numpy(), stack_by_hand(mlp, x.numpy()), rtol=1e-12, atol=1e-12
    )


def test_a_stack_without_layers_is_the_identity():
    mlp, x = MLP(3, ()), inputs(3)
    assert mlp.out_features == 3
    assert list(mlp.parameters()) == []
    torch.testing.assert_close(mlp(x), x, rtol=0, atol=0)


@pytest.mark.parametrize(("features", "hidden"), [(0, (4,)), (3, (0,)), (3, (4, -1)), (0, ())])
def test_a_width_below_one_is_refused(features, hidden):
    with pytest.raises(CompositionError, match="`hidden` must have widths of at least 1, found"):
        MLP(features, hidden)


def test_weights_start_with_the_spread_that_keeps_the_scale_behind_a_relu():
    torch.manual_seed(0)
    layer = MLP(64, (500,)).layers[0]
    weight, bound = layer.weight.detach(), math.sqrt(6 / 64)
    assert float(weight.abs().max()) <= bound
    # 32,000 uniform draws: the standard error of their standard deviation is below 0.3%.
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert bool((layer.bias == 0).all())


@pytest.mark.parametrize("hidden", [(), (4,), (8, 3)])
def test_a_tower_is_a_stack_and_one_linear_logit(hidden):
    tower, x = randomised(Tower(3, hidden)), inputs(3)
    weight, bias = (p.detach().numpy()[0] for p in tower.logit.parameters())
    result = tower(x)
    assert result.shape == (7,)
    expected = stack_by_hand(tower.stack, x.numpy()) @ weight + bias
    np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


def test_a_tower_keeps_one_row_a_vector():
    assert Tower(3)(torch.zeros(1, 3)).shape == (1,)


@pytest.mark.parametrize("hidden", [(), (8, 3)])
@pytest.mark.parametrize("rate", [1e-6, 0.04, 0.5, 0.97])
def test_a_tower_starts_at_its_rate_on_a_zero_input(rate, hidden):
    tower, nothing = Tower(3, hidden).double(), torch.zeros(1, 3).double()
    assert tower(nothing).sigmoid().tolist() == [0.5]
    tower.start_at(rate)
    assert tower(nothing).sigmoid().tolist() == pytest.approx([rate], rel=1e-12)


def test_a_rate_moves_every_logit_by_the_same_amount():
    tower, x = Tower(3, (8,)).double(), inputs(3)
    before = tower(x)
    tower.start_at(0.04)
    expected = torch.full_like(before, math.log(0.04 / 0.96))
    torch.testing.assert_close(tower(x) - before, expected, rtol=0, atol=1e-12)
