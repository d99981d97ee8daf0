"""A test for hidden selection that anyone can run on a log of their own."""

from pathlib import Path
from typing import Any

import pandas as pd

from mtl_seq.data import Codec, check_columns, read_frame
from mtl_seq.dependence.find import find_dependence
from mtl_seq.fit.estimator import FunnelEstimator
from mtl_seq.models import Builder, DependenceConfig, esmm_dependent
from mtl_seq.records import SelectionTest
from mtl_seq.schema import Schema

__all__ = ["selection_test"]


def selection_test(
    frame: pd.DataFrame | str | Path,
    schema: Schema,
    *,
    dependence: DependenceConfig | None = None,
    model: Builder = esmm_dependent,
    seed: int = 0,
    **settings: Any,
) -> SelectionTest:
    """Whether something hidden moves click and conversion, and how well the log can tell.

    Nuisances are cross-fitted; no model is kept. Its evidence is that of the click-only features
    alone: given all others, do conversions among clicks differ by what only moves clicks?

    Args:
        frame: The log, or a parquet file of it; it is read into memory whole.
        schema: The roles of its columns, with `click_only`.
        dependence: How lambda is found; None for the defaults.
        model: Builds the nuisances.
        seed: Seed of the folds and of every fit.
        settings: Further arguments of `FunnelEstimator`.

    Raises:
        SchemaError: A declared column is absent, or click-only features that cannot say anything.
        DataError: Rows that cannot be trained on.
    """
    log = read_frame(frame)
    check_columns(schema, log, labels=True)

    def fit(builder: Builder, rows: pd.DataFrame) -> FunnelEstimator:
        return FunnelEstimator(builder, schema, seed=seed, **settings).fit(rows)

    codec = Codec.fit_with(FunnelEstimator(model, schema, **settings).encoding, schema, log)
    how = dependence or DependenceConfig()
    return find_dependence(model, how, schema, log, fit, codec, seed=seed).test
