"""A codec from a stream is the codec of the same rows in memory."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq
from unit.data.logs import SCHEMA, small_log, write_files

from mtl_seq import Schema
from mtl_seq.data import Codec, Encoding, Source, StreamLoader, fit_source, read_frame
from mtl_seq.errors import DataError

LABELS = {"click": "click", "conversion": "conversion"}
IDS = Schema(labels=LABELS, ids=["id"])


def same_codec(found, expected):
    """Equal, up to the rounding of means and deviations."""
    left, right = found.to_dict(), expected.to_dict()
    for part, close in (("scales", 1e-12), ("edges", 1e-12)):
        assert left[part].keys() == right[part].keys()
        for column, values in left.pop(part).items():
            np.testing.assert_allclose(values, right[part][column], rtol=close, atol=1e-12)
        right.pop(part)
    for content in (left, right):  # of no keys at all, the kind is open
        for vocabulary in content["vocabularies"].values():
            if not vocabulary.get("keys", True):
                vocabulary.pop("kind")
    assert left == right


def written(values, type_, *, group_rows=3):
    """A log of one id column, and its folder."""
    folder = Path(tempfile.mkdtemp())
    rows = len(values)
    click = np.arange(rows) % 2
    columns = {"id": pa.array(values, type_), "click": click, "conversion": click * 0}
    pq.write_table(pa.table(columns), folder / "log.parquet", row_group_size=group_rows)
    return folder


@given(
    rows=st.integers(1, 60),
    cuts=st.lists(st.integers(0, 60), max_size=3),
    group_rows=st.integers(1, 20),
    min_count=st.integers(1, 4),
    buckets=st.sampled_from([0, 3]),
    smoothing=st.sampled_from([None, 5.0]),
    hashed=st.sampled_from([{}, {"user": 3, "tags": 7}]),
)
@settings(deadline=None, max_examples=25)
def test_a_stream_gives_the_codec_of_the_frame(
    rows, cuts, group_rows, min_count, buckets, smoothing, hashed
):
    frame = small_log(rows)
    encoding = Encoding(
        min_count=min_count, buckets=buckets, target_encoding=smoothing, hashed=hashed
    )
    source = Source.open(write_files(frame, Path(tempfile.mkdtemp()), cuts, group_rows))
    found = fit_source(SCHEMA, source, encoding)
    expected = Codec.fit_with(encoding, SCHEMA, frame)
    same_codec(found.codec, expected)
    assert found.codec.spec == expected.spec
    patterns = frame[["click", "conversion"]].value_counts()
    counts = dict(zip(map(tuple, found.stages.tolist()), found.counts.tolist(), strict=True))
    assert counts == patterns.to_dict()
    pd.testing.assert_frame_equal(
        found.sample.reset_index(drop=True), frame[found.sample.columns], check_dtype=False
    )


def test_training_rows_are_encoded_from_other_folds_wherever_they_stand(tmp_path):
    frame = small_log(200)
    source = Source.open(write_files(frame, tmp_path, (30, 110), 17))
    fitted = fit_source(SCHEMA, source)
    expected = fitted.codec.encode_training(frame).features
    loader = StreamLoader(
        source, fitted.codec, 16, seed=3, folds=fitted.folds, streams=3, shuffle_buffer=40
    )
    scale = fitted.codec.scales["number"]
    seen = 0
    for batch in loader:
        number = batch.features["number"].double() * scale.deviation + scale.mean
        rows = number.round().long()
        seen += len(rows)
        for name, column in batch.features.items():
            if column.dim() == 1:
                assert (column == expected[name][rows]).all(), name
    assert seen == 200
    # What a row's own label would have added is not there.
    assert (fitted.codec.encode(frame).features["user:click"] != expected["user:click"]).any()


IDS_OF = {
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "int16": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "uint64": (pa.uint64(), st.integers(0, 2**63 - 1)),
    "text": (pa.string(), st.text(max_size=6)),
    "float": (pa.float64(), st.integers(-(2**53) + 1, 2**53 - 1).map(float)),
    "bool": (pa.bool_(), st.booleans()),
    "categorical": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["a", "ß", "名"])),
}


@pytest.mark.parametrize("kind", IDS_OF)
@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_ids_of_every_kind_keep_their_identity(kind, data):
    """To 2^63 - 1, negative, texts in any script, missing: the codec and its round trip."""
    type_, values = IDS_OF[kind]
    drawn = data.draw(st.lists(st.one_of(st.none(), values), min_size=1, max_size=12))
    folder = written(drawn, type_)
    codec = fit_source(IDS, Source.open(folder)).codec
    frame = read_frame(folder)
    known = [value for value in dict.fromkeys(drawn) if value is not None]
    same_codec(codec, Codec.fit_with(Encoding(), IDS, frame))
    read = Codec.from_dict(json.loads(json.dumps(codec.to_dict())))
    rows = read.encode(frame).features["id"].tolist()
    # One row for each value, none of them 0, and one of its own for what is missing.
    assert len(set(zip(drawn, rows, strict=True))) == len(set(rows)) == len(set(drawn))
    assert 0 not in rows
    assert read.spec.ids["id"] == 1 + len(known) + (None in drawn)


@pytest.mark.parametrize(("seen", "later"), [([1, 2], [3, None]), (["a", "b"], ["c", None])])
def test_categories_that_come_later_are_unseen(seen, later):
    type_ = pa.int64() if seen[0] == 1 else pa.string()
    codec = fit_source(IDS, Source.open(written(seen, type_))).codec
    stream = StreamLoader(Source.open(written([*later, seen[0]], type_)), codec, 9, seed=0)
    assert sorted(next(iter(stream)).features["id"].tolist()) == [0, 0, 1]


def test_ids_past_int64_are_refused():
    with pytest.raises(
        DataError, match=r"log.parquet: id column 'id' must fit int64, found 9223372036854775808"
    ):
        fit_source(IDS, Source.open(written([2**63], pa.uint64())))


def test_hashed_ids_need_no_list_and_stay_where_they_are():
    """The rows of some values, so that another version that hashes otherwise is noticed."""
    schema = Schema(labels=LABELS, ids=["id"])
    encoding = Encoding(hashed={"id": 1000}, target_encoding=None)
    codec = fit_source(schema, Source.open(written(["red shoes", None], pa.string())), encoding)
    frame = pd.DataFrame({"id": ["red shoes", "never seen", None]})
    read = Codec.from_dict(json.loads(json.dumps(codec.codec.to_dict())))
    assert read.encode(frame, labels=False).features["id"].tolist() == [840, 109, 1001]
    numbers = pd.DataFrame({"id": [7, -(2**63), 2**63 - 1]})
    assert read.encode(numbers, labels=False).features["id"].tolist() == [605, 51, 534]
    assert read.spec.ids["id"] == 1002
    with pytest.raises(DataError, match=r"`hashed` must name .* found \['other'\]"):
        Codec.fit(schema, frame.assign(click=0, conversion=0), hashed={"other": 5})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"click": [0, 2, 1]},
            "label 'click' .* neither 0 nor 1",
        ),
        (
            {"click": [0, 0, 1], "conversion": [0, 1, 1]},
            "conversion without click",
        ),
        ({"number": [0, np.inf, 0]}, "dense column 'number' is infinite"),
    ],
)
def test_bad_rows_are_named_by_file_and_number(tmp_path, values, said):
    frame = small_log(6)
    for column, found in values.items():
        frame[column] = [*frame[column][:3], *found]
    source = Source.open(write_files(frame, tmp_path, (3,), 2))
    with pytest.raises(DataError, match=rf"part-001.parquet: {said} in 1 row \(first: 4"):
        fit_source(SCHEMA, source)
