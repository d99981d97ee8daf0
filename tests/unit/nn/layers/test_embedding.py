"""Embeddings against a lookup by hand, in tables whose layout is written out here."""

import re

import pytest
import torch

from mtl_seq import FeatureSpec
from mtl_seq.errors import DataError
from mtl_seq.nn import Embedding, TowerEmbeddings

SPEC = FeatureSpec(
    ids={"user": 5, "item": 4, "position": 3, "hour": 6},
    bags={"history": 7, "tags": 2},
    dense=["price", "age", "rank"],
    hidden_from={"buy": ["position", "rank"]},
    embedding={"user": 4, "item": 2, "position": 4, "hour": 4, "history": 4, "tags": 2},
)
TOWERS = {"click": "click", "buy|cart": "buy", "buy|other": "buy"}
# (size, first row) within the one table of all ids and bags of that size: shared ids, then those
# hidden from some stage, then bags.
PLACES = {
    "user": (4, 0),
    "hour": (4, 5),
    "position": (4, 11),
    "history": (4, 14),
    "item": (2, 0),
    "tags": (2, 4),
}
WITHOUT_POSITION = {**PLACES, "history": (4, 11)}
FEATURES = {
    "user": torch.tensor([0, 4, 2]),
    "item": torch.tensor([3, 0, 1]),
    "position": torch.tensor([2, 1, 0]),
    "hour": torch.tensor([5, 0, 3]),
    "history": torch.tensor([[6, 0, 6, -1], [-1, -1, -1, -1], [1, 2, 3, 4]]),
    "tags": torch.tensor([[1, -1], [0, 1], [-1, 0]]),
    "price": torch.tensor([0.5, -1.0, 2.0]),
    "age": torch.tensor([30.0, 40.0, 50.0]),
    "rank": torch.tensor([1.0, 2.0, 3.0]),
}
SHARED, OWN = ("user", "item", "hour", "history", "tags", "price", "age"), ("position", "rank")


def by_hand(lookup, names, places=PLACES):
    """Row by row: table rows of ids, means of bags over what is no padding, numbers as they are."""
    rows = []
    for row in range(3):
        parts = []
        for name in names:
            value = FEATURES[name][row].tolist()
            if name in SPEC.dense:
                parts.append(torch.tensor([value]))
                continue
            size, start = places[name]
            table = lookup.tables[str(size)].weight.detach()
            present = [i for i in (value if name in SPEC.bags else [value]) if i >= 0]
            vectors = [table[start + i] for i in present]
            parts.append(sum(vectors) / len(vectors) if vectors else torch.zeros(size))
        rows.append(torch.cat(parts))
    return torch.stack(rows)


@pytest.fixture
def embedding():
    torch.manual_seed(0)
    return Embedding(SPEC, TOWERS)


@pytest.fixture
def separate():
    torch.manual_seed(0)
    return TowerEmbeddings(SPEC, TOWERS)


def close(result, expected):
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-7)


def test_the_shared_input_is_ids_bags_and_dense_side_by_side(embedding):
    shared, _ = embedding(FEATURES)
    assert shared.shape == (3, SPEC.width(SPEC.shared))
    close(shared, by_hand(embedding.lookup, SHARED))


def test_a_hidden_feature_goes_to_the_towers_that_may_see_it_only(embedding):
    _, own = embedding(FEATURES)
    assert list(own) == ["click"]
    close(own["click"], by_hand(embedding.lookup, OWN))


def test_a_tower_that_may_not_see_the_middle_of_three_gets_the_outer_two():
    hidden = {"cart": ["b"], "buy": ["a", "c"]}
    spec = FeatureSpec(ids=dict.fromkeys("xabc", 3), hidden_from=hidden, embedding=2)
    embedding = Embedding(spec, {stage: stage for stage in ("click", "cart", "buy")})
    ids = {"x": 0, "a": 0, "b": 1, "c": 2}
    _, own = embedding({name: torch.tensor([row]) for name, row in ids.items()})
    table = embedding.lookup.tables["2"].weight
    vectors = {"a": table[3 + 0], "b": table[6 + 1], "c": table[9 + 2]}
    for tower, names in {"click": "abc", "cart": "ac", "buy": "b"}.items():
        close(own[tower][0], torch.cat([vectors[name] for name in names]))


