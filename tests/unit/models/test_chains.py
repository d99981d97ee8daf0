"""Named models on chains of three and more stages."""

from functools import partial

import pytest
import torch

from mtl_seq import FeatureSpec, Funnel, FunnelLabels, models
from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.nn import compose_conditionals

SPEC = FeatureSpec(ids={"user": 9}, dense=["price"])
PAIR = models.CLICK_CONVERSION
TRIPLE = Funnel.chain("click", "order", "payment")
FOUR = Funnel.chain("click", "cart", "order", "payment")
ROWS = 60
CHAIN_MODELS = {
    name: getattr(models, name)
    for name in (
        "click_space",
        "multitask",
        "esmm",
        "esmm_ns",
        "escm2_ips",
        "escm2_dr",
        "oracle",
        "dbmtl",
        "aitm",
    )
}
TWO_STAGE_LOSSES = {
    "click_space": ["ctr", "cvr"],
    "multitask": ["ctr", "cvr"],
    "esmm": ["ctr", "ctcvr"],
    "esmm_ns": ["ctr", "ctcvr"],
    "escm2_ips": ["ctr", "cvr", "ctcvr"],
    "escm2_dr": ["ctr", "cvr", "ctcvr", "imputation"],
    "oracle": ["ctr", "cvr"],
    "dbmtl": ["ctr", "ctcvr"],
    "aitm": ["ctr", "ctcvr", "monotonicity_penalty"],
}


def draw(columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(ROWS, columns, generator=generator, dtype=torch.float64)


def stages(columns):
    own = torch.randint(2, (ROWS, columns), generator=torch.Generator().manual_seed(3))
    return own.cumprod(1).double()


def features():
    generator = torch.Generator().manual_seed(0)
    return {
        "user": torch.randint(9, (ROWS,), generator=generator),
        "price": torch.randn(ROWS, generator=generator),
    }


def test_esmm_has_the_joint_of_every_stage():
    drawn, happened = draw(4), stages(4)
    prediction = compose_conditionals(FOUR, drawn, {})
    losses = models.esmm(SPEC, funnel=FOUR, seed=0).objective(prediction, FunnelLabels(happened))
    joints = drawn.sigmoid().cumprod(1)
    assert len(losses) == 4
    for loss, p, y in zip(losses.values(), joints.unbind(1), happened.unbind(1), strict=True):
        by_hand = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
        torch.testing.assert_close(loss, by_hand, rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", CHAIN_MODELS)
def test_two_stages_have_the_losses_they_always_had(name):
    model = CHAIN_MODELS[name](SPEC, seed=0)
    given = FunnelLabels(stages(2), potential=torch.ones(ROWS))
    assert list(model.objective(model(features()), given)) == TWO_STAGE_LOSSES[name]


@pytest.mark.parametrize("name", CHAIN_MODELS)
def test_every_model_trains_the_joint_of_the_stages_between(name):
    """Otherwise their towers would be known by their product only."""
    model = CHAIN_MODELS[name](SPEC, funnel=FOUR, seed=0)
    prediction = model(features())
    given = FunnelLabels(stages(4), potential=torch.ones(ROWS))
    losses = model.objective(prediction, given)
    for index, stage in ((1, "cart"), (2, "order")):
        by_hand = binary_cross_entropy(prediction.joint_logit[stage], given.stages[:, index]).mean()
        torch.testing.assert_close(losses[stage], by_hand, rtol=1e-6, atol=0)
    assert len(losses) == len(TWO_STAGE_LOSSES[name]) + 2


@pytest.mark.parametrize("name", ["multitask", "esmm", "oracle", "escm2_ips"])
def test_a_last_stage_that_is_certain_leaves_the_chain_before_it(name):
    drawn, happened = draw(2), stages(2)
    certain = torch.full((ROWS, 1), 800.0, dtype=torch.float64)
    longer = compose_conditionals(TRIPLE, torch.cat((drawn, certain), dim=1), {})
    shorter = compose_conditionals(PAIR, drawn, {})
    for measure in ("pctr", "pcvr", "pctcvr", "pcvr_logit"):
        ours, theirs = getattr(longer, measure), getattr(shorter, measure)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    potential = torch.randint(2, (ROWS,), generator=torch.Generator().manual_seed(5)).double()
    build = CHAIN_MODELS[name]
    given = FunnelLabels(happened, potential=potential)
    repeated = FunnelLabels(happened[:, [0, 1, 1]], potential=potential)
    short = build(SPEC, seed=0).objective(shorter, given)
    long = build(SPEC, funnel=TRIPLE, seed=0).objective(longer, repeated)
    # By place: the first is the click's, the last but the stage between that of the conversion.
    between = long.pop("order")
    reached = binary_cross_entropy(longer.joint_logit["order"], happened[:, 1]).mean()
    torch.testing.assert_close(between, reached, rtol=1e-12, atol=0)
    for ours, theirs in zip(long.values(), short.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_weights_of_the_last_stage_keep_their_meaning():
    drawn, given = compose_conditionals(FOUR, draw(4), {}), FunnelLabels(stages(4))
    one, two = (
        list(
            models.esmm(SPEC, funnel=FOUR, ctcvr_weight=w, seed=0).objective(drawn, given).values()
        )
        for w in (1.0, 2.0)
    )
    torch.testing.assert_close(two[-1], 2 * one[-1])
    assert two[:-1] == one[:-1]


def test_dbmtl_with_no_parents_and_esmm_have_the_same_losses():
    prediction = models.esmm(SPEC, seed=0)(features())
    given = FunnelLabels(stages(2))
    one = models.esmm(SPEC, seed=0).objective(prediction, given)
    other = partial(models.dbmtl, parents={})(SPEC, seed=0).objective(prediction, given)
    assert one == other


@pytest.mark.parametrize("detached", [False, True])
def test_dbmtl_hands_its_options_to_the_head(detached):
    parents = {"conversion": ["click"]}
    model = models.dbmtl(SPEC, parents=parents, detach_parents=detached, seed=0)
    assert model.network.head.parents == {"click": (), "conversion": ("click",)}
    assert model.network.head.detach_parents is detached


def test_a_stage_between_may_not_take_the_name_of_a_loss():
    """Its loss would take the place of the other without a word."""
    funnel = Funnel.chain("click", "cvr", "order")
    with pytest.raises(CompositionError, match="no stage between may be named"):
        models.multitask(FeatureSpec(dense=["x"]), funnel=funnel, seed=0)
