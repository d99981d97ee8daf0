"""The network: what it refuses, where it starts, what it stores, and who sees which feature."""

import re
from functools import partial

import pytest
import torch

from mtl_seq import FeatureSpec, Funnel, Stage
from mtl_seq.errors import CompositionError
from mtl_seq.nn import Embedding, FunnelNetwork, MMoE, SharedBottom, SingleTask, TowerEmbeddings

CHAIN = Funnel.chain("click", "cart", "buy")
ESM2 = Funnel((Stage("click"), Stage("cart", "click"), Stage("buy", "click", ("cart",))))
SPEC = FeatureSpec(
    ids={"user": 20, "position": 10},
    bags={"history": 8},
    dense=["price", "rank"],
    hidden_from={"cart": ["position"], "buy": ["position", "rank"], "narrow": ["rank"]},
)
AUX = ("imputation", "narrow")
PARTS = {
    "shared bottom": {"bottom": SharedBottom},
    "experts": {"bottom": MMoE},
    "shared tables": {"bottom": SingleTask},
    "nothing shared": {"bottom": SingleTask, "embedding": TowerEmbeddings},
    "experts per tower": {
        "bottom": partial(SingleTask, bottom=MMoE),
        "embedding": TowerEmbeddings,
    },
}


def network(parts, funnel=ESM2, seed=0, aux=AUX, spec=SPEC):
    torch.manual_seed(seed)
    return FunnelNetwork(spec, funnel=funnel, aux=aux, **PARTS[parts])


def features(rows=64):
    generator = torch.Generator().manual_seed(1)
    return {
        "user": torch.randint(20, (rows,), generator=generator),
        "position": torch.randint(9, (rows,), generator=generator),
        "history": torch.randint(-1, 8, (rows, 3), generator=generator),
        "price": torch.randn(rows, generator=generator),
        "rank": torch.randn(rows, generator=generator),
    }


