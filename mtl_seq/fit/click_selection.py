"""Test for confounding of click and conversion on a log."""

from pathlib import Path
from typing import Any

import pandas as pd

from mtl_seq.data import Codec, Encoding, read_frame
from mtl_seq.data.validate.checks import check_columns
from mtl_seq.dependence.find import DependenceStep, Trained
from mtl_seq.fit.estimator import FunnelEstimator
from mtl_seq.models import Builder, DependenceConfig, esmm_dependent
from mtl_seq.records import SelectionTest
from mtl_seq.schema import Schema

__all__ = ["selection_test"]


def selection_test(
    log: pd.DataFrame | str | Path,
    schema: Schema,
    *,
    dependence: DependenceConfig | None = None,
    model: Builder = esmm_dependent,
    seed: int = 0,
    **settings: Any,
) -> SelectionTest:
    """Test whether a hidden variable moves click and conversion, and how well the log can tell.

    Nuisances are cross-fitted; no model is kept. The test uses the click-only features alone: given
    all others, does P(conversion | click) depend on features that only move clicks?

    Args:
        log: The log, or a parquet file of it; it is read into memory whole.
        schema: The roles of its columns, with `click_only`.
        dependence: How lambda is estimated; None for the defaults.
        model: Builds the nuisances.
        seed: Seed of the folds and of every fit.
        settings: Further arguments of `FunnelEstimator`.

    Raises:
        SchemaError: A declared column is absent, or click-only features that cannot identify it.
        DataError: Rows that cannot be trained on.
    """
    frame = read_frame(log)
    check_columns(schema, frame, labels=True)

    def train(builder: Builder, rows: pd.DataFrame) -> Trained:
        fitted = FunnelEstimator(builder, schema, seed=seed, **settings).fit(rows)
        return Trained(fitted.codec_, fitted.model_)

    codec = Codec.fit_with(settings.get("encoding") or Encoding(), schema, frame)
    step = DependenceStep(model, dependence or DependenceConfig(), schema, seed)
    return step.estimate(frame, codec, train).test
