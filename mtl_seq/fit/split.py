"""Which rows are held out for the checkpoint rule."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError
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
        DataError: The share leaves one side without rows or without clicks.
    """
    if not 0 < share < 1:
        raise DataError(f"`validation` must lie in (0, 1), found {share}")
    held = round(share * len(frame))
    if schema.time is None:
        order = np.random.default_rng(seed).permutation(len(frame))
    else:
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
