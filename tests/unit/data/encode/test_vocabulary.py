"""Ids keep their identity on the way to table rows, whatever type a column has."""

import json

import numpy as np
import pandas as pd
import pytest

from mtl_seq.data.encode.vocabulary import Vocabulary
from mtl_seq.errors import DataError

BIG = 2**62


def codes(train, values, **settings):
    return Vocabulary.fit("c", train, **settings).encode(values).tolist()


def test_neighbours_near_two_to_the_62_stay_apart():
    # A float64 holds none of these three: all would collapse to 2**62.
    train = pd.Series([BIG + 1, BIG, BIG + 3], dtype="int64")
    assert codes(train, pd.Series([BIG + 3, BIG + 1, BIG, BIG + 2])) == [3, 2, 1, 0]


@pytest.mark.parametrize("dtype", ["Int64", "object"])
def test_large_ids_stay_exact_beside_a_missing_value(dtype):
    column = pd.Series([BIG + 1, None, BIG], dtype=dtype)
    assert codes(column, column) == [2, 3, 1]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([7, 3, 7]),
        pd.Series([7, 3, 7], dtype="int8"),
        pd.Series([7, 3, 7], dtype="uint64"),
        pd.Series([7, 3, 7], dtype="UInt16"),
        pd.Series([7, 3, 7], dtype="Int32"),
        pd.Series([7, 3, 7], dtype=object),
        pd.Series([np.int32(7), 3, np.int64(7)], dtype=object),
        pd.Series([7.0, 3.0, 7.0]),
        pd.Series([7.0, 3.0, 7.0], dtype="Float64"),
        pd.Series([7, 3, 7], dtype="category"),
        pd.Series(["b", "a", "b"]),
        pd.Series(["b", "a", "b"], dtype=object),
        pd.Series(["b", "a", "b"], dtype="category"),
        pd.Series([True, False, True]),
        pd.Series([True, False, True], dtype="boolean"),
        pd.Series([True, False, True], dtype=object),
    ],
    ids=lambda column: f"{column.dtype}-{column.iloc[0]!r}",
)
def test_rows_follow_the_ids_in_ascending_order(column):
    vocabulary = Vocabulary.fit("c", column)
    assert vocabulary.encode(column).tolist() == [2, 1, 2]
    assert vocabulary.encode(column).dtype == np.int64
    assert vocabulary.rows == 3


@pytest.mark.parametrize(
    "later",
    [
        pd.Series([5, 4], dtype="int32"),
        pd.Series([5, 4], dtype="uint8"),
        pd.Series([5.0, 4.0]),
        pd.Series([5, 4], dtype=object),
        pd.Series([5, 4], dtype="category"),
    ],
    ids=lambda column: str(column.dtype),
)
def test_an_integer_is_the_same_id_in_every_integer_type(later):
    assert codes(pd.Series([4, 5]), later) == [2, 1]


def test_a_mixed_column_is_read_as_strings():
    assert codes(pd.Series([1, "a"], dtype=object), pd.Series(["1", "a", "b"])) == [1, 2, 0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.5, "1.5"), (2.0**53 + 2, "9007199254740994"), (np.inf, "inf")],
    ids=["fraction", "rounded", "infinite"],
)
def test_floats_that_are_no_ids_are_refused(value, shown):
    with pytest.raises(DataError, match=rf"id column 'c' must hold integers.*{shown}"):
        Vocabulary.fit("c", pd.Series([1.0, value]))


def test_fractions_are_refused_when_encoding_too():
    vocabulary = Vocabulary.fit("c", pd.Series([1, 2]))
    with pytest.raises(DataError, match=r"'c'.*0\.25"):
        vocabulary.encode(pd.Series([1.0, 0.25]))


def test_unsigned_ids_past_int64_are_refused():
    with pytest.raises(DataError, match=rf"'c' must fit int64, found {2**63}"):
        Vocabulary.fit("c", pd.Series([1, 2**63], dtype="uint64"))


