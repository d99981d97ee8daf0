"""The head of DIVISION: towers side by side, whose logits are joints."""

import pytest
import torch

from mtl_seq import Funnel, nn
from mtl_seq.errors import CompositionError
from mtl_seq.testing import FUNNELS

FUNNEL = Funnel.chain("click", "conversion")


def test_pcvr_is_the_ratio_clipped_below_one():
    logits = torch.tensor([[1.0, -2.0], [0.0, 0.0], [-1.0, 2.0]], dtype=torch.float64)
    prediction = nn.JointHead.compose(FUNNEL, logits, {})
    p, t = logits.sigmoid().unbind(1)
    assert prediction.pcvr[0].item() == pytest.approx((t[0] / p[0]).item(), rel=1e-12)
    assert (prediction.pcvr[1:] > 0.999999).all()
    assert (prediction.pcvr <= 1).all()
    torch.testing.assert_close(prediction.pctcvr, t)


def test_towers_begin_at_the_rates_of_the_joints():
    chain = Funnel.chain("click", "cart", "order")
    head = nn.JointHead(chain, 4, {}, hidden=())
    head.start_at({"click": 0.5, "cart": 0.2, "order": 0.1})
    start = torch.sigmoid(head(torch.zeros(1, 3, 4), {})).flatten().tolist()
    assert start == pytest.approx([0.5, 0.1, 0.01], rel=1e-6)


def test_a_rate_that_is_absent_leaves_the_towers_after_it():
    chain = Funnel.chain("click", "cart", "order")
    head = nn.JointHead(chain, 4, {}, hidden=())
    head.start_at({"click": 0.5, "order": 0.1})
    start = torch.sigmoid(head(torch.zeros(1, 3, 4), {})).flatten().tolist()
    assert start == pytest.approx([0.5, 0.5, 0.5], rel=1e-6)


@pytest.mark.parametrize("funnel", FUNNELS[2:], ids=["mediator", "exclusive mediators"])
def test_only_chains_are_taken(funnel):
    with pytest.raises(CompositionError, match=r"`funnel` must be a chain .* use `ParallelHead`"):
        nn.JointHead(funnel, 4, {})
