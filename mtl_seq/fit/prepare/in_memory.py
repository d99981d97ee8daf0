"""From a log to what a training run is made of: codec, model, rows to train on, rows held out."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq.data import Codec, Encoding, extended, read_frame
from mtl_seq.errors import DataError
from mtl_seq.fit.prepare.base_rates import base_rates, quantity_rates
from mtl_seq.fit.prepare.rows import is_streamed
from mtl_seq.fit.prepare.split import split_rows
from mtl_seq.fit.prepare.streaming import prepare_stream
from mtl_seq.fit.prepare.training_data import Prepared, check_rows
from mtl_seq.fit.prepare.warm_start import Fitted, grow
from mtl_seq.models import Builder, CalibrationConfig
from mtl_seq.records import FunnelBatch, FunnelTruth
from mtl_seq.schema import Schema

__all__ = ["prepare", "with_potential"]


def prepare(
    builder: Builder,
    schema: Schema,
    frame: pd.DataFrame | str | Path,
    truth: FunnelTruth | None,
    validation: pd.DataFrame | str | Path | None,
    *,
    encoding: Encoding,
    share: float,
    calibrate: CalibrationConfig | None,
    allow_leak: Collection[str],
    seed: int,
    codec: Codec | None = None,
    start: Fitted | None = None,
) -> Prepared:
    """Check a log, part and encode it, and build the model.

    Args:
        builder: Builds the model.
        schema: The roles of the columns.
        frame: The log, or where it is; see `IN_MEMORY`. It is not changed.
        truth: The truth of the same rows; None for models that do not train on it.
        validation: Rows for the checkpoint rule; None for a share of the log.
        encoding: How columns become vectors.
        share: Share of the log to hold out.
        calibrate: How pCVR is to be calibrated; refused early where it cannot be.
        allow_leak: Features that may predict a label almost perfectly.
        seed: Seed of the weights and of the parting.
        codec: Fitted to the same training rows before; None to fit it.
        start: A fit to earlier rows, to go on from; None to begin with nothing.

    Raises:
        SchemaError: A declared column is absent.
        DataError: Rows that cannot be trained on; see `mtl_seq.data`.
    """
    if is_streamed(frame):
        assert not isinstance(frame, pd.DataFrame)
        if truth is not None:
            raise DataError(
                f"`truth` belongs to a frame in memory, and {frame} is streamed: hand in both as "
                "frames, or leave `truth` out"
            )
        return prepare_stream(
            builder,
            schema,
            frame,
            validation,
            encoding=encoding,
            share=share,
            calibrate=calibrate,
            allow_leak=allow_leak,
            seed=seed,
            start=start,
        )
    log = read_frame(frame)
    check_rows(schema, log, encoding, allow_leak)
    if validation is None:
        fitted, held = split_rows(schema, log, share, seed)
        rows, held_rows = log.iloc[fitted], log.iloc[held]
    else:
        fitted, rows, held_rows = np.arange(len(log)), log, read_frame(validation)
        check_rows(schema, held_rows, encoding, allow_leak)
    if codec is None:
        codec = Codec.fit_with(encoding, schema, rows)
        codec = codec if start is None else extended(start.codec, codec)
    model = builder(encoding.applied(codec.spec), funnel=schema.funnel, seed=seed)
    if calibrate is not None:
        calibrate.weighted_for(model.objective)
    batch = codec.encode_training(rows)
    assert batch.labels is not None
    # Figures of weighted rows are no match for rates of unweighted ones.
    rates = {} if schema.weight else quantity_rates(schema.funnel, batch.labels.stages)
    if start is None:
        model.network.start_at(base_rates(schema.funnel, batch.labels.stages))
    else:
        grow(start, codec, model)
    if model.objective.needs_potential:
        batch = with_potential(batch, truth, len(log), fitted)
    return Prepared(codec, model, batch, codec.encode(held_rows), len(rows), rates)


def with_potential(
    batch: FunnelBatch, truth: FunnelTruth | None, rows: int, fitted: NDArray[np.int64]
) -> FunnelBatch:
    """The batch with the potential conversion of its rows.

    Args:
        batch: Training rows.
        truth: The truth of the whole log.
        rows: How many rows the whole log has.
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
