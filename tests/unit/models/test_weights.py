"""A builder's weights of losses reach its objective, each the loss it names."""

import inspect

import pytest
import torch

from mtl_seq import FeatureSpec, FunnelLabels, models

SPEC = FeatureSpec(ids={"user": 5, "item": 4})
WEIGHTS = [
    (name, argument)
    for name in models.__all__
    if inspect.isfunction(builder := getattr(models, name))
    for argument in inspect.signature(builder).parameters
    if argument.endswith("_weight")
]


def test_the_weighted_builders_are_known():
    assert {name for name, _ in WEIGHTS} == {
        *("chorus_cvr", "dcmt", "escm2_dr", "escm2_ips", "esm2", "esmm"),
    }


@pytest.mark.parametrize(("name", "argument"), WEIGHTS)
def test_a_weight_multiplies_the_loss_it_names(name, argument):
    loss = argument.removesuffix("_weight")
    build = getattr(models, name)
    one, weighted = (build(SPEC, seed=0, **{argument: value}) for value in (1.0, 0.25))
    assert weighted.objective.weights == {**one.objective.weights, loss: 0.25}
    stages = torch.zeros(6, len(one.network.funnel.names))
    stages[:4, 0] = stages[:2] = 1.0
    features = {"user": torch.arange(6) % 5, "item": torch.arange(6) % 4}
    labels = FunnelLabels(stages)
    prediction = one(features)
    before, after = one.objective(prediction, labels), weighted.objective(prediction, labels)
    assert before[loss] > 0
    expected = {k: 0.25 * value if k == loss else value for k, value in before.items()}
    assert {k: v.item() for k, v in after.items()} == pytest.approx(
        {k: v.item() for k, v in expected.items()}
    )
