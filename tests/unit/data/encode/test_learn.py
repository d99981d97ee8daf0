"""Fitting and encoding in one go equal fitting first and encoding then."""

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import Schema
from mtl_seq.data import Codec, Encoding
from mtl_seq.data.encode.vocabulary import Vocabulary
from mtl_seq.errors import DataError

RNG = np.random.default_rng(0)
NUMBERS = RNG.integers(0, 40, 300)
COLUMNS = {
    "close integers": pd.Series(NUMBERS),
    "negative integers": pd.Series(NUMBERS - 20),
    "far integers": pd.Series(NUMBERS * 10**15 - 3),
    "booleans": pd.Series(NUMBERS < 20),
    "unsigned": pd.Series(NUMBERS.astype(np.uint8)),
    "floats with gaps": pd.Series(np.where(NUMBERS < 5, np.nan, NUMBERS)),
    "nullable": pd.Series(NUMBERS).astype("Int64").mask(NUMBERS < 5),
    "strings": pd.Series([f"v{n}" for n in NUMBERS], dtype=object),
    "strings with gaps": pd.Series([None if n < 5 else f"v{n}" for n in NUMBERS], dtype=object),
    "arrow strings": pd.Series([f"v{n}" for n in NUMBERS]).astype("string"),
    "arrow strings with gaps": pd.Series([f"v{n}" for n in NUMBERS])
    .astype("string")
    .mask(NUMBERS < 5),
    "categories": pd.Series([f"v{n}" for n in NUMBERS]).astype("category"),
    "integers as objects": pd.Series([int(n) for n in NUMBERS], dtype=object),
    "mixed": pd.Series([int(n) if n % 2 else str(n) for n in NUMBERS], dtype=object),
}


def reference(values, min_count):
    """Distinct values in order, one row each from 1; 0 for rare ones, the last for missing."""
    known = values.dropna()
    whole = all(isinstance(v, (int, float, np.integer, np.floating, np.bool_)) for v in known)
    known = known.map(int if whole else str)
    counts = known.value_counts()
    rows = {key: row for row, key in enumerate(sorted(counts[counts >= min_count].index), start=1)}
    last = len(rows) + 1
    cast = int if whole else str
    return [*rows], [last if pd.isna(v) else rows.get(cast(v), 0) for v in values]


@pytest.mark.parametrize("min_count", [1, 8])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_vocabulary_encodes_what_it_is_fitted_to(name, min_count):
    values = COLUMNS[name]
    vocabulary, rows = Vocabulary.fit_encode("id", values, min_count=min_count)
    keys, expected = reference(values, min_count)
    assert vocabulary.keys.tolist() == keys
    assert rows.tolist() == expected
    assert rows.dtype == np.int64
    assert vocabulary.encode(values).tolist() == expected
    assert Vocabulary.fit("id", values, min_count=min_count).to_dict() == vocabulary.to_dict()


def log():
    click = RNG.random(300) < 0.4
    return pd.DataFrame(
        {
            "id": NUMBERS,
            "text": [f"v{n}" for n in NUMBERS],
            "tags": [list(range(n % 4)) for n in NUMBERS],
            "price": RNG.normal(size=300),
            "click": click,
            "conversion": click & (RNG.random(300) < 0.5),
        }
    )


SCHEMA = Schema(
    ids=["id", "text"],
    bags=["tags"],
    dense=["price"],
    labels={"click": "click", "conversion": "conversion"},
)


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding(),
        Encoding(target_encoding=None, buckets=4),
        Encoding(min_count=8, hashed={"text": 20, "tags": 3}),
    ],
)
def test_a_codec_encodes_what_it_is_fitted_to(encoding):
    frame = log()
    codec, batch = Codec.fit_encode(encoding, SCHEMA, frame)
    expected = Codec.fit_with(encoding, SCHEMA, frame)
    assert codec.to_dict() == expected.to_dict()
    other = expected.encode_training(frame)
    assert list(batch.features) == list(other.features)
    for name, column in batch.features.items():
        assert torch.equal(column, other.features[name]), name
    assert torch.equal(batch.labels.stages, other.labels.stages)


def test_labels_are_checked_unless_they_have_been():
    with pytest.raises(DataError, match="conversion without click"):
        Codec.fit_encode(Encoding(), SCHEMA, log().assign(conversion=1))
