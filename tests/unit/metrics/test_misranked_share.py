"""The rankers' checkpoint rule: one minus an AUC, streamed."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from mtl_seq import Funnel, FunnelLabels
from mtl_seq.metrics import MisrankedShare
from mtl_seq.nn import compose_conditionals

FUNNEL = Funnel.chain("click", "conversion")


def rows(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    prediction = compose_conditionals(FUNNEL, torch.randn((n, 2), generator=generator), {})
    click = (torch.rand(n, generator=generator) < 0.5).float()
    conversion = click * (torch.rand(n, generator=generator) < 0.5)
    weight = torch.randint(0, 4, (n,), generator=generator).float()
    return prediction, FunnelLabels.of(click=click, conversion=conversion, weight=weight)


def part(prediction, labels, index):
    logits, _, _, _, _, aux = prediction
    return compose_conditionals(FUNNEL, logits[index], aux), FunnelLabels(
        labels.stages[index], None if labels.weight is None else labels.weight[index]
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_one_minus_the_auc_of_scikit_learn_in_any_batches(weighted):
    prediction, labels = rows(500)
    labels = labels if weighted else labels._replace(weight=None)
    metric = MisrankedShare()
    for index in torch.split(torch.randperm(500, generator=torch.Generator().manual_seed(1)), 77):
        metric.update(*part(prediction, labels, index))
    expected = 1 - roc_auc_score(
        labels.conversion.numpy(),
        prediction.joint_logit["conversion"].numpy(),
        sample_weight=labels.weight.numpy() if weighted else None,
    )
    assert float(metric.compute()) == pytest.approx(expected, abs=1e-12)
    assert metric.reason is None


def test_without_a_conversion_it_is_undefined_with_a_reason():
    prediction, labels = rows(20)
    metric = MisrankedShare()
    metric.update(prediction, labels._replace(stages=torch.zeros(20, 2)))
    assert metric.compute().isnan()
    assert metric.reason == "conversions and other rows are both needed"
    metric.reset()
    metric.update(prediction, labels)
    assert not metric.compute().isnan()
