"""The named AITM: its losses, and that nothing but one of them keeps the order."""

import re

import pytest
import torch

from mtl_seq import FeatureSpec, FunnelLabels, models
from mtl_seq.errors import CompositionError
from mtl_seq.nn import compose_joints

SPEC = FeatureSpec(ids={"user": 9}, dense=["price"])
ROWS = 200


def draw():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(ROWS, 2, generator=generator, dtype=torch.float64)
    stages = torch.randint(2, (ROWS, 2), generator=generator).cumprod(1).double()
    return logits, FunnelLabels(stages)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_its_losses_are_those_of_the_paper(alpha):
    logits, given = draw()
    losses = models.aitm(SPEC, alpha=alpha, seed=0).objective(
        compose_joints(models.CLICK_CONVERSION, logits, {}), given
    )
    p = logits.sigmoid()
    cross = -(given.stages * p.log() + (1 - given.stages) * (1 - p).log()).mean(0)
    torch.testing.assert_close(losses["ctr"], cross[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(losses["ctcvr"], cross[1], rtol=1e-12, atol=0)
    rise = (p[:, 1] - p[:, 0]).clamp_min(0)
    assert bool((rise > 0).any())
    torch.testing.assert_close(
        losses["monotonicity_penalty"], alpha * rise.mean(), rtol=1e-12, atol=0
    )


def test_the_price_does_not_grow_with_the_batch():
    logits, given = draw()
    objective = models.aitm(SPEC, seed=0).objective
    twice = FunnelLabels(given.stages.repeat(2, 1))
    once = objective(compose_joints(models.CLICK_CONVERSION, logits, {}), given)
    again = objective(compose_joints(models.CLICK_CONVERSION, logits.repeat(2, 1), {}), twice)
    torch.testing.assert_close(
        once["monotonicity_penalty"], again["monotonicity_penalty"], rtol=1e-12, atol=0
    )


def test_alpha_is_that_of_the_paper():
    assert models.aitm(SPEC, seed=0).objective.weights["monotonicity_penalty"] == 0.6


def test_a_feature_hidden_from_the_conversion_reaches_pcvr_through_the_divisor_only():
    spec = FeatureSpec(dense=["price", "rank"], hidden_from={"conversion": ["rank"]})
    model = models.aitm(spec, seed=0)
    price, rank = torch.randn(2, ROWS, generator=torch.Generator().manual_seed(0))
    one, other = (model({"price": price, "rank": rank + shift}) for shift in (0, 1))
    assert torch.equal(one.pctcvr, other.pctcvr)
    assert not torch.equal(one.pctr, other.pctr)
    assert not torch.equal(one.pcvr, other.pcvr)


def test_a_funnel_with_a_mediator_is_refused():
    with pytest.raises(CompositionError, match=re.escape("must be a chain of two or more stages")):
        models.aitm(SPEC, funnel=models.CLICK_ACTION_PURCHASE, seed=0)
