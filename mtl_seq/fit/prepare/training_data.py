"""Codec, model and rows of one training run."""

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from mtl_seq.data import Codec, Encoding, check_leaks
from mtl_seq.data.validate.checks import check_population, check_values
from mtl_seq.fit.prepare.rows import Rows
from mtl_seq.models import FunnelModel
from mtl_seq.schema import Schema

__all__ = ["TrainingData", "check_rows"]


class TrainingData(NamedTuple):
    """Codec, model and rows of one training run.

    Attributes:
        codec: Fitted to the training rows.
        model: Before its first step.
        rows: Training rows.
        validation: Rows for the checkpoint rule.
        size: Number of training rows.
        rates: Base rates of clicks and conversions among them, by quantity.
    """

    codec: Codec
    model: FunnelModel
    rows: Rows
    validation: Rows
    size: int
    rates: dict[str, float]


def check_rows(
    schema: Schema, log: pd.DataFrame, encoding: Encoding, allow_leak: Collection[str]
) -> None:
    """Refuse rows in memory that cannot be trained on.

    Raises:
        SchemaError: A declared column is absent.
        DataError: Rows that cannot be trained on; see `mtl_seq.data`.
    """
    check_values(schema, log, labels=True, impute=encoding.impute is not None)
    check_population(schema, log)
    check_leaks(schema, log, allow_leak)
