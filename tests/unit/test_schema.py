"""Schemas and feature specs: what they refuse, what they resolve, and how they are stored."""

import json
import re

import pytest

from mtl_seq import FeatureSpec, Funnel, Schema, Stage
from mtl_seq._files import write_json
from mtl_seq.errors import ArtifactError, SchemaError

LABELS = {"click": "is_click", "conversion": "is_order"}
THREE = {"click": "c", "cart": "a", "buy": "b"}
EVERYTHING = Schema(
    labels=THREE,
    ids=["user", "item", "position"],
    bags=["history"],
    dense=["price"],
    funnel=Funnel((Stage("click"), Stage("cart", "click"), Stage("buy", "click", ("cart",)))),
    hidden_from={"buy": ["price"]},
    click_only=["position"],
    group="user",
    time="ts",
    weight="w",
    propensity="p",
)
SCHEMAS_REFUSED = {
    "no label": ({"labels": {}}, "`labels` must name at least the click's column, found none"),
    "no feature": ({"ids": []}, "must name at least one feature, found none"),
    "ids as a string": (
        {"ids": "user"},
        "`ids` must be a list of columns, found the string 'user'",
    ),
    "bags as a string": ({"bags": "h"}, "`bags` must be a list of columns, found the string 'h'"),
    "dense as a string": ({"dense": "x"}, "`dense` must be a list of columns, found the string"),
    "click_only as a string": ({"click_only": "user"}, "`click_only` must be a list of columns"),
    "hidden_from as a string": (
        {"hidden_from": {"conversion": "user"}},
        "`hidden_from['conversion']` must be a list of columns, found the string 'user'",
    ),
    "labels in another order": (
        {"funnel": Funnel.chain("conversion", "click")},
        "`labels` must name the funnel's stages in its order ('conversion', 'click'), "
        "found ('click', 'conversion')",
    ),
    "feature twice": (
        {"dense": ["user"]},
        "column 'user' must have one role, found two: a feature and a feature",
    ),
    "label among the features": (
        {"dense": ["is_order"]},
        "column 'is_order' must have one role, found two: a feature and the label of 'conversion'",
    ),
    "one column for two labels": (
        {"labels": {"click": "y", "conversion": "y"}},
        "column 'y' must have one role, found two: the label of 'click' and the label of",
    ),
    "weight among the features": (
        {"weight": "user"},
        "column 'user' must have one role, found two: a feature and the weight",
    ),
    "propensity is the weight": (
        {"weight": "w", "propensity": "w"},
        "column 'w' must have one role, found two: the weight and the propensity",
    ),
    "hidden from an unknown stage": (
        {"hidden_from": {"cart": ["user"]}},
        "`hidden_from` must name stages of the funnel ('click', 'conversion'), found 'cart'",
    ),
    "an unknown feature hidden": (
        {"hidden_from": {"conversion": ["position"]}},
        "`hidden_from` or `click_only` must name features ('user', 'item'), found 'position'",
    ),
    "an unknown feature for the click only": (
        {"click_only": ["x"]},
        "`hidden_from` or `click_only` must name features ('user', 'item'), found 'x'",
    ),
    "hidden from all": (
        {"hidden_from": {"click": ["user"]}, "click_only": ["user"]},
        "feature 'user' is hidden from every stage: leave it out of the features",
    ),
}
SPECS_REFUSED = {
    "no feature": ({}, "must name at least one feature and none twice, found ()"),
    "feature twice": (
        {"ids": {"a": 2}, "dense": ["a"]},
        "must name at least one feature and none twice, found ('a', 'a')",
    ),
    "empty table": ({"ids": {"a": 0}}, "`a` must have a table of at least 1 row, found 0"),
    "no size": ({"ids": {"a": 2}, "embedding": 0}, "`embedding` of 'a' must be at least 1"),
    "size of another": (
        {"ids": {"a": 2}, "embedding": {"b": 4}},
        "`embedding` must give a size for 'a', found {'b': 4}",
    ),
    "dense as a string": ({"dense": "x"}, "`dense` must be a list of columns, found the string"),
    "hidden as a string": (
        {"dense": ["x"], "hidden_from": {"click": "x"}},
        "`hidden_from['click']` must be a list of columns, found the string 'x'",
    ),
    "an unknown feature hidden": (
        {"dense": ["x"], "hidden_from": {"click": ["y"]}},
        "must name features ('x',), found 'y'",
    ),
}


