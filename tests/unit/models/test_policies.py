"""Schedules: which are valid, and those of the named models."""

import re

import pytest

from mtl_seq import FeatureSpec, Funnel, models, nn
from mtl_seq.errors import CompositionError
from mtl_seq.models import FunnelModel, Schedule

CHAIN = Funnel.chain("click", "conversion")
SPEC = FeatureSpec(ids={"user": 5, "rank": 3}, hidden_from={"conversion": ["rank"]})
DOUBLE = [models.mrdr, models.dr_bias, models.dr_mse]


def esmm_with(schedule):
    model = models.esmm(SPEC, seed=0)
    return FunnelModel(model.network, model.objective, schedule)


@pytest.mark.parametrize("steps", [(), ((),), (("ctr",), ())])
def test_a_step_has_a_loss(steps):
    with pytest.raises(CompositionError, match="`steps` must hold at least one step of at least"):
        Schedule(steps)


@pytest.mark.parametrize("steps", [(("ctr",),), (("ctr", "ctcvr"), ("cvr",))])
def test_every_loss_trains_and_no_other(steps):
    message = re.escape("must name each of the objective's losses ('ctr', 'ctcvr')")
    with pytest.raises(CompositionError, match=message):
        esmm_with(Schedule(steps))


def test_only_towers_are_copied():
    message = re.escape("towers of the network ('click', 'conversion'), found 'imputation'")
    with pytest.raises(CompositionError, match=message):
        esmm_with(Schedule((("ctr", "ctcvr"),), weight_copies=(("conversion", "imputation"),)))


def test_a_loss_may_train_in_several_steps():
    schedule = Schedule((("ctr",), ("ctr", "ctcvr")))
    assert esmm_with(schedule).schedule is schedule


@pytest.mark.parametrize("build", [models.dr_jl, models.sn_dr, *DOUBLE])
def test_joint_learning_imputes_first_and_predicts_then(build):
    model = build(SPEC, seed=0)
    assert model.schedule.steps == (("imputation",), ("ctr", "cvr"))


@pytest.mark.parametrize("build", DOUBLE)
def test_double_learning_copies_between_towers_with_the_same_features(build):
    model = build(SPEC, seed=0)
    assert model.schedule.weight_copies == (("conversion", "imputation"),)
    own = model.network.embedding.own
    assert own["imputation"] == own["conversion"] == ()
    assert own["click"] == ("rank",)


@pytest.mark.parametrize("build", DOUBLE)
def test_on_a_longer_funnel_there_is_no_one_tower_to_copy(build):
    model = build(SPEC, funnel=Funnel.chain("click", "cart", "conversion"), seed=0)
    assert model.schedule.weight_copies == ()
    assert model.schedule.steps[1] == ("ctr", "cart", "cvr")


@pytest.mark.parametrize("build", [models.dr_jl, models.sn_dr])
def test_without_double_learning_the_imputation_sees_click_only_features(build):
    model = build(SPEC, seed=0)
    assert model.schedule.weight_copies == ()
    assert model.network.embedding.own["imputation"] == ("rank",)


@pytest.mark.parametrize(
    "build",
    [models.ips, models.snips, models.dr_jl, models.sn_dr, *DOUBLE],
    ids=lambda b: b.__name__,
)
def test_separate_methods_share_nothing(build):
    net = build(SPEC, bottom=nn.SharedBottom, seed=0).network
    assert isinstance(net.embedding, nn.TowerEmbeddings)
    assert isinstance(net.bottom, nn.SingleTask)


def test_self_normalised_models_keep_the_rest_of_a_policy():
    from mtl_seq.losses import PropensityPolicy

    policy = PropensityPolicy(floor=0.1)
    for build in (models.snips, models.sn_dr):
        result = build(SPEC, propensity=policy, seed=0).objective.losses["cvr"].propensity
        assert result == PropensityPolicy(floor=0.1, self_normalise=True)
    assert models.ips(SPEC, propensity=policy, seed=0).objective.losses["cvr"].propensity == policy
