"""Funnels: which ones are refused and why, and what an accepted one says of itself."""

import re

import pytest

from mtl_seq import Funnel, Stage
from mtl_seq.errors import FunnelError
from mtl_seq.funnel import OTHER, Conditional

CLICK = Stage("click")
CART = Stage("cart", "click")
WISH = Stage("wish", "click")

FUNNELS = {
    "one stage": Funnel.chain("click"),
    "chain of two": Funnel.chain("click", "conversion"),
    "chain of four": Funnel.chain("click", "cart", "order", "pay"),
    "mediator": Funnel((CLICK, CART, Stage("buy", "click", ("cart",)))),
    "exclusive mediators": Funnel((CLICK, CART, WISH, Stage("buy", "click", ("cart", "wish")))),
    "tree": Funnel((CLICK, CART, Stage("share", "click"), Stage("buy", "cart"))),
}
PARENTS = {
    "one stage": {},
    "chain of two": {"conversion": "click"},
    "chain of four": {"cart": "click", "order": "cart", "pay": "order"},
    "mediator": {"cart": "click", "buy": "click"},
    "exclusive mediators": {"cart": "click", "wish": "click", "buy": "click"},
    "tree": {"cart": "click", "share": "click", "buy": "cart"},
}
CONDITIONALS = {
    "one stage": ["click"],
    "chain of two": ["click", "conversion"],
    "chain of four": ["click", "cart", "order", "pay"],
    "mediator": ["click", "cart", "buy|cart", "buy|other"],
    "exclusive mediators": ["click", "cart", "wish", "buy|cart", "buy|wish", "buy|other"],
    "tree": ["click", "cart", "share", "buy"],
}
REFUSED = {
    "no stage": ((), "`stages` must name at least one stage, found none"),
    "empty name": ((Stage(""),), "must be a word without '|' other than 'other', found ''"),
    "reserved name": (
        (CLICK, Stage(OTHER, "click")),
        "must be a word without '|' other than 'other', found 'other'",
    ),
    "bar in a name": (
        (CLICK, Stage("buy|cart", "click")),
        "must be a word without '|' other than 'other', found 'buy|cart'",
    ),
    "name twice": ((CLICK, CART, CART), "must have different names, found 'cart' twice"),
    "first stage has a parent": (
        (Stage("click", "view"),),
        "exactly the first stage follows the impression: stage 'click' has after='view'",
    ),
    "later stage has no parent": (
        (CLICK, Stage("buy")),
        "exactly the first stage follows the impression: stage 'buy' has after=None",
    ),
    "unknown parent": (
        (CLICK, CART, Stage("buy", "order")),
        "stage 'buy' comes after 'order', which is not declared before it: declare parents first "
        "(known so far: click, cart)",
    ),
    "parent of itself": (
        (CLICK, Stage("buy", "buy")),
        "stage 'buy' comes after 'buy', which is not declared before it",
    ),
    "unknown mediator": (
        (CLICK, Stage("buy", "click", ("cart",))),
        "stage 'buy' passes 'cart', which must be a stage declared before it and directly after "
        "'click' too",
    ),
    "mediator with another parent": (
        (CLICK, CART, Stage("pay", "cart"), Stage("buy", "click", ("pay",))),
        "stage 'buy' passes 'pay', which must be a stage declared before it",
    ),
    "parent as mediator": (
        (CLICK, CART, Stage("buy", "cart", ("cart",))),
        "stage 'buy' passes 'cart', which must be a stage declared before it",
    ),
    "mediator of its own": (
        (CLICK, Stage("buy", "click", ("buy",))),
        "stage 'buy' passes 'buy', which must be a stage declared before it",
    ),
    "mediated first stage": (
        (Stage("click", None, ("cart",)),),
        "stage 'click' passes 'cart', which must be a stage declared before it",
    ),
    "mediator is mediated": (
        (CLICK, CART, Stage("order", "click", ("cart",)), Stage("buy", "click", ("order",))),
        "stage 'order' is mediated itself, so it cannot mediate 'buy'",
    ),
    "mediator of two": (
        (CLICK, CART, Stage("order", "click", ("cart",)), Stage("buy", "click", ("cart",))),
        "stage 'cart' is a mediator of both 'order' and 'buy': one mediator serves one stage",
    ),
    "mediator twice": (
        (CLICK, CART, Stage("buy", "click", ("cart", "cart"))),
        "`via` of stage 'buy' names a mediator twice: ('cart', 'cart')",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_funnel_that_is_no_tree_is_refused_by_name(case):
    stages, message = REFUSED[case]
    with pytest.raises(FunnelError, match=re.escape(message)):
        Funnel(stages)


def test_a_chain_without_names_is_refused():
    with pytest.raises(FunnelError, match="`stages` must name at least one stage"):
        Funnel.chain()


@pytest.mark.parametrize("case", FUNNELS)
def test_conditionals_stand_in_the_order_of_the_stages(case):
    assert [conditional.name for conditional in FUNNELS[case].conditionals] == CONDITIONALS[case]


def test_conditionals_of_exclusive_mediators_give_each_way_and_none():
    assert FUNNELS["exclusive mediators"].conditionals[3:] == (
        Conditional("buy", "cart"),
        Conditional("buy", "wish"),
        Conditional("buy", OTHER),
    )


@pytest.mark.parametrize("case", FUNNELS)
def test_every_stage_but_the_first_has_a_parent(case):
    assert FUNNELS[case].parents() == PARENTS[case]


def test_a_chain_needs_each_stage_before_the_next():
    assert Funnel.chain("click", "cart", "buy").stages == (CLICK, CART, Stage("buy", "cart"))


@pytest.mark.parametrize("case", FUNNELS)
def test_first_and_last_are_the_ends_of_the_names(case):
    funnel = FUNNELS[case]
    assert funnel.names == tuple(stage.name for stage in funnel.stages)
    assert (funnel.first, funnel.last) == (funnel.names[0], funnel.names[-1])


@pytest.mark.parametrize("case", FUNNELS)
def test_the_dictionary_form_reads_back_as_the_same_funnel(case):
    assert Funnel.from_dict(FUNNELS[case].to_dict()) == FUNNELS[case]


def test_the_dictionary_form_names_parent_and_ways():
    assert FUNNELS["mediator"].to_dict() == [
        {"name": "click", "after": None, "via": []},
        {"name": "cart", "after": "click", "via": []},
        {"name": "buy", "after": "click", "via": ["cart"]},
    ]


def test_reading_a_dictionary_checks_the_funnel():
    content = FUNNELS["chain of two"].to_dict()[::-1]
    with pytest.raises(FunnelError, match="exactly the first stage follows the impression"):
        Funnel.from_dict(content)


def test_a_hand_written_stage_may_leave_out_after_and_via():
    read = Funnel.from_dict([{"name": "click"}, {"name": "order", "after": "click"}])
    assert read == Funnel.chain("click", "order")
    with pytest.raises(FunnelError, match="must have the key 'name'"):
        Funnel.from_dict([{"name": "click"}, {"after": "click"}])
