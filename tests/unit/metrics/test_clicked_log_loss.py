"""Log loss on clicks against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from mtl_seq import Funnel, FunnelLabels, Stage
from mtl_seq.metrics import ClickedLogLoss
from mtl_seq.nn import compose_conditionals

FUNNELS = {
    "chain": Funnel.chain("click", "buy"),
    "longer chain": Funnel.chain("click", "cart", "buy"),
    "mediator": Funnel((Stage("click"), Stage("cart", "click"), Stage("buy", "click", ("cart",)))),
}
ROWS = 400


def draw(funnel, seed=0):
    """A prediction, clicks that it did not foresee, and row weights."""
    generator = torch.Generator().manual_seed(seed)
    shape = (ROWS, len(funnel.conditionals))
    logits = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    click = (torch.rand(ROWS, generator=generator) < 0.3).float()
    later = (torch.rand(ROWS, len(funnel.stages) - 1, generator=generator) < 0.4).float()
    stages = torch.cat((click.unsqueeze(1), click.unsqueeze(1) * later), dim=1)
    return logits, stages, 2 * torch.rand(ROWS, generator=generator)


def measured(funnel, *parts):
    metric = ClickedLogLoss()
    for logits, stages, weight in parts:
        metric.update(compose_conditionals(funnel, logits, {}), FunnelLabels(stages, weight))
    return metric


def reference(funnel, logits, stages, weight=None):
    prediction = compose_conditionals(funnel, logits, {})
    clicked = stages[:, 0] == 1
    implied = (prediction.pctcvr / prediction.pctr)[clicked].numpy()
    kept = None if weight is None else weight[clicked].double().numpy()
    truth = stages[clicked, -1].numpy()
    return log_loss(truth, np.stack((1 - implied, implied), axis=1), sample_weight=kept)


@pytest.mark.parametrize("case", FUNNELS)
def test_it_is_the_log_loss_of_clicked_rows(case):
    logits, stages, _ = draw(FUNNELS[case])
    found = measured(FUNNELS[case], (logits, stages, None)).compute()
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(reference(FUNNELS[case], logits, stages), rel=1e-12)


@pytest.mark.parametrize("case", FUNNELS)
def test_row_weights_make_it_a_weighted_mean(case):
    parts = draw(FUNNELS[case])
    found = measured(FUNNELS[case], parts).compute()
    assert found.item() == pytest.approx(reference(FUNNELS[case], *parts), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_batches_of_any_size_add_up_to_one_batch(weighted):
    logits, stages, weight = draw(FUNNELS["chain"])
    cuts = [(0, 1), (1, 1), (1, 150), (150, ROWS)]
    parts = [(logits[a:b], stages[a:b], weight[a:b] if weighted else None) for a, b in cuts]
    expected = measured(FUNNELS["chain"], (logits, stages, weight if weighted else None)).compute()
    found = measured(FUNNELS["chain"], *parts).compute()
    assert found.item() == pytest.approx(expected.item(), rel=1e-13)


def test_a_reset_forgets_every_batch():
    funnel = FUNNELS["chain"]
    first, second = draw(funnel, seed=0), draw(funnel, seed=1)
    metric = measured(funnel, first)
    metric.reset()
    metric.update(compose_conditionals(funnel, second[0], {}), FunnelLabels(*second[1:]))
    assert metric.compute().item() == measured(funnel, second).compute().item()


def test_it_scores_what_is_implied_among_clicks_and_not_pcvr():
    # A model that knows of a hidden common cause says 0.06 / 0.2 of clicks, whatever its pCVR.
    def column(value):
        return torch.tensor([value, value], dtype=torch.float64)

    chain = compose_conditionals(FUNNELS["chain"], torch.zeros(2, 2, dtype=torch.float64), {})
    log_joint = {"click": column(0.2).log(), "buy": column(0.06).log()}
    prediction = chain._replace(log_joint=log_joint, log_pcvr=column(0.1).log())
    metric = ClickedLogLoss()
    metric.update(prediction, FunnelLabels(torch.tensor([[1.0, 1.0], [1.0, 0.0]])))
    expected = -(math.log(0.3) + math.log(0.7)) / 2
    assert metric.compute().item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_rows_without_a_click_have_no_influence(value):
    logits, stages, weight = draw(FUNNELS["chain"])
    spoilt = torch.where(stages[:, :1] == 1, logits, value)
    found = measured(FUNNELS["chain"], (spoilt, stages, weight)).compute()
    expected = measured(FUNNELS["chain"], (logits, stages, weight)).compute()
    assert found.item() == expected.item()


def test_a_certain_prediction_has_loss_zero_when_right_and_a_finite_loss_when_wrong():
    sure = torch.tensor([[0.0, 800.0]], dtype=torch.float64)
    right = measured(FUNNELS["chain"], (sure, torch.tensor([[1.0, 1.0]]), None)).compute()
    wrong = measured(FUNNELS["chain"], (sure, torch.tensor([[1.0, 0.0]]), None)).compute()
    assert right.item() == pytest.approx(0, abs=1e-11)
    assert wrong.item() == pytest.approx(-math.log(1e-12), rel=1e-12)


def test_an_improbable_conversion_costs_its_logarithm():
    # A probability of exp(-300), which a clamp at 1e-12 would make 28 nats.
    logits = torch.tensor([[0.0, -300.0]], dtype=torch.float64)
    found = measured(FUNNELS["chain"], (logits, torch.tensor([[1.0, 1.0]]), None)).compute()
    assert found.item() == pytest.approx(300, rel=1e-12)


def test_without_clicks_it_is_nan_with_a_reason():
    logits, stages, _ = draw(FUNNELS["chain"])
    metric = measured(FUNNELS["chain"], (logits, torch.zeros_like(stages), None))
    assert math.isnan(metric.compute().item())
    assert metric.reason == "no clicked rows of positive weight"


def test_with_clicks_there_is_no_reason():
    metric = ClickedLogLoss()
    assert metric.reason == "no clicked rows of positive weight"
    logits, stages, weight = draw(FUNNELS["chain"])
    metric.update(compose_conditionals(FUNNELS["chain"], logits, {}), FunnelLabels(stages, weight))
    assert metric.reason is None
