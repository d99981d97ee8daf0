"""Which view an event belongs to, where a log has no impression ids."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError

__all__ = ["last_touch"]


def last_touch(
    views: pd.DataFrame, events: pd.DataFrame, *, by: Sequence[str], time: str, window: float
) -> tuple[NDArray[np.int64], int]:
    """Give each event to the last view before it, of the same user and item say.

    A view of the same moment counts as before. Of several views of one moment and key one has the
    event, the last row.

    Args:
        views: V rows, sorted by `time`.
        events: E rows, likewise.
        by: Columns in which an event and its view agree, such as a user and an item.
        time: The column of the moment, a number of one type in both.
        window: How long after its view an event may come, in the unit of `time`; at least 0.

    Returns:
        ``(V,)`` whether any event was given to a view, 1 or 0; and how many events have no view.

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
    found = pd.merge_asof(
        events[[time, *by]],
        views[[time, *by]].assign(_row=np.arange(len(views))),
        on=time,
        by=list(by),
        tolerance=window,
    )["_row"]
    followed = np.zeros(len(views), dtype=np.int64)
    followed[found.dropna().to_numpy(dtype=np.int64)] = 1
    return followed, int(found.isna().sum())
