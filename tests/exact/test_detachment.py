"""What a CVR loss must not teach: gradients by tower, where towers share nothing."""

from functools import partial

import pytest
import torch

from mtl_seq import Funnel, FunnelLabels, losses
from mtl_seq.nn import FunnelNetwork, SingleTask, TowerEmbeddings
from mtl_seq.schema import FeatureSpec

FUNNEL = Funnel.chain("click", "conversion")
SPEC = FeatureSpec(ids={"user_id": 20}, dense=["price"])
CTR, CVR, EXTRA = range(3)

SCALED = losses.PropensityPolicy(self_normalise=True)
LEAKY = losses.PropensityPolicy(detach=False)
TEACHES = {
    "ClickSpace": (losses.ClickSpace(), {CVR}),
    "IPS": (losses.IPS(), {CVR}),
    "SNIPS": (losses.IPS(SCALED), {CVR}),
    "IPS, not detached": (losses.IPS(LEAKY), {CTR, CVR}),
    "DoublyRobust": (losses.DoublyRobust(), {CVR}),
    "DoublyRobust, self-normalised": (losses.DoublyRobust(SCALED), {CVR}),
    "DirectMethod": (losses.DirectMethod(), {CVR}),
    "LabelImputation": (losses.LabelImputation(), {EXTRA}),
    "Imputation": (losses.Imputation(), {EXTRA}),
    "Imputation, not detached": (losses.Imputation(LEAKY), {CTR, EXTRA}),
    "MRDRImputation": (losses.MRDRImputation(), {EXTRA}),
    "DRBiasImputation": (losses.DRBiasImputation(), {EXTRA}),
    "DRMSEImputation": (losses.DRMSEImputation(), {EXTRA}),
    "DCMT": (losses.DCMT(), {CVR, EXTRA}),
    "DCMT, not detached": (losses.DCMT(LEAKY), {CTR, CVR, EXTRA}),
    "NISE": (losses.NISE(), {CVR}),
    "ConversionPropensity": (losses.ConversionPropensity(), {EXTRA}),
    "DDPO": (losses.DDPO(), {CVR}),
    "ClickUnconverted": (losses.ClickUnconverted(), {CTR, EXTRA}),
    "UnconvertedIPS": (losses.UnconvertedIPS(), {EXTRA}),
    "SoftAlignment": (losses.SoftAlignment(), {CVR, EXTRA}),
    "CTCVR": (losses.EntireSpace("conversion"), {CTR, CVR}),
}


def network(aux):
    torch.manual_seed(0)
    return FunnelNetwork(
        SPEC, funnel=FUNNEL, bottom=partial(SingleTask), aux=aux, embedding=TowerEmbeddings
    )


def batch():
    generator = torch.Generator().manual_seed(1)
    features = {
        "user_id": torch.randint(20, (256,), generator=generator),
        "price": torch.randn(256, generator=generator),
    }
    click = (torch.rand(256, generator=generator) < 0.4).float()
    conversion = click * (torch.rand(256, generator=generator) < 0.4)
    return features, FunnelLabels.of(click=click, conversion=conversion)


def gradients_of_tower(net, index):
    """Gradients of everything that belongs to one tower and to no other."""
    modules = [net.embedding.lookups[index], net.bottom.bottoms[index]]
    modules.append(
        net.head.towers[index] if index < 2 else list(net.aux_towers.values())[index - 2]
    )
    return [p.grad for module in modules for p in module.parameters()]


def all_zero(gradients):
    return all(g is None or bool((g == 0).all()) for g in gradients)


@pytest.mark.parametrize("name", TEACHES)
def test_a_loss_has_a_gradient_at_its_towers_only(name):
    loss, taught = TEACHES[name]
    net = network(loss.aux)
    features, labels = batch()
    loss(net(features), labels).mean().backward()
    towers = range(len(net.towers))
    assert {i for i in towers if not all_zero(gradients_of_tower(net, i))} == taught


@pytest.mark.parametrize("name", TEACHES)
def test_the_stated_detachment_is_the_measured_one(name):
    loss, taught = TEACHES[name]
    assert loss.detaches_pctr == (CTR not in taught)


def test_an_undetached_propensity_is_pulled_up_on_every_click():
    """Inflating pCTR lowers the loss: what happens in code that forgets to detach."""
    loss = losses.IPS(losses.PropensityPolicy(quantile=0.0, detach=False))
    net = network(())
    features, labels = batch()
    prediction = net(features)
    (pull,) = torch.autograd.grad(loss(prediction, labels).mean(), prediction.logits)
    clicked = labels.click > 0
    assert bool((pull[clicked, CTR] < 0).all())
    assert bool((pull[~clicked, CTR] == 0).all())
