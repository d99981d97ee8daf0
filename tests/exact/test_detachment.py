"""What a CVR risk must not teach: gradients by tower, where towers share nothing."""

from functools import partial

import pytest
import torch

from mtl_seq import Funnel, FunnelLabels, risks
from mtl_seq.nn import FunnelNetwork, SingleTask, TowerEmbeddings
from mtl_seq.schema import FeatureSpec

FUNNEL = Funnel.chain("click", "conversion")
SPEC = FeatureSpec(ids={"user_id": 20}, dense=["price"])
CTR, CVR, EXTRA = range(3)

SCALED = risks.PropensityPolicy(self_normalise=True)
LEAKY = risks.PropensityPolicy(detach=False)
TEACHES = {
    "ClickSpace": (risks.ClickSpace(), {CVR}),
    "IPS": (risks.IPS(), {CVR}),
    "SNIPS": (risks.IPS(SCALED), {CVR}),
    "IPS, not detached": (risks.IPS(LEAKY), {CTR, CVR}),
    "DoublyRobust": (risks.DoublyRobust(), {CVR}),
    "DoublyRobust, self-normalised": (risks.DoublyRobust(SCALED), {CVR}),
    "DirectMethod": (risks.DirectMethod(), {CVR}),
    "LabelImputation": (risks.LabelImputation(), {EXTRA}),
    "Imputation": (risks.Imputation(), {EXTRA}),
    "Imputation, not detached": (risks.Imputation(LEAKY), {CTR, EXTRA}),
    "MRDRImputation": (risks.MRDRImputation(), {EXTRA}),
    "DRBiasImputation": (risks.DRBiasImputation(), {EXTRA}),
    "DRMSEImputation": (risks.DRMSEImputation(), {EXTRA}),
    "DCMT": (risks.DCMT(), {CVR, EXTRA}),
    "DCMT, not detached": (risks.DCMT(LEAKY), {CTR, CVR, EXTRA}),
    "NISE": (risks.NISE(), {CVR}),
    "ConversionPropensity": (risks.ConversionPropensity(), {EXTRA}),
    "DDPO": (risks.DDPO(), {CVR}),
    "ClickUnconverted": (risks.ClickUnconverted(), {CTR, EXTRA}),
    "UnconvertedIPS": (risks.UnconvertedIPS(), {EXTRA}),
    "SoftAlignment": (risks.SoftAlignment(), {CVR, EXTRA}),
    "CTCVR": (risks.EntireSpace("conversion"), {CTR, CVR}),
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
def test_a_risk_teaches_its_towers_and_the_others_exactly_nothing(name):
    risk, taught = TEACHES[name]
    net = network(risk.aux)
    features, labels = batch()
    risk(net(features), labels).mean().backward()
    towers = range(len(net.towers))
    assert {i for i in towers if not all_zero(gradients_of_tower(net, i))} == taught


@pytest.mark.parametrize("name", TEACHES)
def test_what_it_says_of_itself_is_what_is_measured(name):
    risk, taught = TEACHES[name]
    assert risk.detaches_pctr == (CTR not in taught)


def test_an_undetached_propensity_is_pulled_up_on_every_click():
    """Inflating pCTR lowers the risk: what happens in code that forgets to detach."""
    risk = risks.IPS(risks.PropensityPolicy(quantile=0.0, detach=False))
    net = network(())
    features, labels = batch()
    prediction = net(features)
    (pull,) = torch.autograd.grad(risk(prediction, labels).mean(), prediction.logits)
    clicked = labels.click > 0
    assert bool((pull[clicked, CTR] < 0).all())
    assert bool((pull[~clicked, CTR] == 0).all())
