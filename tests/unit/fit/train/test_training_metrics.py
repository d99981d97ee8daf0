"""Training metrics of an epoch, against plain sums over its rows."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from lightning import Callback

from mtl_seq import FeatureSpec, FunnelEstimator, FunnelLabels, losses, models, nn
from mtl_seq.experiments.compare import ALL
from mtl_seq.fit import GradNorm, JacobianDescent, Uncertainty
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.fit.train.training_metrics import TrainingMetrics
from mtl_seq.losses import Objective, PropensityPolicy
from mtl_seq.nn import compose_conditionals
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SCENARIO.sample(1500, np.random.default_rng(5))
CHAIN = SCENARIO.schema.funnel
FLOOR = 0.15


def batches():
    generator = torch.Generator().manual_seed(0)
    for rows in (40, 7, 25):
        logits = torch.randn(rows, 2, generator=generator, dtype=torch.float64) - 1
        click = (torch.rand(rows, generator=generator) < 0.4).double()
        labels = FunnelLabels(torch.stack((click, torch.zeros_like(click)), dim=1))
        yield compose_conditionals(CHAIN, logits, {}), labels


def computed(objective, parts):
    metrics = TrainingMetrics()
    for prediction, labels in parts:
        metrics.update(objective, objective(prediction, labels), prediction, labels)
    return metrics.compute()


def test_figures_are_those_of_all_rows_together():
    objective = Objective(
        {"ctr": losses.EntireSpace("click"), "cvr": losses.IPS(PropensityPolicy(floor=FLOOR))},
        {"cvr": 0.5},
    )
    p = np.concatenate([prediction.pctr.numpy() for prediction, _ in batches()])
    o = np.concatenate([labels.click.numpy() for _, labels in batches()])
    z = np.concatenate([prediction.pcvr_logit.numpy() for prediction, _ in batches()])
    w = o / np.maximum(p, FLOOR)
    expected = {
        "ctr": -np.where(o == 1, np.log(p), np.log1p(-p)).mean(),
        "cvr": 0.5 * (w * np.logaddexp(0, z)).mean(),
        "cvr/effective_size": w.sum() ** 2 / (w**2).sum(),
        "cvr/clipped_share": (p[o == 1] < FLOOR).mean(),
        "cvr/largest_share": w.max() / w.sum(),
    }
    assert 0 < expected["cvr/clipped_share"] < 1
    assert computed(objective, batches()) == pytest.approx(expected, rel=1e-12)


def test_a_loss_that_weighs_the_rest_tells_of_it_too():
    """DDPO divides by 1 - p off the clicks; IPS of the same policy does not."""
    policy = PropensityPolicy(floor=0.6, self_normalise=True)
    parts = [
        (prediction._replace(aux={"conversion_propensity": prediction.pcvr_logit}), labels)
        for prediction, labels in batches()
    ]
    found = computed(Objective({"cvr": losses.DDPO(policy), "ips": losses.IPS(policy)}), parts)
    weights, clipped = [], []
    for prediction, labels in parts:
        missed, off = 1 - prediction.pctr.numpy(), 1 - labels.click.numpy()
        weight = off / np.maximum(missed, 0.6)
        weights.append(len(off) * weight / weight.sum())
        clipped.append((missed < 0.6)[off == 1])
    w, below = np.concatenate(weights), np.concatenate(clipped)
    assert 0 < below.mean() < 1
    expected = {
        "cvr/non-clicks/effective_size": w.sum() ** 2 / (w**2).sum(),
        "cvr/non-clicks/clipped_share": below.mean(),
        "cvr/non-clicks/largest_share": w.max() / w.sum(),
    }
    assert {name: found[name] for name in found if "non-clicks" in name} == pytest.approx(expected)
    assert found["ips/effective_size"] == found["cvr/effective_size"]


def test_training_metrics_resume_from_their_state():
    """Weights off the clicks, too."""
    objective = Objective({"cvr": losses.DDPO()})
    parts = [
        (prediction._replace(aux={"conversion_propensity": prediction.pcvr_logit}), labels)
        for prediction, labels in batches()
    ]
    first, second = TrainingMetrics(), TrainingMetrics()
    first.update(objective, objective(*parts[0]), *parts[0])
    second.load_state_dict(first.state_dict(), objective)
    for prediction, labels in parts[1:]:
        second.update(objective, objective(prediction, labels), prediction, labels)
    assert second.compute() == computed(objective, parts)


def test_without_clicks_nothing_can_be_said_of_weights():
    prediction, labels = next(batches())
    none = FunnelLabels(torch.zeros_like(labels.stages))
    found = computed(Objective({"cvr": losses.IPS()}), [(prediction, none)])
    assert found["cvr"] == 0
    assert all(math.isnan(found[f"cvr/{name}"]) for name in ("effective_size", "largest_share"))


def test_equal_weights_make_every_click_count():
    prediction, labels = next(batches())
    labels = labels._replace(propensity=torch.full((40,), 0.25))
    found = computed(Objective({"cvr": losses.IPS()}), [(prediction, labels)])
    clicks = float(labels.click.sum())
    assert found["cvr/effective_size"] == pytest.approx(clicks)
    assert found["cvr/largest_share"] == pytest.approx(1 / clicks)
    assert found["cvr/clipped_share"] == 0


# Few clicks and small batches: most have none.
SPARSE = LogisticFunnel(users=60, items=40, ctr=0.06, seed=0)
RARE, _ = SPARSE.sample(1200, np.random.default_rng(5))
COUNTERFACTUAL = {
    name: builder
    for name, builder in ALL.items()
    if any(
        isinstance(loss, losses.PropensityLoss)
        for loss in builder(FeatureSpec(dense=("x",)), seed=0).objective.losses.values()
    )
}


@pytest.mark.parametrize("name", COUNTERFACTUAL)
def test_every_model_that_divides_says_in_every_epoch_what_its_weights_are_worth(name):
    build = partial(COUNTERFACTUAL[name], bottom=partial(nn.SharedBottom, hidden=(8,)))
    one = FunnelEstimator(build, SPARSE.schema, epochs=2, batch_size=16).fit(RARE)
    for metrics in one.run_.training_history:
        for loss in one.model_.objective.losses:
            if not isinstance(one.model_.objective.losses[loss], losses.PropensityLoss):
                continue
            # Of a few dozen clicks in three score batches; no more than all training clicks.
            assert 1 <= metrics[f"{loss}/effective_size"] <= RARE["click"].sum()
            assert 0 <= metrics[f"{loss}/clipped_share"] < 1
            assert 0 < metrics[f"{loss}/largest_share"] < 1
    assert all(bool(torch.isfinite(p).all()) for p in one.model_.parameters())


@pytest.mark.parametrize(
    "balance",
    [GradNorm, Uncertainty, partial(JacobianDescent, aggregator="CAGrad", settings={"c": 0.4})],
    ids=["GradNorm", "uncertainty", "CAGrad"],
)
def test_batches_without_clicks_train_on_under_a_balance(balance):
    pytest.importorskip("clarabel")
    build = partial(models.escm2_ips, bottom=partial(nn.SharedBottom, hidden=(8,)))
    one = FunnelEstimator(build, SPARSE.schema, epochs=2, batch_size=16, balance=balance).fit(RARE)
    assert one.run_.training_history[1]["ctr"] < one.run_.training_history[0]["ctr"]
    assert all(bool(torch.isfinite(p).all()) for p in one.model_.parameters())


def test_most_of_those_batches_have_no_click():
    """Or the two tests above would show nothing."""
    clicks = RARE["click"].to_numpy()
    assert (clicks.reshape(-1, 16).sum(1) == 0).mean() > 0.25


class Logged(Callback):
    """What Lightning was told."""

    def on_train_end(self, trainer, *_):
        self.metrics = {name: float(x) for name, x in trainer.callback_metrics.items()}


def test_a_fit_logs_every_epoch_and_keeps_it(tmp_path):
    logged = Logged()
    one = FunnelEstimator(
        models.escm2_dr, SCENARIO.schema, epochs=2, batch_size=128, trainer={"callbacks": [logged]}
    ).fit(LOG)
    first, last = one.run_.training_history
    assert set(first) == set(last)
    weights = {"effective_size", "clipped_share", "largest_share"}
    assert set(last) == {"ctr", "cvr", "ctcvr", "imputation"} | {
        f"{loss}/{figure}" for loss in ("cvr", "imputation") for figure in weights
    }
    assert last["ctr"] < first["ctr"]
    for name, value in last.items():
        assert logged.metrics[f"train/{name}"] == pytest.approx(value, rel=1e-5)
    one.save(tmp_path / "model")
    assert FunnelEstimator.load(tmp_path / "model").run_ == one.run_


def test_a_run_without_clicks_survives_json():
    run = TrainingResult((0.5,), 0, ({"cvr": 0.0, "cvr/effective_size": math.nan},))
    again = TrainingResult.from_dict(run.to_dict())
    assert again[:2] == run[:2]
    assert again.training_history[0]["cvr"] == 0
    assert math.isnan(again.training_history[0]["cvr/effective_size"])
    assert run.to_dict()["training_history"][0]["cvr/effective_size"] is None


def test_what_a_loss_states_of_itself_is_computed():
    one = FunnelEstimator(models.unbias, SCENARIO.schema, epochs=2, batch_size=128).fit(LOG)
    clicks = [metrics["cvr/clicks"] for metrics in one.run_.training_history]
    accepted = [metrics["cvr/accepted"] for metrics in one.run_.training_history]
    assert clicks[1] == 2 * clicks[0]
    assert 0 < accepted[0] < accepted[1] < clicks[1]
    other = FunnelEstimator(models.reweighted, SCENARIO.schema, epochs=1).fit(LOG)
    # 1 a click, and 1 more with a conversion; the training rows are 95 in 100.
    k = 1 + LOG["conversion"].sum() / LOG["click"].sum()
    assert other.run_.training_history[0]["click/mean_weight"] == pytest.approx(k, rel=0.03)
