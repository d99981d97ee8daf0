"""Every row once an epoch, whatever the files, the row groups, the processes and the batches."""

import tempfile
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.data.logs import SCHEMA, small_log, write_files

from mtl_seq.data import BatchLoader, Codec, Source, StreamLoader
from mtl_seq.errors import DataError

flat = chain.from_iterable

LAYOUTS = [((), 1000), ((10,), 7), ((0, 0, 40, 41), 13), ((5, 50, 90), 1), ((30, 60), 60)]
ROWS = 101


@lru_cache
def source_of(layout, rows=ROWS):
    cuts, group_rows = LAYOUTS[layout]
    folder = Path(tempfile.mkdtemp())
    return Source.open(write_files(small_log(rows), folder, cuts, group_rows))


@lru_cache
def codec_of(rows=ROWS):
    return Codec.fit(SCHEMA, small_log(rows))


def loader(layout=0, *, rows=ROWS, **setup):
    return StreamLoader(source_of(layout, rows), codec_of(rows), **{"seed": 0, **setup})


def numbers(batch, rows=ROWS):
    """The rows of a batch, from the dense column."""
    scale = codec_of(rows).scales["number"]
    found = batch.features["number"].double().numpy() * scale.deviation + scale.mean
    return np.rint(found).astype(int).tolist()


def same(left, right):
    """Equal to the bit; bags up to their padding."""
    for name, column in left.features.items():
        other = right.features[name]
        if column.dim() > 1:
            assert [[x for x in row if x >= 0] for row in column.tolist()] == [
                [x for x in row if x >= 0] for row in other.tolist()
            ]
        else:
            assert column.dtype == other.dtype
            assert torch.equal(column, other), name
    assert torch.equal(left.labels.stages, right.labels.stages)


SETUPS = {
    "layout": st.integers(0, len(LAYOUTS) - 1),
    "batch_size": st.integers(1, 120),
    "shuffle_buffer": st.sampled_from([0, 1, 8, 60, 10_000]),
    "streams": st.integers(1, 9),
    "seed": st.integers(0, 2**40),
}


@given(**SETUPS, world_size=st.integers(1, 5))
# More streams than a batch has rows, so that a stream may have none.
@example(layout=0, batch_size=2, shuffle_buffer=0, streams=3, seed=0, world_size=2)
@settings(deadline=None, max_examples=10)
def test_every_row_is_in_one_batch_of_an_epoch_and_processes_have_slices_of_the_same_batches(
    layout, batch_size, shuffle_buffer, streams, seed, world_size
):
    world_size = min(world_size, streams, batch_size)
    setup = {"shuffle_buffer": shuffle_buffer, "streams": streams, "seed": seed}
    alone = loader(layout, batch_size=batch_size, **setup)
    whole = list(alone)
    assert len(whole) == len(alone)
    seen = [numbers(batch) for batch in whole]
    assert sorted(flat(seen)) == list(range(ROWS))
    assert all(len(rows) == batch_size for rows in seen[:-1])
    assert len(seen[-1]) < batch_size + streams
    ranks = [
        loader(layout, batch_size=batch_size, rank=rank, world_size=world_size, **setup)
        for rank in range(world_size)
    ]
    slices = [[numbers(batch) for batch in one] for one in ranks]
    assert {len(one) for one in slices} == {len(one) for one in ranks} == {len(whole)}
    assert all(rows for one in slices for rows in one), "a process without rows would have no mean"
    assert [[*flat(parts)] for parts in zip(*slices, strict=True)] == seen


@given(**SETUPS, stop=st.integers(0, 200), world_size=st.integers(1, 2))
@settings(deadline=None, max_examples=10)
def test_a_pass_goes_on_from_any_batch_with_exactly_the_rest(
    layout, batch_size, shuffle_buffer, streams, seed, stop, world_size
):
    if min(streams, batch_size) < world_size:
        world_size = 1
    setup = {"shuffle_buffer": shuffle_buffer, "streams": streams, "seed": seed, "id_dropout": 0.3}
    setup |= {"rank": world_size - 1, "world_size": world_size, "batch_size": batch_size}
    unbroken = loader(layout, **setup)
    expected = [*unbroken, *unbroken]
    stop %= len(unbroken) + 1
    stopped = loader(layout, **setup)
    passing = iter(stopped)
    given_out = [next(passing) for _ in range(stop)]
    state = stopped.state_dict()
    assert state["batch"] == stop
    passing.close()
    resumed = loader(layout, **setup)
    resumed.load_state_dict(state)
    rest = [*given_out, *resumed]
    if stop < len(unbroken):
        rest += resumed
    assert len(rest) == len(expected)
    for found, wanted in zip(rest, expected, strict=True):
        same(found, wanted)


