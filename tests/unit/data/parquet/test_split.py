"""Two sides of a log: every row on one of them, the later ones held out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.data.logs import SCHEMA, small_log, write_files

from mtl_seq.data import Codec, Encoding, Source, StreamLoader, fit_source, split_source
from mtl_seq.errors import DataError


def frame_of(source):
    return pd.concat([piece.frame() for piece in source.pieces()])


@pytest.mark.parametrize("as_time", [False, True])
@given(
    share=st.sampled_from([0.05, 0.3, 0.9]),
    cuts=st.lists(st.integers(0, 90), max_size=3),
    group_rows=st.integers(1, 40),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=12)
def test_the_latest_moments_are_held_out_whole(
    tmp_path_factory, as_time, share, cuts, group_rows, seed
):
    frame = small_log(90)
    day = np.random.default_rng(seed).permutation(frame["day"].to_numpy())
    frame["day"] = pd.to_datetime(day, unit="D") if as_time else day
    source = Source.open(write_files(frame, tmp_path_factory.mktemp("log"), cuts, group_rows))
    if share == 0.9:  # the first moment alone is 7 rows, and may be all that is left
        assert np.sum(day == 0) == 7
    fitted, held = (frame_of(side) for side in split_source(source, share, time="day"))
    assert sorted([*fitted.index, *held.index]) == list(range(90))
    assert fitted["day"].max() < held["day"].min()
    assert len(held) >= round(share * 90)
    # No moment more than needed.
    first = (held["day"] == held["day"].min()).sum()
    assert len(held) - first < round(share * 90)


def test_without_a_time_rows_are_drawn_by_their_number(tmp_path):
    frame = small_log(4000)
    sources = [
        Source.open(write_files(frame, tmp_path / str(rows), cuts, rows))
        for cuts, rows in (((), 4000), ((100, 2000), 300))
    ]
    sides = [split_source(source, 0.25, seed=5) for source in sources]
    (fitted, held), (fitted_too, held_too) = ([frame_of(s).index for s in two] for two in sides)
    assert sorted([*fitted, *held]) == list(range(4000))
    assert list(held) == list(held_too), "files and row groups do not matter"
    assert [side.rows for side in sides[1]] == [len(fitted_too), len(held_too)]
    # 4,000 draws of .25: a standard deviation of 27.
    assert abs(len(held) - 1000) < 5 * 27
    other = frame_of(split_source(sources[0], 0.25, seed=6)[1]).index
    assert 150 < len(set(held) & set(other)) < 350


def test_a_side_is_fitted_and_streamed_like_its_rows_alone(tmp_path):
    frame = small_log(90)
    source = Source.open(write_files(frame, tmp_path, (40,), 11))
    for fitted, _ in (split_source(source, 0.3, time="day"), split_source(source, 0.3, seed=1)):
        rows = frame_of(fitted)
        found = fit_source(SCHEMA, fitted)
        expected = Codec.fit_with(Encoding(), SCHEMA, rows)
        assert found.codec.vocabularies["user"].to_dict() == expected.vocabularies["user"].to_dict()
        in_memory = expected.encode_training(rows).features["user:click"]
        stream = StreamLoader(
            fitted, found.codec, 7, seed=0, folds=found.folds, lanes=1, shuffle_buffer=0
        )
        streamed = [x for batch in stream for x in batch.features["user:click"].tolist()]
        assert streamed == in_memory.tolist()


def test_what_cannot_be_split_is_refused(tmp_path):
    frame = small_log(20).assign(same=1, text="a", gap=[np.nan] + [1.0] * 19)
    source = Source.open(write_files(frame, tmp_path, (), 7))
    with pytest.raises(DataError, match=r"must leave training rows, found none .* the same 'same'"):
        split_source(source, 0.3, time="same")
    with pytest.raises(DataError, match="time 'text' must hold numbers, dates or times"):
        split_source(source, 0.3, time="text")
    with pytest.raises(DataError, match="time 'gap' must be known in every row, found 1 of 7"):
        split_source(source, 0.3, time="gap")
    with pytest.raises(DataError, match=r"`share` must lie in \(0, 1\), found 1"):
        split_source(source, 1, time="day")
    with pytest.raises(DataError, match="one side of a split cannot be split"):
        split_source(split_source(source, 0.5)[0], 0.5)
