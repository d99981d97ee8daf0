"""The figures of an epoch are those of the metrics whose names they have."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from mtl_seq import FunnelEstimator, FunnelLabels, models, nn
from mtl_seq.fit import callbacks
from mtl_seq.fit.figures import SPACES, ValidationFigures
from mtl_seq.funnel import Funnel
from mtl_seq.metrics import PCOC, LogLoss, OnRecords
from mtl_seq.simulate import LogisticFunnel

FUNNEL = Funnel.chain("click", "conversion")


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
    figures = ValidationFigures()
    for prediction, labels in batches:
        figures.update(prediction, labels)
    found = figures.compute()
    assert len(found) == 6
    for quantity, space in SPACES.items():
        for name, kind in {"log_loss": LogLoss, "pcoc": PCOC}.items():
            metric = OnRecords(kind(space=space), quantity)
            for prediction, labels in batches:
                metric.update(prediction, labels)
            expected = metric.compute().double()
            torch.testing.assert_close(found[f"{quantity}/{name}"], expected, rtol=1e-6, atol=0)


def test_without_clicks_what_is_measured_on_them_is_no_number():
    figures = ValidationFigures()
    prediction, labels = batch(0)
    figures.update(prediction, labels._replace(stages=torch.zeros_like(labels.stages)))
    found = figures.compute()
    assert found["pcvr/log_loss"].isnan()
    assert all(found[f"{quantity}/pcoc"].isnan() for quantity in SPACES)
    assert not found["pctr/log_loss"].isnan()


def test_the_progress_line_shows_them(monkeypatch):
    said = io.StringIO()
    drawn = Console(file=said, width=120, force_terminal=True)
    monkeypatch.setattr(callbacks, "Console", lambda **_: drawn)
    log, _ = LogisticFunnel(users=60, items=40, seed=0).sample(2000, np.random.default_rng(5))
    schema = LogisticFunnel(users=60, items=40, seed=0).schema
    FunnelEstimator(models.esmm, schema, epochs=2, progress=True).fit(log)
    assert "epoch   2/2" in said.getvalue()
    for space in ("pCTR", "pCVR", "pCTCVR"):
        assert f"{space} 0." in said.getvalue()
    assert "PCOC" in said.getvalue()