def test_the_same_seed_gives_the_same_order_and_another_epoch_or_seed_another():
    def order(**setup):
        return [*flat(numbers(batch) for batch in loader(1, batch_size=9, **setup))]

    assert order() == order()
    assert order() != order(epoch=1)
    assert order() != order(seed=1)
    twice = loader(1, batch_size=9)
    first, second = ([numbers(batch) for batch in twice] for _ in range(2))
    assert [*flat(first)] == order()
    assert [*flat(second)] == order(epoch=1)
    twice.set_epoch(0)
    assert [numbers(batch) for batch in twice] == first


def test_rows_come_in_the_order_of_the_log_with_one_stream_and_no_buffer():
    for layout in range(len(LAYOUTS)):
        found = loader(layout, batch_size=8, streams=1, shuffle_buffer=0)
        assert [*flat(numbers(batch) for batch in found)] == list(range(ROWS))


def test_rows_are_shuffled_as_widely_as_the_buffer_allows():
    """In one row group, rows within a batch are as far apart as the buffer."""
    setup = {"rows": 4000, "batch_size": 100, "streams": 1}
    codec_of(4000)
    wide = [numbers(b, 4000) for b in loader(0, shuffle_buffer=4000, **setup)]
    near = [numbers(b, 4000) for b in loader(0, shuffle_buffer=200, **setup)]
    assert all(max(rows) - min(rows) < 200 for rows in near)
    assert np.mean([max(rows) - min(rows) for rows in wide]) > 3500


def test_a_frame_and_a_stream_give_the_same_content():
    frame = small_log(ROWS)
    memory = BatchLoader(codec_of().encode(frame), 8)
    stream = loader(2, batch_size=8, streams=1, shuffle_buffer=0)
    for left, right in zip(memory, stream, strict=False):
        same(left, right)


def test_ids_are_dropped_at_the_given_rate_and_bags_are_not():
    setup = {"rows": 4000, "batch_size": 500}
    kept = loader(0, **setup)
    dropped = loader(0, id_dropout=0.25, **setup)
    zeros = 0
    for left, right in zip(kept, dropped, strict=True):
        assert torch.equal(left.features["number"], right.features["number"])
        assert torch.equal(left.features["tags"], right.features["tags"])
        for name in ("user", "item"):
            gone = right.features[name] == 0
            assert torch.equal(left.features[name][~gone], right.features[name][~gone])
            zeros += int(gone.sum())
    # 8,000 draws of .25: a standard deviation of 39.
    assert abs(zeros - 2000) < 5 * 39


@pytest.mark.parametrize(
    ("setup", "said"),
    [
        ({"batch_size": 0}, "`batch_size`"),
        ({"id_dropout": 1.0}, "`id_dropout` must lie in"),
        ({"shuffle_buffer": -1}, "`shuffle_buffer` must be at least 0, found -1"),
        ({"streams": 0}, "`streams` must be at least 1"),
        ({"rank": 2, "world_size": 2}, r"`rank` must lie in 0\.\.1, found 2"),
        ({"world_size": 9}, "as many as there are processes, 9"),
        ({"seed": -1}, "`seed` must be at least 0, found -1"),
    ],
)
def test_settings_outside_their_range_are_refused(setup, said):
    with pytest.raises(DataError, match=said):
        loader(**{"batch_size": 10, **setup})


def test_a_state_of_other_rows_or_settings_is_refused():
    state = loader(1, batch_size=9).state_dict()
    with pytest.raises(DataError, match="`batch_size` 9, found 10"):
        loader(1, batch_size=10).load_state_dict(state)
    with pytest.raises(DataError, match="`source`"):
        loader(2, batch_size=9).load_state_dict(state)


@pytest.mark.parametrize("column", ["user", "item"])
def test_users_have_one_code_in_all_rows(column):
    """In memory they are numbered as they are met, which no chunk of a stream could know."""
    schema = replace(SCHEMA, group=column)
    codec = Codec.fit(schema, small_log(ROWS))
    stream = StreamLoader(source_of(3), codec, 7, seed=0)
    codes = {}
    for batch in stream:
        for user, code in zip(
            batch.features[column].tolist(), batch.labels.group.tolist(), strict=True
        ):
            assert codes.setdefault(user, code) == code
    assert len(set(codes.values())) == len(codes) == small_log(ROWS)[column].nunique()


def test_processes_share_no_more_row_groups_than_there_are_cuts_between_them(monkeypatch):
    """Each process reads its own row groups: no group is read by all of them."""
    read = []
    reading = Source.read

    def listed(self, group, *arguments, **settings):
        read.append(group)
        return reading(self, group, *arguments, **settings)

    monkeypatch.setattr(Source, "read", listed)
    by_rank = []
    for rank in range(4):
        read.clear()
        list(loader(2, batch_size=8, rank=rank, world_size=4, shuffle_buffer=16))
        by_rank.append(set(read))
    groups = len(source_of(2).group_rows)
    assert set.union(*by_rank) == {g for g in range(groups) if source_of(2).group_rows[g]}
    assert sum(map(len, by_rank)) <= groups + 3
