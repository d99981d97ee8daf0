"""What a CVR risk must not teach."""

from functools import partial

import pytest
import torch

from mtl_seq import Funnel, FunnelLabels, risks
from mtl_seq.nn import FunnelNetwork, SingleTask, TowerEmbeddings
from mtl_seq.schema import FeatureSpec

FUNNEL = Funnel.chain("click", "conversion")
SPEC = FeatureSpec(ids={"user_id": 20}, dense=["price"])


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


@pytest.mark.parametrize("risk", [risks.ClickSpace(), risks.IPS(), risks.DoublyRobust()])
def test_a_cvr_risk_teaches_the_ctr_tower_exactly_nothing(risk):
    net = network(risk.aux)
    features, labels = batch()
    risk(net(features), labels).mean().backward()
    assert all_zero(gradients_of_tower(net, 0))
    assert not all_zero(gradients_of_tower(net, 1))


def test_dr_does_not_teach_the_imputation_tower():
    net = network(("imputation",))
    features, labels = batch()
    risks.DoublyRobust()(net(features), labels).mean().backward()
    assert all_zero(gradients_of_tower(net, 2))


def test_the_imputation_risk_teaches_its_tower_only():
    net = network(("imputation",))
    features, labels = batch()
    risks.Imputation()(net(features), labels).mean().backward()
    assert all_zero(gradients_of_tower(net, 0))
    assert all_zero(gradients_of_tower(net, 1))
    assert not all_zero(gradients_of_tower(net, 2))


def test_ctcvr_teaches_both_towers_as_in_the_paper():
    net = network(())
    features, labels = batch()
    risks.EntireSpace("conversion")(net(features), labels).mean().backward()
    assert not all_zero(gradients_of_tower(net, 0))
    assert not all_zero(gradients_of_tower(net, 1))