def test_an_id_never_seen_has_row_0():
    assert codes(pd.Series(["a", "b"]), pd.Series(["c", "a", "B"])) == [0, 1, 0]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_value_has_the_last_row_where_training_held_one(missing):
    train = pd.Series(["a", missing, "b"], dtype=object)
    vocabulary = Vocabulary.fit("c", train)
    assert vocabulary.rows == 4
    assert vocabulary.encode(pd.Series([missing, "z", "b"], dtype=object)).tolist() == [3, 0, 2]


def test_a_missing_value_is_unseen_where_training_held_none():
    vocabulary = Vocabulary.fit("c", pd.Series([4, 5]))
    assert vocabulary.rows == 3
    assert vocabulary.encode(pd.Series([5.0, np.nan])).tolist() == [2, 0]


def test_ids_seen_less_often_than_min_count_share_row_0():
    train = pd.Series(["a", "b", "b", "c", "c", "c"])
    values = pd.Series(["a", "b", "c"])
    assert codes(train, values, min_count=2) == [0, 1, 2]
    assert codes(train, values, min_count=3) == [0, 0, 1]
    assert codes(train, values, min_count=4) == [0, 0, 0]


@pytest.mark.parametrize(
    ("train", "values"),
    [
        (pd.Series([BIG + 1, BIG, None], dtype="Int64"), pd.Series([BIG, None, 1], dtype="Int64")),
        (pd.Series(["ü", "1", None]), pd.Series([None, "1", "ü", "2"])),
        (pd.Series([True, False]), pd.Series([False, True])),
        (pd.Series([], dtype="int64"), pd.Series([1, 2])),
    ],
    ids=["integers", "strings", "bools", "none"],
)
def test_json_gives_the_same_rows_back(train, values):
    vocabulary = Vocabulary.fit("c", train)
    again = Vocabulary.from_dict("c", json.loads(json.dumps(vocabulary.to_dict())))
    assert again.rows == vocabulary.rows
    assert again.to_dict() == vocabulary.to_dict()
    assert again.encode(values).tolist() == vocabulary.encode(values).tolist()


@pytest.mark.parametrize(
    ("train", "values", "message"),
    [
        (pd.Series([1, 2]), pd.Series(["1", "2"]), "held integers .* found strings"),
        (pd.Series(["1", "2"]), pd.Series([1, 2]), "held strings .* found integers"),
        (pd.Series(["1", "2"]), pd.Series([1.0, 2.0]), "held strings .* found integers"),
    ],
)
def test_a_change_between_integers_and_strings_is_an_error(train, values, message):
    # "1" and 1 would else all be taken for unseen ids, and the model would quietly say little.
    with pytest.raises(DataError, match=f"column 'c' {message}"):
        codes(train, values)


def test_a_column_of_missing_values_alone_fits_any_type():
    for train in (pd.Series([1, 2]), pd.Series(["1", "2"])):
        assert codes(train, pd.Series([None, None], dtype=object)) == [0, 0]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([16777217.0], dtype=np.float32),
        pd.Series([float(2**53)]),
        pd.Series([2**70, 1], dtype=object),
    ],
    ids=["float32", "float64", "past int64"],
)
def test_ids_that_may_have_lost_digits_are_refused(values):
    with pytest.raises(DataError, match="id column 'user'"):
        Vocabulary.fit("user", values)


@pytest.mark.parametrize("low", [-(2**63), -20, 0, 2**53, 2**63 - 40])
@pytest.mark.parametrize("step", [1, 10**6])
def test_close_keys_and_keys_far_apart_are_found_alike(low, step):
    """Close keys lie in a table; what is outside it, as far as int64 goes, is unseen."""
    rng = np.random.default_rng(0)
    keys = np.sort(np.array([low + int(one) for one in rng.choice(40, 20, replace=False)]))
    if step > 1:
        keys = np.concatenate((keys[:1], [0 if low else 7 * step]))
    asked = [low + one for one in range(40)] + [-(2**63), 2**63 - 1, 0, 1, -1]
    place = {int(key): row for row, key in enumerate(keys, start=1)}
    found = Vocabulary("id", keys, missing=False).encode(pd.Series(asked))
    assert found.tolist() == [place.get(one, 0) for one in asked]
