"""The plan of an epoch, for any row groups, batches, streams and buffers: every row once."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtl_seq.data.loaders.shuffle_plan import Plan, split_evenly

SETUP = {
    "groups": st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any),
    "batch_size": st.integers(1, 300),
    "streams": st.integers(1, 12),
    "buffer": st.integers(0, 40),
    "seed": st.integers(0, 2**64),
    "epoch": st.integers(0, 2**31),
}


def plan_of(groups, batch_size, streams, buffer, seed, epoch):
    rows = np.array(groups, dtype=np.int64)
    return Plan(rows, batch_size, streams=streams, buffer=buffer, seed=seed, epoch=epoch)


def rows_of(plan, stream, start=0):
    """Rows of a stream, in its order: group and place."""
    return [(g, row) for g, low, high in plan.row_ranges(stream, start) for row in range(low, high)]


@given(**SETUP)
@settings(deadline=None, max_examples=200)
def test_streams_hold_every_row_once_and_batches_take_all_of_them(**setup):
    plan, groups = plan_of(**setup), setup["groups"]
    batch_size, streams = setup["batch_size"], setup["streams"]
    whole = [rows_of(plan, stream) for stream in range(streams)]
    every = [(group, row) for group, size in enumerate(groups) for row in range(size)]
    assert sorted(sum(whole, start=[])) == every  # noqa: RUF017  # a handful of lists
    shares = np.array(
        [[plan.share(b, stream) for stream in range(streams)] for b in range(plan.batches)]
    )
    assert shares.sum(0).tolist() == list(map(len, whole))
    sizes = shares.sum(1)
    assert (sizes[:-1] == batch_size).all()
    assert 0 < sizes[-1] < batch_size + streams
    assert (shares.max(1) - shares.min(1) <= 1).all()
    for stream in range(streams):
        ends = [plan.done(stream, b) + plan.share(b, stream) for b in range(plan.batches)]
        assert ends == np.cumsum(shares[:, stream]).tolist()


@given(**SETUP, at=st.integers(0, 400))
@example(groups=[9], batch_size=2, streams=5, buffer=0, seed=0, epoch=0, at=3)
@settings(deadline=None, max_examples=200)
def test_buffers_cover_a_stream_and_do_not_depend_on_where_reading_begins(at, **setup):
    plan = plan_of(**setup)
    at %= plan.batches
    for stream in range(setup["streams"]):
        length = len(rows_of(plan, stream))
        buffers = list(plan.buffers(stream, 0))
        edges = [0, *(buffer.stop for buffer in buffers)]
        assert [buffer.start for buffer in buffers] == edges[:-1]
        assert edges[-1] == length
        assert all(buffer.stop > buffer.start for buffer in buffers)
        later = list(plan.buffers(stream, at))
        done = plan.done(stream, at)
        assert later == [buffer for buffer in buffers if buffer.stop > done]
        if later:
            rest = rows_of(plan, stream, later[0].start)
            assert rest == rows_of(plan, stream)[later[0].start :]


def test_first_buffers_differ_so_that_streams_read_in_turns():
    plan = plan_of([10_000] * 4, 100, 4, 1000, 0, 0)
    assert [next(plan.buffers(stream, 0)).stop for stream in range(4)] == [250, 500, 750, 1000]


def test_draws_of_buffers_streams_and_epochs_differ():
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
