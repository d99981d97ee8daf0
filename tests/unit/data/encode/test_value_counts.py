"""Counts, moments and quantiles of what arrives in chunks are those of the whole."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_seq.data.encode import value_counts as counting
from mtl_seq.data.encode.value_counts import KeyReader, RunningCounts
from mtl_seq.data.parquet.quantile_sketch import Moments, Sketch
from mtl_seq.errors import DataError

PIECES = st.lists(st.lists(st.integers(-5, 5), max_size=9), max_size=9)


@given(chunks=PIECES, pending=st.sampled_from([1, 4, 1 << 17]))
@settings(deadline=None, max_examples=60)
def test_running_counts_are_those_of_all_values(chunks, pending):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_FEWEST_PENDING", pending)
        running = RunningCounts()
        for chunk in chunks:
            running.add(np.array(chunk, dtype=np.int64))
        found = running.result()
    keys, counts = np.unique([x for chunk in chunks for x in chunk], return_counts=True)
    np.testing.assert_array_equal(found.keys, keys)
    np.testing.assert_array_equal(found.counts, counts)


def test_runs_are_merged_as_they_come_so_that_memory_holds_the_different_values(monkeypatch):
    monkeypatch.setattr(counting, "_FEWEST_PENDING", 100)
    running = RunningCounts()
    for start in range(0, 50_000, 50):
        running.add(np.arange(start, start + 50) % 300)
    # 300 values: no more than as many again and one chunk wait to be merged.
    assert running._pending <= 300 + 50
    assert running.result().counts.sum() == 50_000


def test_texts_are_numbered_as_they_come_and_integers_are_themselves():
    texts = KeyReader("id")
    keys, null = texts.read(pa.array(["b", None, "a", "b"]))
    assert (keys.tolist(), null.tolist()) == ([0, 1, 0], [False, True, False, False])
    keys, _ = texts.read(pa.array(["a", "c"]))
    assert keys.tolist() == [1, 2]
    assert texts.texts == ["b", "a", "c"]
    whole = KeyReader("id")
    keys, null = whole.read(pa.array([2**63 - 1, None, -(2**63)]))
    assert (keys.tolist(), null.tolist()) == ([2**63 - 1, -(2**63)], [False, True, False])
    assert whole.texts is None
    with pytest.raises(DataError, match=r"must hold integers or strings, found 0\.5"):
        whole.read(pa.array([1.0, 0.5]))


@given(
    chunks=st.lists(st.lists(st.floats(-1e6, 1e6), max_size=20), min_size=1, max_size=8),
    offset=st.sampled_from([0.0, 1e9]),
)
@settings(deadline=None, max_examples=40)
def test_moments_in_chunks_are_those_of_all_numbers(chunks, offset):
    moments = Moments()
    for chunk in chunks:
        moments.add(np.array(chunk) + offset)
    every = np.concatenate([np.array(chunk) + offset for chunk in chunks])
    if not len(every):
        assert np.isnan(moments.deviation)
        return
    np.testing.assert_allclose(moments.mean, every.mean(), rtol=1e-13, atol=1e-8)
    # Of numbers near 1e9, float64 itself knows a deviation to about 1e-7.
    np.testing.assert_allclose(moments.deviation, every.std(), rtol=1e-9, atol=1e-6)


@given(
    chunks=st.lists(st.lists(st.floats(-9, 9), max_size=20), min_size=1, max_size=8).filter(any),
    at=st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
@settings(deadline=None, max_examples=40)
def test_quantiles_of_few_numbers_are_exact(chunks, at):
    sketch = Sketch()
    for chunk in chunks:
        sketch.add(np.array(chunk))
    every = np.array([x for chunk in chunks for x in chunk])
    np.testing.assert_allclose(sketch.quantiles(np.array(at)), np.quantile(every, at), atol=1e-12)
    assert sketch.exact
    for rank, number in enumerate(np.sort(every)):
        at_rank = sketch.locate(rank)
        assert at_rank.number == number
        assert at_rank.rows == (every == number).sum()
        assert at_rank.after == (every > number).sum()
        assert at_rank.above == max(every[every < number], default=None)


@given(
    chunks=st.lists(st.lists(st.integers(0, 30), max_size=40), min_size=1, max_size=9).filter(any),
    points=st.integers(1, 9),
)
@settings(deadline=None, max_examples=60)
def test_a_rank_lies_in_the_bounds_that_a_sketch_gives(chunks, points):
    sketch = Sketch(points)
    for chunk in chunks:
        sketch.add(np.array(chunk, dtype=np.int64))
    every = np.sort([x for chunk in chunks for x in chunk])
    for rank, number in enumerate(every):
        at_rank = sketch.locate(rank)
        assert at_rank.number >= number
        assert at_rank.above is None or at_rank.above < number


@pytest.mark.parametrize("shape", ["even", "skewed", "rising"])
def test_quantiles_of_many_numbers_are_as_close_as_stated(shape):
    """The rank is off by at most one part in `points` for each time that numbers were joined."""
    rng = np.random.default_rng(0)
    every = rng.random(40_000) if shape != "skewed" else np.exp(3 * rng.standard_normal(40_000))
    every = np.sort(every) if shape == "rising" else every
    sketch, points = Sketch(points=200), 200
    for chunk in np.array_split(every, 80):
        sketch.add(chunk)
    assert not sketch.exact
    joined = 40_000 / (4 * points)
    at = np.linspace(0.01, 0.99, 50)
    rank = np.searchsorted(np.sort(every), sketch.quantiles(at)) / len(every)
    assert np.abs(rank - at).max() <= joined / points


def test_numbers_that_all_stand_apart_keep_an_even_share_each():
    sketch = Sketch(points=100)
    sketch.add(np.arange(1000.0))
    np.testing.assert_allclose(
        sketch.quantiles(np.array([0.0, 0.5, 1.0])), [9.0, 509.0, 999.0], atol=10
    )
