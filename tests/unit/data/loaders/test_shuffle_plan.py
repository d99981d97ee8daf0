"""The plan of an epoch, for any row groups, batches, lanes and windows: every row once."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtl_seq.data.loaders.shuffle_plan import Plan, split_evenly

SETUP = {
    "groups": st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any),
    "batch_size": st.integers(1, 300),
    "lanes": st.integers(1, 12),
    "window": st.integers(0, 40),
    "seed": st.integers(0, 2**64),
    "epoch": st.integers(0, 2**31),
}


def plan_of(groups, batch_size, lanes, window, seed, epoch):
    rows = np.array(groups, dtype=np.int64)
    return Plan(rows, batch_size, lanes=lanes, window=window, seed=seed, epoch=epoch)


def rows_of(plan, lane, start=0):
    """Rows of a lane, in its order: group and place."""
    return [(g, row) for g, low, high in plan.stretches(lane, start) for row in range(low, high)]


@given(**SETUP)
@settings(deadline=None, max_examples=200)
def test_lanes_hold_every_row_once_and_batches_take_all_of_them(**setup):
    plan, groups = plan_of(**setup), setup["groups"]
    batch_size, lanes = setup["batch_size"], setup["lanes"]
    whole = [rows_of(plan, lane) for lane in range(lanes)]
    every = [(group, row) for group, size in enumerate(groups) for row in range(size)]
    assert sorted(sum(whole, start=[])) == every  # noqa: RUF017  # a handful of lists
    shares = np.array([[plan.share(b, lane) for lane in range(lanes)] for b in range(plan.batches)])
    assert shares.sum(0).tolist() == list(map(len, whole))
    sizes = shares.sum(1)
    assert (sizes[:-1] == batch_size).all()
    assert 0 < sizes[-1] < batch_size + lanes
    assert (shares.max(1) - shares.min(1) <= 1).all()
    for lane in range(lanes):
        ends = [plan.done(lane, b) + plan.share(b, lane) for b in range(plan.batches)]
        assert ends == np.cumsum(shares[:, lane]).tolist()


@given(**SETUP, at=st.integers(0, 400))
@example(groups=[9], batch_size=2, lanes=5, window=0, seed=0, epoch=0, at=3)
@settings(deadline=None, max_examples=200)
def test_windows_cover_a_lane_and_do_not_depend_on_where_reading_begins(at, **setup):
    plan = plan_of(**setup)
    at %= plan.batches
    for lane in range(setup["lanes"]):
        length = len(rows_of(plan, lane))
        windows = list(plan.windows(lane, 0))
        edges = [0, *(window.stop for window in windows)]
        assert [window.start for window in windows] == edges[:-1]
        assert edges[-1] == length
        assert all(window.stop > window.start for window in windows)
        later = list(plan.windows(lane, at))
        done = plan.done(lane, at)
        assert later == [window for window in windows if window.stop > done]
        if later:
            rest = rows_of(plan, lane, later[0].start)
            assert rest == rows_of(plan, lane)[later[0].start :]


def test_first_windows_differ_so_that_lanes_read_in_turns():
    plan = plan_of([10_000] * 4, 100, 4, 1000, 0, 0)
    assert [next(plan.windows(lane, 0)).stop for lane in range(4)] == [250, 500, 750, 1000]


def test_draws_of_windows_lanes_and_epochs_are_apart():
    first, second = (plan_of([100], 10, 4, 9, 0, epoch) for epoch in (0, 1))
    drawn = {
        int(rng.integers(2**62))
        for plan in (first, second)
        for rng in (plan.rng(), plan.rng(0, 1), plan.rng(1, 0), plan.rng(1))
    }
    assert len(drawn) == 8


def test_parts_differ_by_one_row_at_most():
    for rows in range(40):
        for parts in range(1, 9):
            sizes = np.diff(split_evenly(rows, parts))
            assert sizes.sum() == rows
            assert sizes.max() - sizes.min() <= 1