@pytest.mark.parametrize("case", SCHEMAS_REFUSED)
def test_a_schema_that_contradicts_itself_is_refused(case):
    change, message = SCHEMAS_REFUSED[case]
    with pytest.raises(SchemaError, match=re.escape(message)):
        Schema(**{"labels": LABELS, "ids": ["user", "item"], **change})


@pytest.mark.parametrize("case", SPECS_REFUSED)
def test_a_spec_that_contradicts_itself_is_refused(case):
    arguments, message = SPECS_REFUSED[case]
    with pytest.raises(SchemaError, match=re.escape(message)):
        FeatureSpec(**arguments)


def test_the_default_funnel_is_a_chain_of_the_labels():
    assert Schema(labels=THREE, ids=["user"]).funnel == Funnel.chain("click", "cart", "buy")


def test_group_and_time_may_be_features_too():
    schema = Schema(labels=LABELS, ids=["user"], dense=["ts"], group="user", time="ts")
    assert schema.features == ("user", "ts")


def test_click_only_hides_from_every_later_stage():
    assert EVERYTHING.hidden == {"cart": ("position",), "buy": ("price", "position")}


def test_a_feature_hidden_twice_is_hidden_once():
    schema = Schema(
        labels=LABELS,
        ids=["user", "position"],
        click_only=["position"],
        hidden_from={"conversion": ["position"]},
    )
    assert schema.hidden == {"conversion": ("position",)}


def test_a_stored_schema_reads_back_the_same(tmp_path):
    EVERYTHING.to_json(tmp_path / "schema.json")
    assert Schema.from_json(tmp_path / "schema.json") == EVERYTHING


def test_the_dictionary_form_reads_back_after_json():
    assert Schema.from_dict(json.loads(json.dumps(EVERYTHING.to_dict()))) == EVERYTHING


def test_labels_are_the_one_key_that_must_be_there():
    assert Schema.from_dict({"labels": LABELS, "ids": ["user"]}) == Schema(LABELS, ids=["user"])
    with pytest.raises(SchemaError, match="a schema must have the key 'labels'"):
        Schema.from_dict({"ids": ["user"]})


def test_an_unknown_key_is_refused_by_name():
    with pytest.raises(SchemaError, match="a schema has no key 'idz': known are"):
        Schema.from_dict({"labels": LABELS, "ids": ["user"], "idz": ["item"]})


def test_another_kind_of_file_is_no_schema(tmp_path):
    write_json(tmp_path / "codec.json", {"labels": LABELS}, kind="mtl_seq.codec", version=1)
    with pytest.raises(ArtifactError, match=r"must be of kind 'mtl_seq\.schema', found 'mtl_seq"):
        Schema.from_json(tmp_path / "codec.json")


SPEC = FeatureSpec(
    ids={"user": 9, "position": 5},
    bags={"history": 7},
    dense=["price", "age"],
    hidden_from={"cart": ["position"], "buy": ["position", "price"]},
    embedding={"user": 8, "position": 2, "history": 3},
)


def test_towers_share_what_no_stage_must_not_see():
    assert SPEC.shared == ("user", "history", "age")


@pytest.mark.parametrize(
    ("stage", "own"), [("click", ("position", "price")), ("cart", ("price",)), ("buy", ())]
)
def test_a_tower_has_to_itself_what_only_others_must_not_see(stage, own):
    assert SPEC.own(stage) == own


@pytest.mark.parametrize(
    ("names", "width"), [((), 0), (("user",), 8), (("price", "age"), 2), (SPEC.features, 15)]
)
def test_the_width_is_the_sum_of_the_sizes(names, width):
    assert SPEC.width(names) == width


def test_one_embedding_size_serves_all_tables():
    spec = FeatureSpec(ids={"a": 2}, bags={"b": 2}, dense=["x"], embedding=5)
    assert [spec.size(name) for name in spec.features] == [5, 5, 1]
