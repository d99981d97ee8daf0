"""Last-touch attribution of events to views, for logs without impression ids."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError

__all__ = ["last_touch"]


def last_touch(
    views: pd.DataFrame, events: pd.DataFrame, *, by: Sequence[str], time: str, window: float
) -> tuple[NDArray[np.int64], int]:
    """Attribute each event to the last view before it, for example of the same user and item.

    A view at the same time counts as before. Of several views with one time and key, the last row
    has the event.

    Args:
        views: V rows, sorted by `time`.
        events: E rows, sorted by `time`.
        by: Columns in which an event and its view agree, such as a user and an item.
        time: Column of the time, a number of one type in both.
        window: Attribution window: the longest time from view to event, in the unit of `time`.

    Returns:
        ``(V,)`` whether a view has an event, 1 or 0; and the number of events without a view.

    Raises:
        DataError: Rows are not sorted by `time`.

    >>> views = pd.DataFrame({"time": [0, 5, 6], "user": [1, 1, 2]})
    >>> orders = pd.DataFrame({"time": [7, 99], "user": [1, 2]})
    >>> followed, lost = last_touch(views, orders, by=["user"], time="time", window=10)
    >>> followed.tolist(), lost
    ([0, 1, 0], 1)
    """
    for name, frame in (("views", views), ("events", events)):
        if not frame[time].is_monotonic_increasing:
            raise DataError(f"`{name}` must be sorted by {time!r}, found earlier rows after later")
    view = pd.merge_asof(
        events[[time, *by]],
        views[[time, *by]].assign(_row=np.arange(len(views))),
        on=time,
        by=list(by),
        tolerance=window,
    )["_row"]
    followed = np.zeros(len(views), dtype=np.int64)
    followed[view.dropna().to_numpy(dtype=np.int64)] = 1
    return followed, int(view.isna().sum())
