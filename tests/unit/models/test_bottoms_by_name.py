"""Models named after what their towers share."""

from functools import partial

import pytest
import torch

from mtl_seq import FeatureSpec, FunnelLabels, models, nn
from mtl_seq.experiments.compare import MODELS

SPEC = FeatureSpec(
    ids={"user": 9, "position": 4}, dense=["price"], hidden_from={"conversion": ["position"]}
)
ROWS = 40


def features():
    generator = torch.Generator().manual_seed(0)
    ids = {
        name: torch.randint(size, (ROWS,), generator=generator) for name, size in SPEC.ids.items()
    }
    return ids | {"price": torch.randn(ROWS, generator=generator)}


def labels():
    click = (torch.arange(ROWS) % 2).float()
    return FunnelLabels.of(click=click, conversion=click * (torch.arange(ROWS) % 3 == 0))


@pytest.mark.parametrize(
    ("named", "same"),
    [
        (models.shared_bottom, partial(models.multitask, bottom=nn.SharedBottom)),
        (models.omoe, partial(models.multitask, bottom=nn.OMoE)),
        (models.mmoe, partial(models.multitask, bottom=nn.MMoE)),
        (models.ple, partial(models.multitask, bottom=nn.PLE)),
        (models.single_task, partial(models.click_space, bottom=nn.SharedBottom)),
    ],
)
def test_a_name_stands_for_a_bottom_and_nothing_else(named, same):
    one, other = named(SPEC, seed=3), same(SPEC, seed=3)
    assert torch.equal(one(features()).logits, other(features()).logits)
    losses = [model.objective(model(features()), labels()) for model in (one, other)]
    assert losses[0] == losses[1]


def reached(model, logit):
    """Names of the parameters that move a logit."""
    gradients = torch.autograd.grad(
        logit.sum(), list(model.parameters()), allow_unused=True, retain_graph=True
    )
    names = [name for name, _ in model.named_parameters()]
    result = zip(names, gradients, strict=True)
    return {name for name, g in result if g is not None and bool((g != 0).any())}


@pytest.mark.parametrize("build", [models.single_task, models.esmm_ns])
def test_a_model_without_sharing_is_two_networks(build):
    model = build(SPEC, seed=0)
    prediction = model(features())
    click, conversion = (
        reached(model, prediction.pctr_logit),
        reached(model, prediction.pcvr_logit),
    )
    assert click
    assert conversion
    assert not click & conversion
    assert click | conversion == {name for name, _ in model.named_parameters()}


def test_esmm_ns_has_the_losses_of_esmm():
    prediction = models.esmm_ns(SPEC, seed=0)(features())
    one, other = (
        build(SPEC, seed=0).objective(prediction, labels())
        for build in (models.esmm_ns, models.esmm)
    )
    assert one == other
    assert set(one) == {"ctr", "ctcvr"}


def test_the_default_comparison_stays_as_it_is():
    assert list(MODELS) == ["click_space", "multitask", "esmm", "escm2_ips", "escm2_dr", "oracle"]
