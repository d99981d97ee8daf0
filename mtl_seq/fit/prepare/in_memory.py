"""Training data from a log: read, check, split and encode it, and build the model."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq.data import Codec, read_frame
from mtl_seq.data.encode.warm_start import extend_codec
from mtl_seq.data.parquet.split import split_frame
from mtl_seq.errors import DataError
from mtl_seq.fit.config import FitConfig
from mtl_seq.fit.prepare.base_rates import quantity_rates
from mtl_seq.fit.prepare.build_model import build_model, initialise
from mtl_seq.fit.prepare.rows import is_streamed
from mtl_seq.fit.prepare.streaming import prepare_stream
from mtl_seq.fit.prepare.training_data import TrainingData, check_rows
from mtl_seq.fit.prepare.warm_start import Fitted
from mtl_seq.records import FunnelBatch, FunnelTruth

__all__ = ["prepare", "with_potential"]


def prepare(
    config: FitConfig,
    log: pd.DataFrame | str | Path,
    *,
    truth: FunnelTruth | None = None,
    validation: pd.DataFrame | str | Path | None = None,
    codec: Codec | None = None,
    start: Fitted | None = None,
) -> TrainingData:
    """Check, split and encode a log, and build the model.

    Args:
        config: The settings.
        log: The log, or its path; see `IN_MEMORY`. It is not changed.
        truth: The truth of the same rows; None for models that do not train on it.
        validation: Rows for the checkpoint rule; None for a share of the log.
        codec: Fitted to the same training rows before; None to fit it.
        start: A fit to earlier rows, for a warm start; None without one.

    Raises:
        SchemaError: A declared column is absent.
        DataError: Rows that cannot be trained on; see `mtl_seq.data`.
    """
    if is_streamed(log):
        assert not isinstance(log, pd.DataFrame)
        if truth is not None:
            raise DataError(
                f"`truth` belongs to a frame in memory, and {log} is streamed: pass both as "
                "frames, or leave `truth` out"
            )
        return prepare_stream(config, log, validation, start)
    frame, schema, encoding = read_frame(log), config.schema, config.encoding
    check_rows(schema, frame, encoding, config.allow_leak)
    if validation is None:
        fitted, held = split_frame(schema, frame, config.validation, config.seed)
        rows, held_rows = _rows_at(frame, fitted), _rows_at(frame, held)
    else:
        fitted, rows, held_rows = np.arange(len(frame)), frame, read_frame(validation)
        check_rows(schema, held_rows, encoding, config.allow_leak)
    if codec is None and start is None:
        codec, batch = Codec.fit_encode(encoding, schema, rows, checked=True)
    else:
        if codec is None:
            assert start is not None
            codec = extend_codec(start.codec, Codec.fit_with(encoding, schema, rows))
        batch = codec.encode_training(rows, checked=True)
    model = build_model(config, codec)
    assert batch.labels is not None
    initialise(model, codec, start, batch.labels.stages)
    # Validation metrics of weighted rows cannot be compared with unweighted rates.
    rates = {} if schema.weight else quantity_rates(schema.funnel, batch.labels.stages)
    if model.objective.needs_potential:
        batch = with_potential(batch, truth, len(frame), fitted)
    return TrainingData(
        codec, model, batch, codec.encode(held_rows, checked=True), len(rows), rates
    )


def _rows_at(frame: pd.DataFrame, positions: NDArray[np.int64]) -> pd.DataFrame:
    """The rows at sorted positions; a view where these follow one another."""
    first, last = positions[0], positions[-1]
    if last - first + 1 == len(positions):
        return frame.iloc[first : last + 1]
    return frame.iloc[positions]


def with_potential(
    batch: FunnelBatch, truth: FunnelTruth | None, rows: int, fitted: NDArray[np.int64]
) -> FunnelBatch:
    """Add the potential conversion to the labels of training rows.

    Args:
        batch: Training rows.
        truth: The truth of the whole log.
        rows: Number of rows of the whole log.
        fitted: Positions of the training rows in it.

    Raises:
        DataError: No truth, or one of another length.
    """
    if truth is None:
        raise DataError(
            "this model trains on potential outcomes, which only a simulator knows: "
            "`fit(log, truth=truth)`"
        )
    if len(truth.potential) != rows:
        raise DataError(
            f"`truth` must have one entry per row of the log, {rows:,}, found "
            f"{len(truth.potential):,}: take both from one `sample` call"
        )
    assert batch.labels is not None
    potential = torch.from_numpy(truth.potential[fitted].astype(np.float32))
    return batch._replace(labels=batch.labels._replace(potential=potential))
