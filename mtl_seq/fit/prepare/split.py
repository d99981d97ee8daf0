"""Which rows are held out for the checkpoint rule."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError, rows_text
from mtl_seq.schema import Schema

__all__ = ["split_rows"]


def split_rows(
    schema: Schema, frame: pd.DataFrame, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of training and of validation rows.

    With ``schema.time`` the latest rows are held out, since a log is used on later ones; without,
    random rows.

    Args:
        schema: The roles of the columns.
        frame: All rows.
        share: Share of the rows to hold out, in (0, 1).
        seed: Seed of the draw where there is no time.

    Returns:
        Two arrays of positions.

    Raises:
        DataError: A time that is missing or no time, or a share that leaves one side without rows
            or without clicks.
    """
    if not 0 < share < 1:
        raise DataError(f"`validation` must lie in (0, 1), found {share}")
    held = round(share * len(frame))
    if schema.time is None:
        order = np.random.default_rng(seed).permutation(len(frame))
    else:
        _check_time(schema.time, frame)
        order = np.argsort(frame[schema.time].to_numpy(), kind="stable")
    fitted, validation = np.sort(order[: len(frame) - held]), np.sort(order[len(frame) - held :])
    click = frame[schema.labels[schema.funnel.first]].to_numpy()
    for name, rows in (("training", fitted), ("validation", validation)):
        if len(rows) == 0 or not (click[rows] == 1).any():
            raise DataError(
                f"the {name} rows must hold at least one click, found none in {len(rows):,} of "
                f"{len(frame):,} rows: change `validation`, or hand in validation rows of your own"
            )
    return fitted, validation


def _check_time(column: str, frame: pd.DataFrame) -> None:
    values = frame[column]
    kind = values.dtype
    if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind)):
        raise DataError(
            f"time {column!r} must hold numbers or datetimes, found {values.iloc[0]!r} of type "
            f"{kind}: convert it with pandas.to_datetime, since text sorts by its letters"
        )
    missing = values.isna().to_numpy()
    if missing.any():
        where = rows_text(frame.index[missing], int(missing.sum()))
        raise DataError(f"time {column!r} is missing in {where}: fill or drop those rows")
