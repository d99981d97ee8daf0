"""The path loss against its formula."""

import pytest
import torch

from mtl_seq import Funnel, FunnelLabels, Stage
from mtl_seq.errors import CompositionError
from mtl_seq.losses import PathLoss
from mtl_seq.nn import compose_conditionals

ESM2 = Funnel((Stage("click"), Stage("cart", "click"), Stage("buy", "click", ("cart",))))


def test_it_is_the_cross_entropy_of_click_and_action_and_purchase():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(8, 4, generator=generator, dtype=torch.float64)
    stages = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    p = logits[:, :3].sigmoid().prod(1)
    y = torch.tensor([0, 0, 0, 0, 0, 0, 0, 1], dtype=torch.float64)
    terms = PathLoss("cart", funnel=ESM2)(
        compose_conditionals(ESM2, logits, {}), FunnelLabels(stages)
    )
    torch.testing.assert_close(terms, -(y * p.log() + (1 - y) * (1 - p).log()))


def test_it_trains_the_path_and_not_the_way_around_it():
    logits = torch.zeros(2, 4, requires_grad=True)
    labels = FunnelLabels(torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]))
    PathLoss("cart", funnel=ESM2)(compose_conditionals(ESM2, logits, {}), labels).sum().backward()
    assert bool((logits.grad[:, :3] != 0).all())
    assert bool((logits.grad[:, 3] == 0).all())


@pytest.mark.parametrize("name", ["click", "buy", "wish"])
def test_a_stage_that_is_no_mediator_is_refused(name):
    with pytest.raises(CompositionError, match=f"found '{name}'"):
        PathLoss(name, funnel=ESM2)