def by_tower(net, given):
    """Every tower's logits, by its name."""
    result = net(given)
    names = [conditional.name for conditional in net.funnel.conditionals]
    return dict(zip(names, result.logits.detach().unbind(1), strict=True)) | {
        name: logit.detach() for name, logit in result.aux.items()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"spec": FeatureSpec(dense=["x"], hidden_from={"buy": ["x"]})},
            "every feature is hidden from some stage, so the bottom has no input: leave at least "
            "one feature visible to all of ('click', 'cart', 'buy')",
        ),
        (
            {"spec": FeatureSpec(dense=["x", "y"], hidden_from={"pay": ["x"]})},
            "names 'pay', which is neither a stage of the funnel ('click', 'cart', 'buy') nor an "
            "extra tower ('imputation',)",
        ),
        ({"aux": ("buy|other",)}, "extra tower 'buy|other' must have a name that no tower of the"),
        ({"aux": ("click",)}, "extra tower 'click' must have a name that no tower of the funnel"),
        (
            {"embedding": TowerEmbeddings},
            "`embedding` has tables per tower, but SharedBottom takes one input for all towers",
        ),
        (
            {"embedding": TowerEmbeddings, "bottom": MMoE},
            "`embedding` has tables per tower, but MMoE takes one input for all towers: wrap it",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    parts = {"spec": FeatureSpec(dense=["x"]), "bottom": SharedBottom, "embedding": Embedding}
    parts |= {"funnel": ESM2, "aux": ("imputation",)} | change
    with pytest.raises(CompositionError, match=re.escape(message)):
        FunnelNetwork(parts.pop("spec"), **parts)


@pytest.mark.parametrize("funnel", [CHAIN, ESM2], ids=["chain", "mediator"])
@pytest.mark.parametrize("parts", PARTS)
def test_towers_start_at_the_rates_asked_for_where_the_input_is_zero(parts, funnel):
    net = network(parts, funnel)
    for table in net.embedding.parameters():
        torch.nn.init.zeros_(table)
    nothing = features() | {"price": torch.zeros(64), "rank": torch.zeros(64)}
    names = [conditional.name for conditional in funnel.conditionals]
    rates = {name: 0.02 + 0.05 * place for place, name in enumerate((*names, "imputation"))}
    net.start_at(rates)
    logits = by_tower(net, nothing)
    assert list(logits) == [*names, *AUX]
    for name, logit in logits.items():
        # A tower without a rate of its own stays where it was.
        expected = torch.full((64,), rates.get(name, 0.5))
        torch.testing.assert_close(logit.sigmoid(), expected, rtol=1e-6, atol=0)


def test_the_start_of_a_chain_multiplies_along_it():
    net = network("shared bottom", CHAIN)
    for table in net.embedding.parameters():
        torch.nn.init.zeros_(table)
    net.start_at({"click": 0.04, "cart": 0.2, "buy": 0.3})
    result = net(features(1) | {"price": torch.zeros(1), "rank": torch.zeros(1)})
    assert result.pctr.tolist() == pytest.approx([0.04], rel=1e-6)
    assert result.pcvr.tolist() == pytest.approx([0.06], rel=1e-6)
    assert result.pctcvr.tolist() == pytest.approx([0.0024], rel=1e-6)


@pytest.mark.parametrize("parts", PARTS)
def test_a_stored_state_gives_the_same_prediction_in_another_network(parts):
    first, second = network(parts, seed=0), network(parts, seed=1)
    given = features()
    expected = first(given)
    assert not torch.equal(second(given).logits, expected.logits)
    second.load_state_dict(first.state_dict())
    for ours, theirs in zip(second(given), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("parts", PARTS)
def test_a_state_holds_parameters_only(parts):
    net = network(parts)
    assert set(net.state_dict()) == {name for name, _ in net.named_parameters()}


@pytest.mark.parametrize(
    ("feature", "blind"),
    [
        ("position", {"cart", "buy|cart", "buy|other"}),
        ("rank", {"buy|cart", "buy|other", "narrow"}),
        ("user", set()),
        ("price", set()),
        ("history", set()),
    ],
)
@pytest.mark.parametrize("parts", PARTS)
def test_a_hidden_feature_moves_the_towers_that_may_see_it_and_no_other(parts, feature, blind):
    net, given = network(parts), features()
    changed = {**given, feature: (given[feature] + 1) % (20 if feature == "user" else 8)}
    before, after = by_tower(net, given), by_tower(net, changed)
    assert {name for name in before if torch.equal(before[name], after[name])} == blind


@pytest.mark.parametrize("tower", range(6))
@pytest.mark.parametrize("parts", ["shared tables", "nothing shared", "experts per tower"])
def test_a_tower_reads_the_representation_of_its_own_bottom_alone(parts, tower):
    net, given = network(parts), features()
    before = by_tower(net, given)
    for parameter in net.bottom.bottoms[tower].parameters():
        torch.nn.init.normal_(parameter)
    after = by_tower(net, given)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert moved == [("click", "cart", "buy|cart", "buy|other", *AUX)[tower]]


@pytest.mark.parametrize("parts", PARTS)
def test_a_row_does_not_depend_on_the_others(parts):
    net, given = network(parts), features()
    alone = net({name: column[5:6] for name, column in given.items()}).logits
    torch.testing.assert_close(alone, net(given).logits[5:6], rtol=0, atol=1e-6)


def test_exclusive_mediators_start_at_the_asked_rates():
    """Their towers are classes of one softmax, so a logit of the rate would miss it."""
    stages = (
        Stage("click"),
        Stage("cart", "click"),
        Stage("wish", "click"),
        Stage("buy", "click", ("cart", "wish")),
    )
    funnel = Funnel(stages)
    net = FunnelNetwork(FeatureSpec(dense=["x"]), funnel=funnel, bottom=SharedBottom)
    rates = {"click": 0.2, "cart": 0.3, "wish": 0.4}
    rates |= {"buy|cart": 0.5, "buy|wish": 0.2, "buy|other": 0.1}
    net.start_at(rates)
    for parameter in net.bottom.parameters():
        torch.nn.init.zeros_(parameter)
    result = net({"x": torch.zeros(1)})
    joint = {name: log.exp().item() for name, log in result.log_joint.items()}
    assert joint["cart"] == pytest.approx(0.2 * 0.3, rel=1e-6)
    assert joint["wish"] == pytest.approx(0.2 * 0.4, rel=1e-6)
    assert joint["buy"] == pytest.approx(0.2 * (0.3 * 0.5 + 0.4 * 0.2 + 0.3 * 0.1), rel=1e-6)
