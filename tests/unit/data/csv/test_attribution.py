"""Events and the views they belong to, against a reader that walks over both."""

import numpy as np
import pandas as pd
import pytest

from mtl_seq.data import last_touch
from mtl_seq.errors import DataError

KEY = ["user", "item"]


def drawn(rows, rng):
    frame = pd.DataFrame({name: rng.integers(3, size=rows) for name in KEY})
    return frame.assign(time=np.sort(rng.integers(200, size=rows)))


@pytest.mark.parametrize("window", [0, 5, 1000])
def test_an_event_belongs_to_the_last_view_within_the_window(window):
    rng = np.random.default_rng(window)
    views, events = drawn(150, rng), drawn(80, rng)
    expected, lost = np.zeros(len(views), dtype=int), 0
    for event in events.itertuples():
        before = [
            view.Index
            for view in views.itertuples()
            if (view.user, view.item) == (event.user, event.item)
            and 0 <= event.time - view.time <= window
        ]
        lost += not before
        expected[before[-1:]] = 1
    followed, absent = last_touch(views, events, by=KEY, time="time", window=window)
    np.testing.assert_array_equal(followed, expected)
    assert absent == lost
    # Any index will do.
    moved = views.set_index(views.index * 7 + 3)
    found = last_touch(moved, events, by=KEY, time="time", window=window)[0]
    np.testing.assert_array_equal(found, expected)


def test_without_events_nothing_followed():
    views = drawn(10, np.random.default_rng(0))
    followed, lost = last_touch(views, views.iloc[:0], by=KEY, time="time", window=5)
    assert (followed.tolist(), lost) == ([0] * 10, 0)


def test_rows_out_of_order_are_refused():
    views = drawn(10, np.random.default_rng(0))
    with pytest.raises(DataError, match="`events` must be sorted by 'time'"):
        last_touch(views, views.iloc[::-1], by=KEY, time="time", window=5)
