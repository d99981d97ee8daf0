"""Propensities from elsewhere than the forward pass that is trained."""

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch

from mtl_seq import FunnelEstimator, FunnelLabels, Schema, losses, models, nn
from mtl_seq.data import Codec
from mtl_seq.errors import CompositionError
from mtl_seq.fit.train.lightning_module import FunnelModule
from mtl_seq.fit.train.propensity import NetworkPropensity, clip_open, propensity_source
from mtl_seq.losses import CrossFit, EvalMode, MovingAverage, Objective, PropensityPolicy
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SCENARIO.sample(600, np.random.default_rng(5))
CODEC = Codec.fit(SCENARIO.schema, LOG)
ROWS = CODEC.encode(LOG)
DROPPING = partial(nn.MMoE, experts=4, hidden=(8,), gate_dropout=0.5)
LABELS = FunnelLabels(torch.zeros(2, 2))


def built(source=None, bottom=DROPPING):
    policy = PropensityPolicy(source=source)
    return models.ips(CODEC.spec, bottom=bottom, propensity=policy, seed=0)


def perturb(network, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))


def pctr(network):
    with torch.no_grad():
        return copy.deepcopy(network).eval()(ROWS.features).pctr


def test_eval_mode_is_without_dropout_and_leaves_the_mode():
    network = built().network.train()
    perturb(network, 0)
    supply = NetworkPropensity(network, EvalMode())
    found = supply(ROWS.features)
    assert network.training
    torch.testing.assert_close(found, clip_open(pctr(network)), rtol=0, atol=0)
    assert not torch.equal(network(ROWS.features).pctr, found)
    assert not found.requires_grad
    perturb(network, 1)
    supply.update()
    torch.testing.assert_close(supply(ROWS.features), clip_open(pctr(network)), rtol=0, atol=0)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_a_moving_average_is_a_mean_first_and_forgets_then(decay):
    network = built().network
    supply = NetworkPropensity(network, MovingAverage(decay))
    expected = None
    for step in range(1, 8):
        perturb(network, step)
        supply.update()
        current = [p.detach().double().clone() for p in network.parameters()]
        kept = min(decay, 1 - 1 / step)
        expected = (
            current
            if expected is None
            else [kept * a + (1 - kept) * b for a, b in zip(expected, current, strict=True)]
        )
        if step <= round(1 / (1 - decay)):
            assert kept == 1 - 1 / step  # so far it is the plain mean
        for mean, by_hand in zip(supply.average.parameters(), expected, strict=True):
            torch.testing.assert_close(mean.double(), by_hand, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(supply(ROWS.features), clip_open(pctr(supply.average)))


def test_the_average_is_no_part_of_what_is_trained_or_saved():
    model = built(MovingAverage())
    module = FunnelModule(model, propensity=NetworkPropensity(model.network, MovingAverage()))
    own = {id(p) for p in module.propensity.parameters()}
    assert own
    assert not own & {id(p) for p in model.parameters()}
    assert not any("average" in name for name in model.state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_propensities_are_moved_inside(dtype):
    found = clip_open(torch.tensor([0.0, 0.3, 1.0], dtype=dtype))
    assert bool(((found > 0) & (found < 1)).all())
    assert float(found[1]) == float(torch.tensor(0.3, dtype=dtype))


def objective(*sources):
    policies = [PropensityPolicy(source=source) for source in sources]
    return Objective({str(i): losses.IPS(policy) for i, policy in enumerate(policies)})


@pytest.mark.parametrize("source", [None, EvalMode(), MovingAverage(), CrossFit(4)])
def test_losses_of_one_source_have_it(source):
    assert propensity_source(objective(source, source), logged=False) == source


def test_a_model_without_propensities_has_none():
    assert propensity_source(Objective({"cvr": losses.ClickSpace()}), logged=False) is None


@pytest.mark.parametrize("sources", [(None, EvalMode()), (CrossFit(2), CrossFit(3))])
def test_two_sources_do_not_fit_into_one_column(sources):
    with pytest.raises(CompositionError, match="must have the same `source` of propensities"):
        propensity_source(objective(*sources), logged=False)


def test_a_log_with_propensities_of_its_own_needs_no_source():
    assert propensity_source(objective(None), logged=True) is None
    with pytest.raises(CompositionError, match="but the log has its own"):
        propensity_source(objective(EvalMode()), logged=True)


def fitted(source, epochs=1):
    model = partial(
        models.multi_ipw,
        bottom=partial(nn.SharedBottom, hidden=(8,)),
        propensity=PropensityPolicy(source=source),
    )
    return FunnelEstimator(model, SCENARIO.schema, epochs=epochs, batch_size=64).fit(LOG)


def test_without_dropout_eval_mode_changes_nothing():
    plain, evaluated = (fitted(source).predict(LOG) for source in (None, EvalMode()))
    assert np.abs(plain - evaluated).to_numpy().max() <= 1e-6


@pytest.mark.parametrize("source", [MovingAverage(0.9), CrossFit(2)])
def test_another_source_leads_elsewhere_with_the_same_clicks_trained_on(source):
    plain, other = (fitted(s, epochs=4).predict(LOG) for s in (None, source))
    assert np.abs(plain["pcvr"] - other["pcvr"]).max() > 1e-4


def test_a_source_survives_saving(tmp_path):
    one = fitted(CrossFit(2))
    one.save(tmp_path / "model")
    again = FunnelEstimator.load(tmp_path / "model")
    assert again.predict(LOG).equals(one.predict(LOG))
    assert again.model_.objective.losses["cvr"].propensity.source == CrossFit(2)
    assert again.run_ == one.run_


def test_a_logged_propensity_trains_and_a_source_beside_it_is_refused():
    schema = Schema.from_dict({**SCENARIO.schema.to_dict(), "propensity": "p"})
    log = LOG.assign(p=0.2)
    model = partial(models.multi_ipw, bottom=partial(nn.SharedBottom, hidden=(8,)))
    one = FunnelEstimator(model, schema, epochs=1, batch_size=64).fit(log)
    clicks = one.run_.training_history[0]["cvr/effective_size"]
    assert clicks == pytest.approx(round(clicks))  # equal weights: every click counts as one
    model = partial(model, propensity=PropensityPolicy(source=EvalMode()))
    with pytest.raises(CompositionError, match="but the log has its own"):
        FunnelEstimator(model, schema, epochs=1, batch_size=64).fit(log)
    assert not math.isnan(clicks)
