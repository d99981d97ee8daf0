"""The monotonicity penalty against its formula."""

import torch

from mtl_seq import Funnel, FunnelLabels
from mtl_seq.losses import MonotonicityPenalty
from mtl_seq.nn import compose_conditionals, compose_joints

CHAIN = Funnel.chain("click", "cart", "order", "pay")
LABELS = FunnelLabels(torch.zeros(3, 4))


def test_every_rise_along_the_chain_counts_and_no_fall():
    p = torch.tensor(
        [[0.5, 0.4, 0.3, 0.2], [0.1, 0.4, 0.3, 0.8], [0.2, 0.2, 0.1, 0.15]], dtype=torch.float64
    )
    terms = MonotonicityPenalty()(compose_joints(CHAIN, p.logit(), {}), LABELS)
    expected = torch.tensor([0.0, 0.3 + 0.5, 0.05], dtype=torch.float64)
    torch.testing.assert_close(terms, expected, rtol=0, atol=1e-12)


def test_conditionals_cannot_break_it():
    logits = 20 * torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    terms = MonotonicityPenalty()(compose_conditionals(CHAIN, logits, {}), LABELS)
    assert terms.tolist() == [0.0, 0.0, 0.0]


def test_its_gradient_lowers_what_rose_and_lifts_what_it_rose_above():
    logits = torch.tensor([[-2.0, 1.0, 0.0, -1.0]]).requires_grad_()
    MonotonicityPenalty()(compose_joints(CHAIN, logits, {}), LABELS).sum().backward()
    assert logits.grad[0].sign().tolist() == [-1.0, 1.0, 0.0, 0.0]
