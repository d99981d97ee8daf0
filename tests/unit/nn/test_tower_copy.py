"""One tower's weights into another's."""

from functools import partial

import pytest
import torch

from mtl_seq import FeatureSpec, Funnel, nn
from mtl_seq.errors import CompositionError
from mtl_seq.nn.tower_copy import copy_tower

FUNNEL = Funnel.chain("click", "conversion")
SPEC = FeatureSpec(ids={"user": 9}, bags={"tags": 4}, dense=["price"], wide=["user", "price"])


def network(spec=SPEC, *, bottom=nn.MMoE, embedding=nn.TowerEmbeddings, head=nn.ParallelHead):
    torch.manual_seed(0)
    net = nn.FunnelNetwork(
        spec,
        funnel=FUNNEL,
        bottom=partial(nn.SingleTask, bottom=bottom),
        aux=("imputation",),
        embedding=embedding,
        head=head,
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.3)
    return net


def features(rows=30):
    generator = torch.Generator().manual_seed(1)
    return {
        "user": torch.randint(9, (rows,), generator=generator),
        "tags": torch.randint(4, (rows, 2), generator=generator),
        "price": torch.randn(rows, generator=generator),
    }


def logits(net):
    prediction = net(features())
    return [*prediction.logits.unbind(1), prediction.aux["imputation"]]


@pytest.mark.parametrize("bottom", [nn.SharedBottom, nn.MMoE, nn.PLE])
def test_the_target_agrees_with_the_source_and_no_other_tower_changes(bottom):
    net = network(bottom=bottom)
    click, conversion, imputation = logits(net)
    assert not torch.allclose(imputation, conversion)
    copy_tower(net, "conversion", "imputation")
    now = logits(net)
    for result, expected in zip(now, (click, conversion, conversion), strict=True):
        torch.testing.assert_close(result, expected, rtol=1e-6, atol=1e-6)


def test_they_stay_two_towers():
    net = network()
    copy_tower(net, "conversion", "imputation")
    logits(net)[2].sum().backward()
    assert all(p.grad is None for p in net.head.towers[1].parameters())
    assert all(p.grad is not None for p in net.aux_towers["imputation"].parameters())


def test_towers_that_see_other_features_differ_in_shape():
    spec = FeatureSpec(
        ids={"user": 9}, dense=["price", "rank"], hidden_from={"conversion": ["rank"]}
    )
    net = network(spec)
    with pytest.raises(CompositionError, match="'imputation' cannot take over the weights of"):
        copy_tower(net, "conversion", "imputation")


@pytest.mark.parametrize("parts", [{"embedding": nn.Embedding}, {"head": nn.DBMTL}])
def test_towers_that_share_parts_are_not_copied(parts):
    with pytest.raises(CompositionError, match="where towers share nothing"):
        copy_tower(network(**parts), "conversion", "imputation")
