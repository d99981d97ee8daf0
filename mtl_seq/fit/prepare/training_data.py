"""What a training run is made of."""

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from mtl_seq.data import (
    Codec,
    Encoding,
    check_columns,
    check_dense,
    check_labels,
    check_leaks,
    check_population,
    check_row_values,
)
from mtl_seq.fit.prepare.rows import Rows
from mtl_seq.models import FunnelModel
from mtl_seq.schema import Schema

__all__ = ["Prepared", "check_rows", "epochs_of"]

_FEWEST_STEPS = 100


class Prepared(NamedTuple):
    """What a training run is made of.

    Attributes:
        codec: Fitted to the training rows.
        model: Before its first step.
        rows: Rows to train on.
        validation: Rows for the checkpoint rule.
        size: How many rows to train on there are.
        rates: How often clicks and conversions happen among them, by quantity.
    """

    codec: Codec
    model: FunnelModel
    rows: Rows
    validation: Rows
    size: int
    rates: dict[str, float]


def epochs_of(given: int | None, rows: int, batch_size: int) -> int:
    """What is given; else one pass, or on a small log as many as make 100 steps."""
    return -(-_FEWEST_STEPS * batch_size // rows) if given is None else given


def check_rows(
    schema: Schema, frame: pd.DataFrame, encoding: Encoding, allow_leak: Collection[str]
) -> None:
    """Refuse rows in memory that cannot be trained on.

    Raises:
        SchemaError: A declared column is absent.
        DataError: Rows that cannot be trained on; see `mtl_seq.data`.
    """
    check_columns(schema, frame, labels=True)
    check_labels(schema, frame)
    check_population(schema, frame)
    check_dense(schema, frame, impute=encoding.impute is not None)
    check_row_values(schema, frame)
    check_leaks(schema, frame, allow_leak)
