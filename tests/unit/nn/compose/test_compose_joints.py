"""Joints to a funnel's probabilities: the ratio, its clip, and its logit."""

import math
from decimal import Decimal, getcontext

import pytest
import torch

from mtl_seq import Funnel
from mtl_seq.nn import compose_joints

PAIR = Funnel.chain("click", "conversion")
CHAIN = Funnel.chain("click", "cart", "buy")
getcontext().prec = 60


def compose(first, last, dtype=torch.float64):
    return compose_joints(PAIR, torch.tensor([[first, last]], dtype=dtype), {})


def exact_ratio(first, last):
    """P(last) / P(first) in 60 digits."""
    return (1 + (-Decimal(first)).exp()) / (1 + (-Decimal(last)).exp())


@pytest.mark.parametrize(
    ("first", "last"),
    [(0.0, -1.0), (-3.2, -6.5), (-30.0, -31.0), (-30.0, -60.0), (25.0, 2.0), (25.0, -40.0)],
)
@pytest.mark.parametrize(("dtype", "digits"), [(torch.float32, 5e-6), (torch.float64, 1e-13)])
def test_pcvr_is_the_ratio_of_the_joints(first, last, dtype, digits):
    result = compose(first, last, dtype)
    first, last = (float(torch.tensor(value, dtype=dtype)) for value in (first, last))
    ratio = exact_ratio(first, last)
    assert result.pcvr.item() == pytest.approx(float(ratio), rel=digits)
    logit = float((ratio / (1 - ratio)).ln())
    assert result.pcvr_logit.item() == pytest.approx(logit, rel=digits, abs=digits)


@pytest.mark.parametrize(("first", "last"), [(-3.0, -3.0), (-3.0, 2.0), (-40.0, 40.0), (9.0, 30.0)])
def test_a_ratio_beyond_one_is_clipped_just_below_it(first, last):
    result = compose(first, last)
    assert 1 - 2e-7 < result.pcvr.item() <= 1
    assert math.isfinite(result.pcvr_logit.item())
    # What the head said stays to be seen.
    assert result.pctcvr.item() == pytest.approx(1 / (1 + math.exp(-last)), rel=1e-12)
    assert result.pctr.item() == pytest.approx(1 / (1 + math.exp(-first)), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_everything_is_finite_and_ordered_on_a_grid(dtype):
    grid = torch.tensor([-80, -30, -12, -1, -1e-7, 0, 1e-7, 1, 12, 30, 80], dtype=dtype)
    logits = torch.cartesian_prod(grid, grid).requires_grad_()
    result = compose_joints(PAIR, logits, {})
    for tensor in (result.log_pcvr, result.pcvr_logit, *result.log_joint.values()):
        assert bool(torch.isfinite(tensor).all())
    assert bool((result.log_pcvr <= 0).all())
    assert bool((result.pctcvr <= result.pcvr).all())
    torch.testing.assert_close(result.pcvr_logit.sigmoid(), result.pcvr, rtol=0, atol=1e-6)
    for output in (result.log_pcvr, result.pcvr_logit):
        (gradient,) = torch.autograd.grad(output.sum(), logits, retain_graph=True)
        assert bool(torch.isfinite(gradient).all())


def test_the_middle_of_a_chain_is_read_as_it_stands():
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    result = compose_joints(CHAIN, logits, {"imputation": logits[:, 0]})
    for index, name in enumerate(CHAIN.names):
        assert torch.equal(result.joint_logit[name], logits[:, index])
        torch.testing.assert_close(result.log_joint[name].exp(), logits[:, index].sigmoid())
    ratio = (logits[:, 2].sigmoid() / logits[:, 0].sigmoid()).clamp_max(1)
    torch.testing.assert_close(result.pcvr, ratio, rtol=0, atol=2e-7)
    assert list(result.aux) == ["imputation"]


def test_half_logits_are_composed_in_float32():
    logits = torch.tensor([[-1.0, -2.0]], dtype=torch.bfloat16)
    result = compose_joints(PAIR, logits, {"imputation": logits[:, 0]})
    tensors = (result.logits, result.log_pcvr, result.pcvr_logit, *result.aux.values())
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
