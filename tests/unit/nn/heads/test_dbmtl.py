"""DBMTL against its formula in plain tensors, on graphs declared in any order."""

import re
from functools import partial

import pytest
import torch

from mtl_seq import Funnel, Stage
from mtl_seq.errors import CompositionError
from mtl_seq.nn import DBMTL

ROWS, WIDTH, OWN = 11, 5, 3
CHAIN = Funnel.chain("click", "cart", "buy")
PAIR = Funnel.chain("click", "conversion")
ESM2 = Funnel((Stage("click"), Stage("cart", "click"), Stage("buy", "click", ("cart",))))


def seeded(funnel, own=(), **settings):
    torch.manual_seed(0)
    head = DBMTL(funnel, WIDTH, dict.fromkeys(own, OWN), **settings).double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return head


def inputs(head, own=()):
    generator = torch.Generator().manual_seed(1)
    shape = (ROWS, len(head.names), WIDTH)
    hidden = torch.randn(shape, generator=generator, dtype=torch.float64)
    given = {name: torch.randn(ROWS, OWN, generator=generator).double() for name in own}
    return hidden, given


def stack(mlp, x):
    for layer in mlp.layers:
        x = (x @ layer.weight.T + layer.bias).clamp_min(0)
    return x


def by_hand(head, hidden, own, parents):
    """The formula, by recursion instead of in an order; parents are given by tower."""
    index = {name: i for i, name in enumerate(head.names)}

    def vector(name):
        alone = stack(head.hidden[index[name]], hidden[:, index[name]])
        read = [vector(parent) for parent in parents.get(name, ())]
        return stack(head.relations[index[name]], torch.cat([alone, *read], dim=1))

    logits = []
    for name in head.names:
        tower = head.towers[index[name]]
        joined = torch.cat([vector(name), *([own[name]] if name in own else [])], dim=1)
        last = tower.logit
        logits.append((stack(tower.stack, joined) @ last.weight.T + last.bias)[:, 0])
    return torch.stack(logits, dim=1)


CASES = {
    "no parents": (CHAIN, {}, {}),
    "funnel's own, chain": (CHAIN, None, {"cart": ["click"], "buy": ["cart"]}),
    "all before": (CHAIN, {"cart": ["click"], "buy": ["click", "cart"]}, None),
    "against the funnel": (CHAIN, {"click": ["buy"], "buy": ["cart"]}, None),
    "funnel's own, mediator": (
        ESM2,
        None,
        {
            "cart": ["click"],
            "buy|cart": ["click", "cart"],
            "buy|other": ["click", "cart"],
        },
    ),
    "one tower of a stage": (ESM2, {"buy|cart": ["cart"]}, None),
    "a stage of two towers": (ESM2, {"cart": ["buy"]}, {"cart": ["buy|cart", "buy|other"]}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("widths", [(8,), (6, 4), ()], ids=str)
@pytest.mark.parametrize("own", [(), ("click",)], ids=["nothing own", "own"])
def test_it_is_its_formula(case, widths, own):
    funnel, parents, towers = CASES[case]
    head = seeded(funnel, own, parents=parents, hidden=widths, relation=widths, readout=widths)
    hidden, given = inputs(head, own)
    expected = by_hand(head, hidden, given, parents if towers is None else towers)
    torch.testing.assert_close(head(hidden, given), expected, rtol=1e-12, atol=1e-12)


def test_the_published_form_is_the_default():
    """One linear map from b_k to the logit."""
    head = seeded(PAIR)
    assert [len(tower.stack.layers) for tower in head.towers] == [0, 0]
    assert head.parents == {"click": (), "conversion": ("click",)}
    assert head.detach_parents is False


def test_the_order_of_declaration_does_not_matter():
    parents = {"click": ["cart", "buy"], "buy": ["cart"]}
    one = seeded(CHAIN, parents=parents)
    other = seeded(CHAIN, parents=dict(reversed(parents.items())))
    hidden, own = inputs(one)
    assert torch.equal(one(hidden, own), other(hidden, own))
    assert list(one.state_dict()) == list(other.state_dict())


def test_without_parents_no_tower_reads_another():
    head = seeded(CHAIN, parents={})
    hidden, own = inputs(head)
    hidden.requires_grad_()
    head(hidden, own)[:, 2].sum().backward()
    assert bool((hidden.grad[:, 2] != 0).any())
    assert bool((hidden.grad[:, :2] == 0).all())


@pytest.mark.parametrize("detached", [False, True])
def test_detached_parents_get_exactly_no_gradient_from_a_child(detached):
    head = seeded(PAIR, detach_parents=detached)
    hidden, own = inputs(head)
    hidden.requires_grad_()
    logits = head(hidden, own)
    logits[:, 1].sum().backward()
    upstream = [head.hidden[0].layers[0].weight, head.relations[0].layers[0].weight]
    for parameter in upstream:
        moved = parameter.grad is not None and bool((parameter.grad != 0).any())
        assert moved is not detached
    assert bool((hidden.grad[:, 0] != 0).any()) is not detached
    assert bool((hidden.grad[:, 1] != 0).any())


def test_detaching_changes_no_prediction():
    one, other = seeded(CHAIN), seeded(CHAIN, detach_parents=True)
    hidden, own = inputs(one)
    assert torch.equal(one(hidden, own), other(hidden, own))


@pytest.mark.parametrize("parents", [None, {"click": ["buy"], "buy": ["cart"]}])
def test_own_features_move_their_own_logit_only_to_the_bit(parents):
    head = seeded(CHAIN, CHAIN.names, parents=parents)
    hidden, own = inputs(head, CHAIN.names)
    before = head(hidden, own)
    for index, name in enumerate(CHAIN.names):
        moved = head(hidden, {**own, name: own[name] + 1})
        for other in range(3):
            assert torch.equal(moved[:, other], before[:, other]) is (other != index)


def test_it_starts_at_the_rates_where_nothing_is_known():
    head = DBMTL(ESM2, WIDTH, {})
    rates = {"click": 0.04, "cart": 0.3, "buy|cart": 0.2, "buy|other": 0.01}
    head.start_at(rates)
    result = head(torch.zeros(1, 4, WIDTH), {}).sigmoid()[0]
    torch.testing.assert_close(result, torch.tensor(list(rates.values())), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("parents", "message"),
    [
        ({"cart": ["click"], "click": ["cart"]}, "`parents` must have no cycle, found c"),
        ({"buy": ["buy"]}, "`parents` must have no cycle, found buy -> buy"),
        ({"buy": ["pay"]}, "must name stages or towers of the funnel ('click', 'cart', 'buy'), "),
        ({"pay": ["click"]}, "found 'pay'"),
        ({"buy": "click"}, "must be a list of stages, found the string 'click': write ['click']"),
    ],
)
def test_parents_that_make_no_graph_are_refused_at_construction(parents, message):
    with pytest.raises(CompositionError, match=re.escape(message)):
        DBMTL(CHAIN, WIDTH, {}, parents=parents)


def test_the_circle_is_named_whole():
    circle = {"click": ["buy"], "buy": ["cart"], "cart": ["click"]}
    with pytest.raises(CompositionError) as caught:
        partial(DBMTL, parents=circle)(CHAIN, WIDTH, {})
    for name in CHAIN.names:
        assert name in str(caught.value)
