"""Held-out rows are the latest ones, or random ones that a seed fixes."""

import numpy as np
import pandas as pd
import pytest

from mtl_seq import Schema
from mtl_seq.errors import DataError
from mtl_seq.fit.prepare.split import split_rows

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


@pytest.mark.parametrize(
    "times",
    [
        lambda at: at,
        lambda at: pd.Timestamp("2024-01-01") + pd.to_timedelta(at, unit="h"),
        lambda at: at / 7 - 3,
    ],
    ids=["integers", "timestamps", "floats"],
)
@pytest.mark.parametrize("share", [0.05, 0.25, 0.9])
def test_with_a_time_the_latest_rows_are_held_out(times, share):
    frame = log()
    frame["at"] = times(frame["at"])
    fitted, held = partition(split_rows(TIMED, frame, share, 0), 1000)
    assert len(held) == round(share * 1000)
    assert frame["at"].iloc[held].min() > frame["at"].iloc[fitted].max()


def test_of_rows_at_one_time_those_further_down_are_held_out():
    frame = log(100).assign(at=[1] * 60 + [0] * 40, click=1)
    _, held = partition(split_rows(TIMED, frame, 0.1, 0), 100)
    assert held.tolist() == list(range(50, 60))


def test_positions_do_not_depend_on_the_index():
    frame = log()
    odd = frame.set_axis(np.zeros(len(frame)), axis=0)
    for schema in (RANDOM, TIMED):
        for one, other in zip(
            split_rows(schema, frame, 0.2, 3), split_rows(schema, odd, 0.2, 3), strict=True
        ):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.9])
def test_without_a_time_the_parts_are_disjoint_and_of_the_share_asked_for(share):
    _, held = partition(split_rows(RANDOM, log(), share, 0), 1000)
    assert len(held) == round(share * 1000)


def test_without_a_time_the_held_out_rows_are_spread_evenly():
    _, held = split_rows(RANDOM, log(20_000), 0.5, 0)
    first_half = (held < 10_000).sum()
    # Hypergeometric: 10,000 drawn of 20,000, half of which lie in the first half.
    assert abs(first_half - 5000) <= 5 * np.sqrt(10_000 / 4 / 2)


def test_the_seed_decides_the_draw_and_only_where_there_is_no_time():
    frame = log()
    held = {seed: split_rows(RANDOM, frame, 0.2, seed)[1].tolist() for seed in (0, 1)}
    assert held[0] == split_rows(RANDOM, frame, 0.2, 0)[1].tolist()
    assert held[0] != held[1]
    assert (
        split_rows(TIMED, frame, 0.2, 0)[1].tolist() == split_rows(TIMED, frame, 0.2, 1)[1].tolist()
    )


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_an_error(share):
    with pytest.raises(DataError, match=r"`validation` must lie in \(0, 1\)"):
        split_rows(RANDOM, log(), share, 0)


@pytest.mark.parametrize(("share", "name"), [(0.001, "validation"), (0.999, "training")])
def test_a_share_that_leaves_a_part_without_rows_is_an_error(share, name):
    with pytest.raises(DataError, match=f"the {name} rows .* found none in 0 of 100 rows"):
        split_rows(RANDOM, log(100).assign(click=1), share, 0)


@pytest.mark.parametrize(
    ("clicked", "name", "rows"),
    [(range(90), "validation", 10), (range(90, 100), "training", 90)],
    ids=["early clicks", "late clicks"],
)
def test_a_part_without_clicks_is_an_error(clicked, name, rows):
    frame = log(100).assign(at=range(100), click=np.isin(range(100), clicked).astype(int))
    with pytest.raises(DataError, match=f"the {name} rows .* found none in {rows} of 100 rows"):
        split_rows(TIMED, frame, 0.1, 0)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (["03.02.2022", "01.03.2022"], "'at' must hold numbers or datetimes, found '03.02.2022'"),
        ([1.0, np.nan], r"'at' is missing in \d+ rows"),
    ],
)
def test_a_time_that_does_not_sort_by_time_is_refused(times, said):
    schema = Schema(labels={"click": "click"}, ids=["user"], time="at")
    rows = {"user": range(100), "click": [0, 1] * 50, "at": times * 50}
    with pytest.raises(DataError, match=said):
        split_rows(schema, pd.DataFrame(rows), 0.2, 0)
