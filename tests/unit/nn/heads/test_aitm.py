"""AITM against its formula in NumPy, and what its joints mean."""

import re

import numpy as np
import pytest
import torch

from mtl_seq import Funnel, Stage
from mtl_seq.errors import CompositionError
from mtl_seq.nn import AITM, compose_joints

ROWS, WIDTH, OWN = 9, 5, 3
PAIR = Funnel.chain("click", "conversion")
CHAIN = Funnel.chain("click", "cart", "order", "pay")
ESM2 = Funnel((Stage("click"), Stage("cart", "click"), Stage("buy", "click", ("cart",))))
TREE = Funnel((Stage("click"), Stage("share", "click"), Stage("buy", "click")))


def seeded(funnel, own=(), **settings):
    torch.manual_seed(0)
    head = AITM(funnel, WIDTH, dict.fromkeys(own, OWN), **settings).double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return head


def inputs(head, own=()):
    generator = torch.Generator().manual_seed(1)
    shape = (ROWS, len(head.names), WIDTH)
    hidden = torch.randn(shape, generator=generator, dtype=torch.float64)
    given = {name: torch.randn(ROWS, OWN, generator=generator).double() for name in own}
    return hidden, given


def array(tensor):
    return tensor.detach().numpy()


def stack(mlp, x):
    for layer in mlp.layers:
        x = np.maximum(array(layer.weight) @ x + array(layer.bias), 0)
    return x


def row_by_hand(head, hidden, own):
    """One row, one token, one dot product at a time."""
    h1, h2, h3 = (array(layer.weight) for layer in (head.queries, head.keys, head.values))
    logits, z = [], None
    for k, name in enumerate(head.names):
        t = stack(head.hidden[k], hidden[k])
        if z is None:
            z = t
        else:
            tokens = [stack(head.transfers[k - 1], z), t]
            scores = np.array([(h1 @ u) @ (h2 @ u) / np.sqrt(len(u)) for u in tokens])
            shares = np.exp(scores) / np.exp(scores).sum()
            z = sum(share * (h3 @ u) for share, u in zip(shares, tokens, strict=True))
        joined = np.concatenate([z, *([own[name]] if name in own else [])])
        tower = head.towers[k]
        joined = stack(tower.stack, joined)
        logits.append((array(tower.logit.weight) @ joined + array(tower.logit.bias))[0])
    return logits


@pytest.mark.parametrize("funnel", [PAIR, CHAIN], ids=["two stages", "four stages"])
@pytest.mark.parametrize("hidden", [(8,), (6, 4), ()], ids=str)
@pytest.mark.parametrize("own", [(), ("click",)], ids=["nothing own", "own"])
def test_it_is_its_formula(funnel, hidden, own):
    head = seeded(funnel, own, hidden=hidden, readout=hidden)
    x, given = inputs(head, own)
    expected = [
        row_by_hand(
            head, array(x[row]), {name: array(column[row]) for name, column in given.items()}
        )
        for row in range(ROWS)
    ]
    np.testing.assert_allclose(array(head(x, given)), expected, rtol=1e-12, atol=1e-12)


def test_attention_is_shared_and_has_no_bias():
    head = AITM(CHAIN, WIDTH, {})
    assert len(head.transfers) == 3
    for layer in (head.queries, head.keys, head.values):
        assert layer.bias is None


def test_own_features_move_their_own_logit_only_to_the_bit():
    head = seeded(CHAIN, CHAIN.names)
    hidden, own = inputs(head, CHAIN.names)
    before = head(hidden, own)
    for index, name in enumerate(CHAIN.names):
        moved = head(hidden, {**own, name: own[name] + 1})
        for other in range(4):
            assert torch.equal(moved[:, other], before[:, other]) is (other != index)


def test_information_goes_down_the_chain_and_not_up():
    head = seeded(CHAIN)
    hidden, own = inputs(head)
    before = head(hidden, own)
    for index in range(4):
        other = hidden.clone()
        other[:, index] += 1
        moved = (head(other, own) != before).any(0).tolist()
        assert moved == [later >= index for later in range(4)]


@pytest.mark.parametrize("funnel", [ESM2, TREE, Funnel.chain("click")])
def test_a_funnel_that_is_no_chain_is_refused(funnel):
    message = "`funnel` must be a chain of two or more stages"
    with pytest.raises(CompositionError, match=re.escape(message)):
        AITM(funnel, WIDTH, {})


def test_it_starts_at_products_of_the_rates():
    head = AITM(CHAIN, WIDTH, {})
    head.start_at({"click": 0.1, "cart": 0.5, "order": 0.2, "pay": 0.9})
    result = head(torch.zeros(1, 4, WIDTH), {}).sigmoid()[0]
    expected = torch.tensor([0.1, 0.05, 0.01, 0.009])
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=0)


def test_a_joint_is_left_where_a_rate_before_it_is_absent():
    head = AITM(CHAIN, WIDTH, {})
    head.start_at({"click": 0.1, "order": 0.2, "imputation": 0.3})
    result = head(torch.zeros(1, 4, WIDTH), {}).sigmoid()[0]
    torch.testing.assert_close(result, torch.tensor([0.1, 0.5, 0.5, 0.5]), rtol=1e-5, atol=0)


def test_its_logits_are_declared_as_joints():
    assert AITM.conditional is False
    assert AITM.compose is compose_joints
