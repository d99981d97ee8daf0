"""The hold-out rule: the same rows from a frame, a file or a stream; the latest, or drawn ones."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.data.logs import SCHEMA, small_log, write_files

from mtl_seq import Schema
from mtl_seq.data import Codec, Encoding, Source, StreamLoader, fit_source, split_source
from mtl_seq.data.parquet import split
from mtl_seq.data.parquet.quantile_sketch import Sketch
from mtl_seq.data.parquet.split import split_frame
from mtl_seq.errors import DataError

RANDOM = Schema(labels={"click": "click", "conversion": "conversion"}, ids=("user",))
TIMED = Schema(labels={"click": "click", "conversion": "conversion"}, ids=("user",), time="at")


def log(rows=1000, seed=0):
    rng = np.random.default_rng(seed)
    click = (rng.random(rows) < 0.4).astype(int)
    return pd.DataFrame({"user": 1, "click": click, "conversion": 0, "at": rng.permutation(rows)})


def partition(parts, rows):
    fitted, held = parts
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(rows))
    assert (np.diff(fitted) > 0).all()
    assert (np.diff(held) > 0).all()
    return fitted, held


def frame_of(source):
    return pd.concat([chunk.frame() for chunk in source.chunks()])


def numbers_of(source):
    return np.concatenate([chunk.numbers for chunk in source.chunks()])


@pytest.mark.parametrize("kind", ["none", "days", "seconds", "dates", "fractions"])
@given(
    share=st.sampled_from([0.05, 0.3, 0.8]),
    cuts=st.lists(st.integers(0, 90), max_size=3),
    group_rows=st.integers(1, 40),
    seed=st.integers(0, 99),
    spread=st.sampled_from([4, 60, 1000]),
    points=st.sampled_from([30, 1000]),
)
@settings(deadline=None, max_examples=25)
def test_a_frame_a_file_and_a_stream_hold_out_the_same_rows(
    tmp_path_factory, kind, share, cuts, group_rows, seed, spread, points
):
    frame = log(120).assign(click=1)
    at = np.random.default_rng(seed).integers(spread, size=120)
    if kind == "fractions":
        frame["at"] = at / 7 - 3
    elif kind == "dates":
        frame["at"] = pd.to_datetime(at, unit="D").date
    else:
        frame["at"] = at if kind in ("none", "days") else pd.to_datetime(at, unit="s")
    schema = RANDOM if kind == "none" else TIMED
    fitted, held = partition(split_frame(schema, frame, share, seed), 120)
    folder = tmp_path_factory.mktemp("log")
    for name, ends, rows in (("file", (), 200), ("files", cuts, group_rows)):
        source = Source.open(write_files(frame, folder / name, ends, rows))
        with pytest.MonkeyPatch.context() as patch:
            # Sketches of so few points that the cut must be narrowed down.
            patch.setattr(split, "Sketch", partial(Sketch, points))
            sides = split_source(source, share, time=schema.time, seed=seed)
        assert [numbers_of(side).tolist() for side in sides] == [fitted.tolist(), held.tolist()]
        assert [side.rows for side in sides] == [len(fitted), len(held)]


@given(
    share=st.floats(0.05, 0.9),
    seed=st.integers(0, 2**31),
    rows=st.integers(400, 1000),
    more=st.integers(1, 1000),
)
@settings(deadline=None, max_examples=30)
def test_a_row_keeps_its_side_when_the_log_grows_or_more_is_held_out(share, seed, rows, more):
    grown = log(rows + more).assign(click=1)
    fitted, held = split_frame(RANDOM, grown.iloc[:rows], share, seed)
    fitted_later, held_later = split_frame(RANDOM, grown, share, seed)
    assert held_later[held_later < rows].tolist() == held.tolist()
    assert fitted_later[fitted_later < rows].tolist() == fitted.tolist()
    wider = split_frame(RANDOM, grown, share + 0.05, seed)[1]
    assert set(held_later) <= set(wider)


@given(share=st.floats(0.05, 0.9), seed=st.integers(0, 99), spread=st.sampled_from([3, 20, 10**6]))
@settings(deadline=None, max_examples=30)
def test_with_a_time_only_rows_at_the_cut_are_on_both_sides(share, seed, spread):
    frame = log(500).assign(click=1)
    frame["at"] = np.random.default_rng(seed).integers(spread, size=500)
    fitted, held = partition(split_frame(TIMED, frame, share, seed), 500)
    cut = np.sort(frame["at"])[-round(share * 500)]
    assert frame["at"].iloc[held].min() >= cut >= frame["at"].iloc[fitted].max()
    tied, later = (frame["at"] == cut).sum(), (frame["at"] > cut).sum()
    drawn = (round(share * 500) - later) / tied
    # Binomial.
    assert abs(len(held) - round(share * 500)) <= 5 * np.sqrt(tied * drawn * (1 - drawn))


@pytest.mark.parametrize("late_clicks", [True, False])
def test_rows_at_the_cut_are_drawn_whatever_their_order(late_clicks):
    """A log sorted by its label within the last day is not split into clicks and non-clicks."""
    rows, tied, share = 20_000, 8_000, 0.1
    click = np.sort(np.arange(tied) % 4 == 0).astype(int)
    click = click if late_clicks else click[::-1]
    frame = pd.DataFrame({"user": 1, "conversion": 0, "at": np.arange(rows)})
    frame["click"] = np.concatenate([np.arange(rows - tied) % 3 == 0, click]).astype(int)
    frame.loc[rows - tied :, "at"] = rows
    for seed in range(5):
        _, held = split_frame(TIMED, frame, share, seed)
        assert held.min() >= rows - tied
        # 2,000 of the 8,000 tied rows, a quarter of which are clicks.
        sigma = np.sqrt(0.25 * 0.75 / len(held) * (1 - len(held) / tied))
        assert abs(frame["click"].iloc[held].mean() - 0.25) < 4 * sigma
        assert abs(len(held) - share * rows) < 4 * np.sqrt(tied * 0.25 * 0.75)


def test_the_cut_of_many_different_times_is_exact(tmp_path):
    """More different times than a sketch keeps, in no order."""
    rows = 700_000
    at = np.random.default_rng(3).permutation(rows)
    frame = pd.DataFrame({"user": 1, "click": 1, "conversion": 0, "at": at})
    source = Source.open(write_files(frame, tmp_path, (250_000,), 100_000))
    _, held = split_source(source, 0.13, time="at")
    assert numbers_of(held).tolist() == np.flatnonzero(at >= rows - round(0.13 * rows)).tolist()


@pytest.mark.parametrize(
    "times",
    [
        lambda at: at,
        lambda at: pd.Timestamp("2024-01-01") + pd.to_timedelta(at, unit="h"),
        lambda at: pd.Timestamp("2024-01-01", tz="Asia/Tokyo") + pd.to_timedelta(at, unit="h"),
        lambda at: at / 7 - 3,
    ],
    ids=["integers", "timestamps", "zoned", "floats"],
)
@pytest.mark.parametrize("share", [0.05, 0.25, 0.9])
def test_with_a_time_the_latest_rows_are_held_out(times, share):
    frame = log()
    frame["at"] = times(frame["at"])
    fitted, held = partition(split_frame(TIMED, frame, share, 0), 1000)
    assert len(held) == round(share * 1000)
    assert frame["at"].iloc[held].min() > frame["at"].iloc[fitted].max()


def test_positions_do_not_depend_on_the_index():
    frame = log()
    odd = frame.set_axis(np.zeros(len(frame)), axis=0)
    for schema in (RANDOM, TIMED):
        for one, other in zip(
            split_frame(schema, frame, 0.2, 3), split_frame(schema, odd, 0.2, 3), strict=True
        ):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.9])
def test_without_a_time_the_parts_are_disjoint_and_of_the_share_asked_for(share):
    _, held = partition(split_frame(RANDOM, log(), share, 0), 1000)
    assert abs(len(held) - share * 1000) < 4 * np.sqrt(1000 * share * (1 - share))


def test_without_a_time_the_held_out_rows_are_spread_evenly():
    _, held = split_frame(RANDOM, log(20_000), 0.5, 0)
    first_half = (held < 10_000).sum()
    # Binomial: each of 10,000 rows with probability one half.
    assert abs(first_half - 5000) <= 5 * np.sqrt(10_000 / 4)


def test_the_seed_decides_the_draw_and_only_where_there_is_no_time():
    frame = log()
    held = {seed: split_frame(RANDOM, frame, 0.2, seed)[1].tolist() for seed in (0, 1)}
    assert held[0] == split_frame(RANDOM, frame, 0.2, 0)[1].tolist()
    assert held[0] != held[1]
    # Two independent draws of a fifth: 40 rows of 1,000 in common.
    assert abs(len(set(held[0]) & set(held[1])) - 40) < 5 * np.sqrt(1000 * 0.04 * 0.96)
    first, second = (split_frame(TIMED, frame, 0.2, seed)[1].tolist() for seed in (0, 1))
    assert first == second


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_an_error(share):
    with pytest.raises(DataError, match=r"`validation` must lie in \(0, 1\)"):
        split_frame(RANDOM, log(), share, 0)


@pytest.mark.parametrize(("share", "name"), [(0.001, "validation"), (0.999, "training")])
def test_a_share_that_leaves_a_part_without_rows_is_an_error(share, name):
    frame = log(100).assign(click=1)
    for schema in (RANDOM, TIMED):
        with pytest.raises(DataError, match=f"the {name} rows .* found none in 0 of 100 rows"):
            split_frame(schema, frame, share, 0)


@pytest.mark.parametrize(
    ("clicked", "name", "rows"),
    [(range(90), "validation", 10), (range(90, 100), "training", 90)],
    ids=["early clicks", "late clicks"],
)
def test_a_part_without_clicks_is_an_error(clicked, name, rows):
    frame = log(100).assign(at=range(100), click=np.isin(range(100), clicked).astype(int))
    with pytest.raises(DataError, match=f"the {name} rows .* found none in {rows} of 100 rows"):
        split_frame(TIMED, frame, 0.1, 0)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            ["03.02.2022", "01.03.2022"],
            "'at' must hold numbers, dates or times, found type",
        ),
        ([1.0, "2022-03-01"], "'at' must hold numbers, dates or times of one type"),
        ([1.0, np.nan], r"'at' is missing in \d+ rows"),
    ],
)
def test_a_time_that_does_not_sort_by_time_is_refused(times, message):
    rows = {"user": range(100), "click": [0, 1] * 50, "conversion": 0, "at": times * 50}
    with pytest.raises(DataError, match=message):
        split_frame(TIMED, pd.DataFrame(rows), 0.2, 0)


def test_files_and_row_groups_do_not_matter_to_the_draw(tmp_path):
    frame = small_log(4000)
    sources = [
        Source.open(write_files(frame, tmp_path / str(rows), cuts, rows))
        for cuts, rows in (((), 4000), ((100, 2000), 300))
    ]
    sides = [split_source(source, 0.25, seed=5) for source in sources]
    (fitted, held), (fitted_too, held_too) = ([frame_of(s).index for s in two] for two in sides)
    assert sorted([*fitted, *held]) == list(range(4000))
    assert list(held) == list(held_too)
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
            fitted, found.codec, 7, seed=0, folds=found.folds, streams=1, shuffle_buffer=0
        )
        streamed = [x for batch in stream for x in batch.features["user:click"].tolist()]
        assert streamed == in_memory.tolist()


def test_what_cannot_be_split_is_refused(tmp_path):
    frame = small_log(20).assign(text="a", gap=[np.nan] + [1.0] * 19)
    source = Source.open(write_files(frame, tmp_path, (), 7))
    with pytest.raises(DataError, match="must leave training rows, found none among 20"):
        split_source(source, 0.99, time="day")
    with pytest.raises(DataError, match="must leave held-out rows, found none among 20"):
        split_source(source, 0.01, time="day")
    with pytest.raises(DataError, match="time 'text' must hold numbers, dates or times"):
        split_source(source, 0.3, time="text")
    with pytest.raises(DataError, match="time 'gap' must be known in every row, found 1 of 7"):
        split_source(source, 0.3, time="gap")
    with pytest.raises(DataError, match=r"`share` must lie in \(0, 1\), found 1"):
        split_source(source, 1, time="day")
    with pytest.raises(DataError, match="one side of a split cannot be split"):
        split_source(split_source(source, 0.5)[0], 0.5)
