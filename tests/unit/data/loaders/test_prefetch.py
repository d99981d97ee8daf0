"""Working ahead changes nothing but the time: order, errors and ends are those of the iterator."""

import threading
import time

import pytest

from mtl_seq.data.loaders.prefetch import prefetched


def threads():
    return [one for one in threading.enumerate() if one.name == "prefetch"]


def test_items_come_in_order_and_the_thread_ends_with_them():
    assert list(prefetched(iter(range(100)), 3)) == list(range(100))
    assert list(prefetched(iter([]), 3)) == []
    assert threads() == []


def test_it_works_ahead_so_far_and_no_further():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    ahead = prefetched(items(), 4)
    assert next(ahead) == 0
    deadline = time.monotonic() + 5
    while len(made) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    # One is in use, four are ready, and one more waits for its place.
    assert len(made) == 6
    ahead.close()
    assert threads() == []


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise KeyError("torn")

    ahead = prefetched(items(), 2)
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="torn"):
        next(ahead)
    assert threads() == []