def test_tables_hold_one_row_per_id(embedding):
    sizes = {size: table.weight.shape[0] for size, table in embedding.lookup.tables.items()}
    assert sizes == {"4": 5 + 6 + 3 + 7, "2": 4 + 2}


def test_training_touches_the_rows_looked_up_and_no_padding(embedding):
    shared, own = embedding(FEATURES)
    (shared.sum() + own["click"].sum()).backward()
    touched = {"user": {0, 4, 2}, "hour": {5, 0, 3}, "position": {2, 1, 0}}
    touched["history"] = {6, 0, 1, 2, 3, 4}
    expected = {PLACES[name][1] + i for name, ids in touched.items() for i in ids}
    gradient = embedding.lookup.tables["4"].weight.grad
    assert set(gradient.abs().sum(1).nonzero().flatten().tolist()) == expected


def test_the_gradient_of_a_bag_is_shared_by_what_is_in_it(embedding):
    shared, _ = embedding(FEATURES)
    shared[:1].sum().backward()
    gradient = embedding.lookup.tables["4"].weight.grad[PLACES["history"][1] :, 0]
    assert gradient.tolist() == pytest.approx([1 / 3, 0, 0, 0, 0, 0, 2 / 3], abs=1e-7)


@pytest.mark.parametrize(
    ("name", "row", "value", "last"),
    [
        ("user", 2, 5, 4),
        ("hour", 1, 6, 5),
        ("item", 0, 4, 3),
        ("position", 1, 3, 2),
        ("user", 0, -1, 4),
        ("item", 2, -7, 3),
        ("history", 2, 7, 6),
        ("tags", 1, 2, 1),
    ],
)
@pytest.mark.parametrize("kind", [Embedding, TowerEmbeddings])
def test_an_id_outside_its_table_is_refused_by_feature_and_row(kind, name, row, value, last):
    features = {**FEATURES, name: FEATURES[name].clone()}
    features[name].view(3, -1)[row, -1] = value
    message = f"feature {name!r} must lie in 0..{last}, found {value} in row {row} of the batch"
    with pytest.raises(DataError, match=re.escape(message)):
        kind(SPEC, TOWERS)(features)


def test_dense_features_alone_need_no_table():
    embedding = Embedding(FeatureSpec(dense=["price", "age"]), {"click": "click"})
    shared, own = embedding({name: FEATURES[name] for name in ("price", "age")})
    assert (list(embedding.parameters()), own) == ([], {})
    assert shared.tolist() == [[0.5, 30], [-1, 40], [2, 50]]


def test_every_tower_reads_its_own_tables(separate):
    shared, own = separate(FEATURES)
    places = (PLACES, WITHOUT_POSITION, WITHOUT_POSITION)
    for tower, (lookup, place) in enumerate(zip(separate.lookups, places, strict=True)):
        close(shared[:, tower], by_hand(lookup, SHARED, place))
    assert list(own) == ["click"]
    close(own["click"], by_hand(separate.lookups[0], OWN))
    assert not torch.allclose(shared[:, 1], shared[:, 2])


def test_a_tower_has_no_table_of_a_feature_hidden_from_it(separate):
    rows = [lookup.tables["4"].weight.shape[0] for lookup in separate.lookups]
    assert rows == [21, 18, 18]


def test_one_tower_trains_no_table_of_another(separate):
    shared, own = separate(FEATURES)
    (shared[:, 0].sum() + own["click"].sum()).backward()
    moved = [
        [bool((p.grad != 0).any()) for p in lookup.parameters() if p.grad is not None]
        for lookup in separate.lookups
    ]
    assert all(moved[0])
    assert len(moved[0]) == 2
    assert not any(moved[1] + moved[2])
