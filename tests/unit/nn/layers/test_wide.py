"""Linear terms, weighted and summed bags, numbers as vectors: against computations by hand."""

import pandas as pd
import pytest
import torch

from mtl_seq import Codec, FeatureSpec, Funnel, Schema, nn
from mtl_seq.errors import DataError, SchemaError

FUNNEL = Funnel.chain("click", "conversion")
TOWERS = {"click": "click", "conversion": "conversion"}


def filled(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


def batch():
    generator = torch.Generator().manual_seed(1)
    return {
        "user": torch.randint(5, (7,), generator=generator),
        "item": torch.randint(3, (7,), generator=generator),
        "price": torch.randn(7, generator=generator),
        "mood": torch.randn(7, generator=generator),
    }


def test_a_linear_term_is_the_sum_of_what_each_feature_says():
    spec = FeatureSpec(
        ids={"user": 5, "item": 3}, dense=["price", "mood"], wide=["user", "item", "mood"]
    )
    wide = filled(nn.Wide(spec, TOWERS))
    x = batch()
    table = wide.table.weight
    expected = table[x["user"]] + table[5 + x["item"]] + x["mood"].unsqueeze(1) * wide.weight
    torch.testing.assert_close(wide(x), expected)


def test_a_hidden_feature_has_no_linear_term_in_that_tower():
    spec = FeatureSpec(
        ids={"user": 5, "item": 3},
        dense=["price", "mood"],
        hidden_from={"conversion": ["user", "mood"]},
        wide=["user", "mood", "price"],
    )
    wide = filled(nn.Wide(spec, TOWERS))
    x = batch()
    before = wide(x)
    after = wide({**x, "user": (x["user"] + 1) % 5, "mood": x["mood"] + 1})
    assert torch.equal(before[:, 1], after[:, 1])
    assert (before[:, 0] != after[:, 0]).all()


@pytest.mark.parametrize("wide", [(), ("user", "price")])
def test_a_network_starts_as_it_would_without_linear_terms(wide):
    spec = FeatureSpec(ids={"user": 5, "item": 3}, dense=["price", "mood"], wide=wide)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.FunnelNetwork(spec, funnel=FUNNEL, bottom=nn.MMoE, aux=("imputation",))
    x = batch()
    before = net(x)
    if wide:
        assert torch.equal(net.wide(x), torch.zeros(7, 3))
        filled(net.wide)
        after = net(x)
        terms = net.wide(x)
        torch.testing.assert_close(after.logits, before.logits + terms[:, :2])
        torch.testing.assert_close(after.aux["imputation"], before.aux["imputation"] + terms[:, 2])
    else:
        assert net.wide is None


@pytest.mark.parametrize("pooling", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [True, False])
def test_bags_are_pooled_as_asked(pooling, weighted):
    spec = FeatureSpec(
        bags={"tags": 6},
        embedding=4,
        pooling={"tags": pooling},
        weighted=("tags",) if weighted else (),
    )
    embedding = filled(nn.Embedding(spec, TOWERS))
    tags = torch.tensor([[1, 5, -1], [2, -1, -1], [-1, -1, -1]])
    weight = torch.tensor([[0.5, 2.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    shared, _ = embedding({"tags": tags, "tags:weight": weight})
    table = embedding.lookup.tables["4"].weight
    share = weight if weighted else (tags >= 0).float()
    for row in range(3):
        total = sum(share[row, i] * table[tags[row, i]] for i in range(3) if tags[row, i] >= 0)
        mass = share[row].sum() if pooling == "mean" else torch.tensor(1.0)
        expected = total / mass if row < 2 else torch.zeros(4)
        torch.testing.assert_close(shared[row], expected)


def test_a_number_becomes_a_learned_vector():
    spec = FeatureSpec(dense=["price", "mood"], numeric=3)
    embedding = filled(nn.Embedding(spec, TOWERS))
    x = batch()
    shared, _ = embedding(x)
    assert shared.shape == (7, 6)
    for place, name in enumerate(("price", "mood")):
        line = embedding.lookup.numeric[str(place)].line
        expected = torch.relu(x[name].unsqueeze(1) @ line.weight.T + line.bias)
        torch.testing.assert_close(shared[:, 3 * place : 3 * place + 3], expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wide": ["nobody"]}, "`wide` must name some of"),
        ({"wide": ["tags"]}, "`wide` must name some of"),
        ({"pooling": {"user": "mean"}}, "`pooling` must name some of"),
        ({"pooling": {"tags": "max"}}, "must be 'mean' or 'sum', found 'max'"),
        ({"weighted": ["user"]}, "`weighted` must name some of"),
        ({"numeric": -1}, "`numeric` must be at least 0"),
    ],
)
def test_options_that_fit_no_feature_are_refused(settings, message):
    with pytest.raises(SchemaError, match=message):
        FeatureSpec(ids={"user": 5}, bags={"tags": 4}, dense=["price"], **settings)


def frame():
    return pd.DataFrame(
        {
            "tags": [["a", "b"], [], ["b"]],
            "share": [[0.5, 2.0], [], [3.0]],
            "click": [1, 0, 1],
            "conversion": [0, 0, 1],
        }
    )


def weighted_schema():
    labels = {"click": "click", "conversion": "conversion"}
    return Schema(labels=labels, bags=["tags"], bag_weights={"tags": "share"})


def test_weights_of_a_bag_stand_beside_its_items():
    result = Codec.fit(weighted_schema(), frame())
    features = result.encode(frame()).features
    assert features["tags"].tolist() == [[1, 2], [-1, -1], [2, -1]]
    assert features["tags:weight"].tolist() == [[0.5, 2.0], [0.0, 0.0], [3.0, 0.0]]
    assert result.spec.weighted == ("tags",)


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ([[0.5], [], [3.0]], "'share' must hold one weight per item of 'tags', not so in 1 row"),
        ([[0.5, -2.0], [], [3.0]], "weights 'share' must be numbers of at least 0"),
    ],
)
def test_weights_that_fit_no_bag_are_refused(share, message):
    codec = Codec.fit(weighted_schema(), frame())
    with pytest.raises(DataError, match=message):
        codec.encode(frame().assign(share=share))


def test_a_schema_refuses_weights_of_what_is_no_bag():
    labels = {"click": "click", "conversion": "conversion"}
    with pytest.raises(SchemaError, match="`bag_weights` must name bags"):
        Schema(labels=labels, ids=["user"], bag_weights={"user": "share"})
