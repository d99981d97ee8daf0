"""Frames become the same tensors for ever after, and every code has a row in its table."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_seq import Codec, Schema
from mtl_seq.errors import ArtifactError, DataError, SchemaError

LABELS = {"click": "click", "conversion": "conversion"}
SCHEMA = Schema(labels=LABELS, ids=("user",), bags=("words",), dense=("price",))


def log(**columns):
    frame = {
        "user": [8, 3, 3, 5],
        "words": [["b", "a"], [], ["c"], ["a", "c", "b"]],
        "price": [1.0, 2.0, 4.0, 9.0],
        "click": [1, 0, 1, 0],
        "conversion": [1, 0, 0, 0],
    }
    return pd.DataFrame({**frame, **columns})


def tensors_equal(one, other):
    assert one.features.keys() == other.features.keys()
    assert all(torch.equal(x, other.features[name]) for name, x in one.features.items())
    if one.labels is not None:
        for x, y in zip(one.labels, other.labels, strict=True):
            assert (x is None and y is None) or torch.equal(x, y)
    return True


def test_dense_columns_have_mean_0_and_deviation_1_on_training_rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"price": rng.normal(50, 7, 1000), "click": 1, "conversion": 1})
    schema = Schema(labels=LABELS, dense=("price",))
    scaled = Codec.fit(schema, frame).encode(frame).features["price"].double().numpy()
    assert scaled.mean() == pytest.approx(0, abs=1e-6)
    assert scaled.std() == pytest.approx(1, abs=1e-6)


def test_later_rows_are_scaled_by_the_training_rows():
    codec = Codec.fit(SCHEMA, log())
    later = codec.encode(log(price=[4.0, 5.0, 0.0, 100.0])).features["price"]
    deviation = np.sqrt(((np.array([1, 2, 4, 9]) - 4.0) ** 2).mean())
    expected = (np.array([4.0, 5.0, 0.0, 100.0]) - 4) / deviation
    np.testing.assert_allclose(later.numpy(), expected, rtol=1e-6)


def test_a_constant_column_becomes_0_and_keeps_later_differences():
    codec = Codec.fit(SCHEMA, log(price=[2.0] * 4))
    encoded = codec.encode(log(price=[2.0, 2.0, 3.0, 2.5])).features["price"]
    assert encoded.tolist() == [0.0, 0.0, 1.0, 0.5]


def test_imputed_values_stand_at_the_mean_of_the_values_there():
    frame = log(price=[1.0, np.nan, 3.0, np.nan])
    encoded = Codec.fit(SCHEMA, frame, impute="mean").encode(frame).features["price"]
    # Mean 2 and deviation 1 of the two values there.
    assert encoded.tolist() == [-1.0, 0.0, 1.0, 0.0]


def test_missing_dense_values_are_refused_unless_imputed():
    frame = log(price=[1.0, np.nan, 3.0, np.nan])
    with pytest.raises(DataError, match=r"'price' is NaN in 2 rows \(first: 1, 3\)"):
        Codec.fit(SCHEMA, frame)
    with pytest.raises(DataError, match=r"'price' is NaN in 2 rows \(first: 1, 3\)"):
        Codec.fit(SCHEMA, log()).encode(frame)


def test_bags_are_padded_with_minus_1_to_the_longest():
    codec = Codec.fit(SCHEMA, log())
    bag = codec.encode(log()).features["words"]
    assert bag.tolist() == [[2, 1, -1], [-1, -1, -1], [3, -1, -1], [1, 3, 2]]
    assert bag.dtype == torch.int64


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([("a",), np.array(["b", "z"]), None, []], [[1, -1], [2, 0], [-1, -1], [-1, -1]]),
        ([[], [], [], []], [[-1]] * 4),
    ],
    ids=["tuples, arrays, missing, unseen", "all empty"],
)
def test_bags_of_every_kind(cells, expected):
    codec = Codec.fit(SCHEMA, log())
    assert codec.encode(log(words=cells)).features["words"].tolist() == expected


def test_large_ids_in_bags_stay_exact():
    # Exploding a column with an empty bag passes through NaN, which would round them.
    big = 2**62
    frame = log(words=[[big + 1, big], [], [big + 2], None])
    bag = Codec.fit(SCHEMA, frame).encode(frame).features["words"]
    assert bag.tolist() == [[2, 1], [-1, -1], [3, -1], [-1, -1]]


def test_a_bag_that_is_no_list_is_refused():
    with pytest.raises(DataError, match=r"bag column 'words' must hold lists, found 'a,b'"):
        Codec.fit(SCHEMA, log(words=["a,b", "a", "b", "c"]))


@pytest.mark.parametrize("index", [[9, 9, -1, 9], list("wxyz"), [0.5, np.nan, 2, 1]])
def test_the_index_of_the_frame_does_not_matter(index):
    odd = log().set_axis(index, axis=0)
    expected = Codec.fit(SCHEMA, log()).encode(log())
    assert tensors_equal(Codec.fit(SCHEMA, odd).encode(odd), expected)


def test_neither_fit_nor_encode_changes_the_frame():
    frame = log(price=[1.0, np.nan, 3.0, 4.0])
    before = frame.copy(deep=True)
    Codec.fit(SCHEMA, frame, impute="mean").encode(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_labels_carry_stages_weight_group_and_propensity():
    schema = Schema(
        labels=LABELS, ids=("user",), group="user", weight="w", propensity="logged", time="price"
    )
    frame = log(w=[0.5, 1.5, 0, 2], logged=[0.25, 0.875, 0.5, 0.75])
    labels = Codec.fit(schema, frame).encode(frame).labels
    assert labels.stages.tolist() == [[1, 1], [0, 0], [1, 0], [0, 0]]
    assert labels.weight.tolist() == [0.5, 1.5, 0, 2]
    assert labels.propensity.tolist() == [0.25, 0.875, 0.5, 0.75]
    assert labels.group.tolist() == [0, 1, 1, 2]
    assert labels.potential is None


def test_without_labels_only_features_are_needed():
    features = log()[["price", "words", "user"]]
    codec = Codec.fit(SCHEMA, features)
    assert codec.encode(features, labels=False).labels is None
    with pytest.raises(SchemaError, match=r"\['click', 'conversion'\]"):
        codec.encode(features)


def test_a_file_gives_identical_encodings(tmp_path):
    frame = log(
        user=pd.array([2**62 + 1, None, 2**62, 5], dtype="Int64"), price=[0.1, 0.2, 1 / 3, 7]
    )
    codec = Codec.fit(SCHEMA, frame, impute="mean")
    codec.to_json(tmp_path / "codec.json")
    again = Codec.from_json(tmp_path / "codec.json")
    assert again.spec == codec.spec
    later = log(
        user=[5, 2**62, 2**62 + 1, 4], price=[np.nan, 1, 2, 3], words=[["z"], ["a"], [], None]
    )
    assert tensors_equal(again.encode(frame), codec.encode(frame))
    assert tensors_equal(again.encode(later), codec.encode(later))


def test_a_file_of_another_kind_is_refused(tmp_path):
    SCHEMA.to_json(tmp_path / "schema.json")
    with pytest.raises(ArtifactError, match=r"kind 'mtl_seq\.codec'"):
        Codec.from_json(tmp_path / "schema.json")


IDS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 5))
WORDS = st.lists(st.text("abc", max_size=2), max_size=4)
ROWS = st.lists(st.tuples(IDS, WORDS), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(train=ROWS, later=ROWS, min_count=st.integers(1, 3))
def test_every_code_has_a_row_in_its_table(train, later, min_count):
    schema = Schema(labels=LABELS, ids=("user",), bags=("words",))

    def frame(rows):
        user = pd.array([user for user, _ in rows], dtype="Int64")
        return pd.DataFrame({"user": user, "words": pd.Series([w for _, w in rows], dtype=object)})

    codec = Codec.fit(schema, frame(train), min_count=min_count)
    for rows in (train, later):
        features = codec.encode(frame(rows), labels=False).features
        assert ((features["user"] >= 0) & (features["user"] < codec.spec.ids["user"])).all()
        bag = features["words"]
        assert ((bag >= -1) & (bag < codec.spec.bags["words"])).all()
        # Padding stands exactly where a row has no further word.
        assert (bag >= 0).sum(1).tolist() == [len(words) for _, words in rows]


@pytest.mark.parametrize("constant", [0.1, 0.3, 1 / 3, 5.7, 1e6 + 0.1])
def test_a_constant_that_rounds_is_still_constant(constant):
    """Its deviation is a rounding error, by which a later value must not be divided."""
    frame = pd.DataFrame({"x": np.full(1000, constant), "click": 0, "conversion": 0})
    schema = Schema(labels={"click": "click", "conversion": "conversion"}, dense=["x"])
    codec = Codec.fit(schema, frame)
    later = codec.encode(frame.assign(x=constant + 0.5), labels=False).features["x"]
    np.testing.assert_allclose(later.numpy(), 0.5, rtol=1e-6)


def test_weights_are_copied_out_of_the_frame():
    weight = np.ones(4, dtype=np.float32)
    frame = pd.DataFrame({"x": 1.0, "click": [0, 1, 0, 1], "conversion": 0, "w": weight})
    schema = Schema(labels={"click": "click", "conversion": "conversion"}, dense=["x"], weight="w")
    found = Codec.fit(schema, frame).encode(frame).labels.weight
    found.zero_()
    assert frame["w"].eq(1).all()
