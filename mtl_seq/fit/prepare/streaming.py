"""From a log on disk to what a training run is made of, without reading it into memory."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd
import torch

from mtl_seq.data import (
    Codec,
    Encoding,
    Source,
    check_leaks,
    check_population,
    extended,
    fit_source,
    fold_tables,
    read_frame,
    split_source,
)
from mtl_seq.errors import DataError
from mtl_seq.fit.prepare.base_rates import base_rates, quantity_rates
from mtl_seq.fit.prepare.rows import Rows, Streamed, is_streamed
from mtl_seq.fit.prepare.training_data import Prepared, check_rows
from mtl_seq.fit.prepare.warm_start import Fitted, grow
from mtl_seq.models import Builder, CalibrationConfig
from mtl_seq.schema import Schema

__all__ = ["prepare_stream"]


def prepare_stream(
    builder: Builder,
    schema: Schema,
    place: str | Path,
    validation: pd.DataFrame | str | Path | None,
    *,
    encoding: Encoding,
    share: float,
    calibrate: CalibrationConfig | None,
    allow_leak: Collection[str],
    seed: int,
    start: Fitted | None = None,
) -> Prepared:
    """Part a log on disk, learn its codec in one pass that checks every row, and build the model.

    With ``schema.time`` the latest rows are held out; without, rows by a hash of their number. A
    feature that gives a label away is looked for in a sample.

    Args:
        builder: Builds the model.
        schema: The roles of the columns.
        place: A parquet file, a folder, a glob, or a URL.
        validation: Rows for the checkpoint rule; None for a share of the log.
        encoding: How columns become vectors.
        share: Share of the log to hold out.
        calibrate: How pCVR is to be calibrated; refused early where it cannot be.
        allow_leak: Features that may predict a label almost perfectly.
        seed: Seed of the weights and of the parting.
        start: A fit to earlier rows, to go on from; None to begin with nothing.

    Raises:
        SchemaError: A declared column is absent, or of another type in one of the files.
        ArtifactError: A file that cannot be read.
        DataError: Rows that cannot be trained on; or a model that trains on potential outcomes.
    """
    log = Source.open(place)
    if validation is None:
        if not 0 < share < 1:
            raise DataError(f"`validation` must lie in (0, 1), found {share}")
        rows, held = split_source(log, share, time=schema.time, seed=seed)
    else:
        rows, held = log, None
    learned = fit_source(schema, rows, encoding)
    codec, folds = learned.codec, learned.folds
    check_population(schema, pd.DataFrame(learned.stages, columns=[*schema.labels.values()]))
    check_leaks(schema, learned.sample, allow_leak)
    if start is not None:
        codec = extended(start.codec, codec)
        folds = fold_tables(codec, rows)
    model = builder(encoding.applied(codec.spec), funnel=schema.funnel, seed=seed)
    if calibrate is not None:
        calibrate.weighted_for(model.objective)
    if model.objective.needs_potential:
        raise DataError(
            "this model trains on potential outcomes, which only a simulator knows: hand in a "
            "frame in memory, `fit(log, truth=truth)`"
        )
    stages, counts = torch.from_numpy(learned.stages), torch.from_numpy(learned.counts)
    if start is None:
        model.network.start_at(base_rates(schema.funnel, stages, counts))
    else:
        grow(start, codec, model)
    kept: Rows
    if held is not None:
        kept = Streamed(held, codec)
    else:
        assert validation is not None
        kept = _held(validation, codec, encoding, allow_leak)
    rates = {} if schema.weight else quantity_rates(schema.funnel, stages, counts)
    return Prepared(codec, model, Streamed(rows, codec, folds), kept, rows.rows, rates)


def _held(
    validation: pd.DataFrame | str | Path,
    codec: Codec,
    encoding: Encoding,
    allow_leak: Collection[str],
) -> Rows:
    if is_streamed(validation):
        assert not isinstance(validation, pd.DataFrame)
        return Streamed(Source.open(validation), codec)
    frame = read_frame(validation)
    check_rows(codec.schema, frame, encoding, allow_leak)
    return codec.encode(frame)
