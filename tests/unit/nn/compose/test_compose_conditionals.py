"""Composed probabilities against products and sums of probabilities in float64."""

import pytest
import torch

from mtl_seq import Funnel, Stage
from mtl_seq.nn import compose_conditionals

ROWS = 500
CLICK, CART, WISH = Stage("click"), Stage("cart", "click"), Stage("wish", "click")


def draw(funnel, scale=3.0):
    generator = torch.Generator().manual_seed(0)
    shape = (ROWS, len(funnel.conditionals))
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def chain(p):
    joint, reached = [], torch.ones(ROWS, dtype=torch.float64)
    for column in p:
        reached = reached * column
        joint.append(reached)
    return joint


def esm2(p):
    """The paper's y1 (y2 y3 + (1 - y2) y4)."""
    y1, y2, y3, y4 = p
    return [y1, y1 * y2, y1 * (y2 * y3 + (1 - y2) * y4)]


def esm2_paid(p):
    *before, pay = p
    joint = esm2(before)
    return [*joint, joint[-1] * pay]


def exclusive(p):
    """Odds of the classes against none are p / (1 - p): a softmax, spelt in probabilities."""
    click, cart, wish, by_cart, by_wish, by_other = p
    odds = (cart / (1 - cart), wish / (1 - wish), torch.ones_like(click))
    cart, wish, none = (each / sum(odds) for each in odds)
    buy = cart * by_cart + wish * by_wish + none * by_other
    return [click, click * cart, click * wish, click * buy]


def exclusive_with_a_child(p):
    """`gift` follows the wish, one of the classes."""
    click, cart, wish, by_cart, by_wish, by_other, gift = p
    joint = exclusive([click, cart, wish, by_cart, by_wish, by_other])
    return [*joint[:3], joint[2] * gift, joint[3]]


def tree(p):
    """The share is beside the path from the click to the purchase."""
    click, cart, share, buy = p
    return [click, click * cart, click * share, click * cart * buy]


WAYS = Stage("buy", "click", ("cart", "wish"))
CASES = {
    "chain of two": (Funnel.chain("click", "buy"), chain),
    "chain of three": (Funnel.chain("click", "cart", "buy"), chain),
    "chain of four": (Funnel.chain("click", "cart", "order", "pay"), chain),
    "mediator": (Funnel((CLICK, CART, Stage("buy", "click", ("cart",)))), esm2),
    "after a mediated stage": (
        Funnel((CLICK, CART, Stage("buy", "click", ("cart",)), Stage("pay", "buy"))),
        esm2_paid,
    ),
    "exclusive mediators": (Funnel((CLICK, CART, WISH, WAYS)), exclusive),
    "tree": (Funnel((CLICK, CART, Stage("share", "click"), Stage("buy", "cart"))), tree),
}


def close(result, expected):
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_joint_probabilities_are_products_and_sums(case):
    funnel, brute_force = CASES[case]
    logits = draw(funnel)
    result = compose_conditionals(funnel, logits, {})
    assert result.stages == funnel.names
    expected = brute_force(list(logits.sigmoid().unbind(1)))
    for name, joint in zip(funnel.names, expected, strict=True):
        close(result.log_joint[name].exp(), joint)
        close(result.joint_logit[name].sigmoid(), joint)


@pytest.mark.parametrize("case", CASES)
def test_pcvr_is_the_last_stage_given_the_first(case):
    funnel, brute_force = CASES[case]
    logits = draw(funnel)
    result = compose_conditionals(funnel, logits, {})
    joint = brute_force(list(logits.sigmoid().unbind(1)))
    close(result.pctr, joint[0])
    close(result.pctcvr, joint[-1])
    close(result.pcvr, joint[-1] / joint[0])
    close(result.pcvr_logit.sigmoid(), joint[-1] / joint[0])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_stage_beats_its_parent_not_even_in_the_last_bit(case, dtype):
    funnel, _ = CASES[case]
    result = compose_conditionals(funnel, draw(funnel, scale=40).to(dtype), {})
    for stage, parent in funnel.parents().items():
        assert bool((result.log_joint[stage] <= result.log_joint[parent]).all())
    assert bool((result.pctcvr <= result.pcvr).all())
    assert bool((result.pctcvr <= result.pctr).all())


def test_the_child_of_an_exclusive_class_follows_that_class():
    gift = Stage("gift", "wish")
    funnel = Funnel((CLICK, CART, WISH, gift, WAYS))
    names = [conditional.name for conditional in funnel.conditionals]
    logits = draw(funnel)
    p = dict(zip(names, logits.sigmoid().unbind(1), strict=True))
    result = compose_conditionals(funnel, logits, {})
    ways = ("click", "cart", "wish", "buy|cart", "buy|wish", "buy|other", "gift")
    for name, joint in zip(
        funnel.names, exclusive_with_a_child([p[way] for way in ways]), strict=True
    ):
        close(result.log_joint[name].exp(), joint)


def test_exclusive_classes_never_add_up_to_more_than_their_parent():
    funnel, _ = CASES["exclusive mediators"]
    result = compose_conditionals(funnel, draw(funnel, scale=20), {})
    both = result.log_joint["cart"].exp() + result.log_joint["wish"].exp()
    assert bool((both <= result.pctr * (1 + 1e-14)).all())


def test_the_columns_pair_with_the_conditionals_by_order():
    funnel, _ = CASES["mediator"]
    yes, no = 800.0, -800.0
    for mediated, column in ((yes, 2), (no, 3)):
        for given in (yes, no):
            logits = torch.tensor([[yes, mediated, 0.0, 0.0]], dtype=torch.float64)
            logits[0, column] = given
            result = compose_conditionals(funnel, logits, {})
            assert result.pcvr.tolist() == [float(given == yes)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_logits_are_composed_in_float32(dtype):
    funnel, _ = CASES["exclusive mediators"]
    logits = draw(funnel).to(dtype)
    result = compose_conditionals(funnel, logits, {"imputation": logits[:, 0]})
    expected = compose_conditionals(funnel, logits.float(), {"imputation": logits[:, 0].float()})
    for ours, theirs in zip(result, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_logits_of_extra_towers_pass_through():
    funnel, _ = CASES["chain of two"]
    logits = draw(funnel)
    result = compose_conditionals(funnel, logits, {"imputation": logits[:, 1]})
    assert list(result.aux) == ["imputation"]
    torch.testing.assert_close(result.aux["imputation"], logits[:, 1], rtol=0, atol=0)
    torch.testing.assert_close(result.logits, logits, rtol=0, atol=0)
