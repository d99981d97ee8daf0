"""The figures of an epoch are those of the metrics whose names they have."""

import io
import math

import numpy as np
import pytest
import torch
from rich.console import Console

from mtl_seq import FunnelEstimator, FunnelLabels, models, nn
from mtl_seq.fit import CHECKPOINT_RULE, TrainingResult
from mtl_seq.fit.train import progress_line
from mtl_seq.fit.train.validation_metrics import SPACES, ValidationMetrics
from mtl_seq.funnel import Funnel
from mtl_seq.metrics import PCOC, LogLoss, OnRecords
from mtl_seq.simulate import LogisticFunnel

STAGES = ("click", "conversion")
FUNNEL = Funnel.chain(*STAGES)


def batch(seed, rows=200, weighted=True):
    draws = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, 2, generator=draws) * 2 - 1
    click = torch.rand(rows, generator=draws) < 0.4
    conversion = click & (torch.rand(rows, generator=draws) < 0.3)
    weight = torch.rand(rows, generator=draws).where(torch.rand(rows, generator=draws) < 0.9, 0)
    labels = FunnelLabels.of(
        click=click, conversion=conversion, weight=weight if weighted else None
    )
    return nn.compose_conditionals(FUNNEL, logits, {}), labels


@pytest.mark.parametrize("weighted", [True, False])
def test_each_is_what_its_metric_gives(weighted):
    batches = [batch(seed, weighted=weighted) for seed in range(3)]
    figures = ValidationMetrics()
    for prediction, labels in batches:
        figures.update(prediction, labels)
    found = figures.compute()
    assert len(found) == 9
    for quantity, space in SPACES.items():
        for name, kind in {"log_loss": LogLoss, "pcoc": PCOC}.items():
            metric = OnRecords(kind(space=space), quantity)
            for prediction, labels in batches:
                metric.update(prediction, labels)
            expected = metric.compute().double()
            torch.testing.assert_close(found[f"{quantity}/{name}"], expected, rtol=1e-6, atol=0)
        labels = [labels for _, labels in batches]
        click, converted = (torch.cat([getattr(x, n) for x in labels]) for n in STAGES)
        mass = torch.cat([x.weight for x in labels]) if weighted else torch.ones_like(click)
        mass = mass.double() * (click if space == "clicks" else 1)
        rate = (mass * (click if quantity == "pctr" else converted)).sum() / mass.sum()
        torch.testing.assert_close(found[f"{quantity}/rate"], rate, rtol=1e-6, atol=0)


def test_without_clicks_what_is_measured_on_them_is_no_number():
    figures = ValidationMetrics()
    prediction, labels = batch(0)
    figures.update(prediction, labels._replace(stages=torch.zeros_like(labels.stages)))
    found = figures.compute()
    assert found["pcvr/log_loss"].isnan()
    assert all(found[f"{quantity}/pcoc"].isnan() for quantity in SPACES)
    assert not found["pctr/log_loss"].isnan()


def test_the_progress_line_shows_them(monkeypatch):
    said = io.StringIO()
    drawn = Console(file=said, width=120, force_terminal=True)
    monkeypatch.setattr(progress_line, "Console", lambda **_: drawn)
    log, _ = LogisticFunnel(users=60, items=40, seed=0).sample(2000, np.random.default_rng(5))
    schema = LogisticFunnel(users=60, items=40, seed=0).schema
    FunnelEstimator(models.esmm, schema, epochs=2, progress=True).fit(log)
    assert "epoch   2/2" in said.getvalue()
    for space in ("pCTR", "pCVR", "pCTCVR"):
        assert f"{space} 0." in said.getvalue()
    assert "PCOC" in said.getvalue()


def test_a_progress_line_in_a_file_ends_with_the_line(capsys):
    simulator = LogisticFunnel(users=60, items=40, seed=0)
    log, _ = simulator.sample(2000, np.random.default_rng(5))
    FunnelEstimator(models.esmm, simulator.schema, epochs=1, progress=True).fit(log)
    said = capsys.readouterr().err
    assert "epoch   1/1" in said
    assert said.endswith("(all)\n")
    # Wide enough for its figures.
    assert len(said.splitlines()) == 2


def test_a_fit_keeps_the_figures_of_its_epoch_beside_those_of_a_constant():
    simulator = LogisticFunnel(users=60, items=40, seed=0)
    log, _ = simulator.sample(3000, np.random.default_rng(5))
    held, _ = simulator.sample(1000, np.random.default_rng(6))
    one = FunnelEstimator(models.esmm, simulator.schema, epochs=2).fit(log, validation=held)
    found, scores = one.run_.validation_metrics, one.predict(held)
    clicked = held["click"] == 1
    for quantity, stage, rows in (
        ("pctr", "click", clicked | True),
        ("pcvr", "conversion", clicked),
        ("pctcvr", "conversion", clicked | True),
    ):
        y = held.loc[rows, stage].to_numpy()
        p = scores.loc[rows, quantity].to_numpy()
        assert found[f"{quantity}/rate"] == pytest.approx(y.mean())
        assert found[f"{quantity}/pcoc"] == pytest.approx(p.mean() / y.mean(), rel=1e-5)
        loss = -(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()
        assert found[f"{quantity}/log_loss"] == pytest.approx(loss, rel=1e-5)
        trained = log[log["click"] == 1] if quantity == "pcvr" else log
        rate = (trained[stage].sum() + 0.5) / (len(trained) + 1)
        constant = -(y * np.log(rate) + (1 - y) * np.log1p(-rate)).mean()
        assert found[f"{quantity}/constant"] == pytest.approx(constant, rel=1e-6)
    assert one.run_.checkpoint_rule == CHECKPOINT_RULE


def test_what_is_worse_than_a_constant_is_named():
    figures = {"pctr/log_loss": 0.5, "pctr/rate": 0.25, "pcvr/log_loss": 0.5, "pcvr/rate": 0.25}
    run = TrainingResult(
        (0.5,), 0, validation_metrics={**figures, "pctcvr/log_loss": math.nan, "pctcvr/rate": 0.1}
    )
    assert run.worse_than_constant() == ()
    right, wrong = 0.25, 0.1  # a constant's loss: 0.562 where it is right, 0.655 where not
    beside = run.with_constants({"pctr": right, "pcvr": wrong, "pctcvr": 0.1})
    assert beside.validation_metrics["pctr/constant"] == pytest.approx(0.5623, abs=1e-4)
    assert beside.validation_metrics["pcvr/constant"] == pytest.approx(0.6547, abs=1e-4)
    assert beside.worse_than_constant() == ()
    worse = run._replace(
        validation_metrics={**run.validation_metrics, "pctr/log_loss": 0.57, "pcvr/log_loss": 0.57}
    )
    worse = worse.with_constants({"pctr": right, "pcvr": wrong, "pctcvr": 0.1})
    assert worse.worse_than_constant() == ("pctr",)
    again = TrainingResult.from_dict(worse.to_dict())
    assert again.worse_than_constant() == ("pctr",)
    assert math.isnan(again.validation_metrics["pctcvr/log_loss"])
