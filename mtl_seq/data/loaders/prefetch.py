"""Prefetch the items of an iterator in a thread."""

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

__all__ = ["prefetched"]

T = TypeVar("T")


def prefetched(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Yield the same items in the same order, computed by a thread up to `depth` items ahead.

    The thread ends with the items, at an error, which is raised here, or when this iterator is
    closed.

    Args:
        items: The iterator, consumed by the thread only.
        depth: Items to prefetch, at least 1.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    closed = threading.Event()

    def put(item: T | None, error: BaseException | None) -> None:
        while not closed.is_set():
            try:
                ready.put((item, error), timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                put(item, None)
                if closed.is_set():
                    return
            put(None, StopIteration())
        except BaseException as error:  # raised again where the items are used
            put(None, error)

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # an item may be None where T allows it
    finally:
        closed.set()
        thread.join()
