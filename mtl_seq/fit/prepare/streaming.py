"""Training data from a log on disk, without reading it into memory."""

from pathlib import Path

import pandas as pd
import torch

from mtl_seq.data import Codec, Source, check_leaks, fit_source, read_frame, split_source
from mtl_seq.data.encode.warm_start import extend_codec, fold_tables
from mtl_seq.data.validate.checks import check_population
from mtl_seq.errors import DataError
from mtl_seq.fit.config import FitConfig
from mtl_seq.fit.prepare.base_rates import quantity_rates
from mtl_seq.fit.prepare.build_model import build_model, initialise
from mtl_seq.fit.prepare.rows import Rows, Streamed, is_streamed
from mtl_seq.fit.prepare.training_data import TrainingData, check_rows
from mtl_seq.fit.prepare.warm_start import Fitted

__all__ = ["prepare_stream"]


def prepare_stream(
    config: FitConfig,
    log: str | Path,
    validation: pd.DataFrame | str | Path | None,
    start: Fitted | None,
) -> TrainingData:
    """Split a log on disk, check it and fit its codec in one read, and build the model.

    Rows are held out by the rule of `split_source`. Features that predict a label almost perfectly
    are searched in a sample.

    Args:
        config: The settings.
        log: A parquet file, a folder, a glob, or a URL.
        validation: Rows for the checkpoint rule; None for a share of the log.
        start: A fit to earlier rows, for a warm start; None without one.

    Raises:
        SchemaError: A declared column is absent, or of another type in one of the files.
        ArtifactError: A file that cannot be read.
        DataError: Rows that cannot be trained on; or a model that trains on potential outcomes.
    """
    schema, share = config.schema, config.validation
    source = Source.open(log)
    if validation is None:
        if not 0 < share < 1:
            raise DataError(f"`validation` must lie in (0, 1), found {share}")
        rows, held = split_source(source, share, time=schema.time, seed=config.seed)
    else:
        rows, held = source, None
    learned = fit_source(schema, rows, config.encoding)
    codec, folds = learned.codec, learned.folds
    check_population(schema, pd.DataFrame(learned.stages, columns=[*schema.labels.values()]))
    check_leaks(schema, learned.sample, config.allow_leak)
    if start is not None:
        codec = extend_codec(start.codec, codec)
        folds = fold_tables(codec, rows)
    model = build_model(config, codec)
    if model.objective.needs_potential:
        raise DataError(
            "this model trains on potential outcomes, which only a simulator knows: pass a "
            "frame in memory, `fit(log, truth=truth)`"
        )
    stages, counts = torch.from_numpy(learned.stages), torch.from_numpy(learned.counts)
    initialise(model, codec, start, stages, counts)
    validation_rows: Rows
    if held is not None:
        validation_rows = Streamed(held, codec)
    else:
        assert validation is not None
        validation_rows = _validation_rows(config, codec, validation)
    rates = {} if schema.weight else quantity_rates(schema.funnel, stages, counts)
    training_rows = Streamed(rows, codec, folds)
    return TrainingData(codec, model, training_rows, validation_rows, rows.rows, rates)


def _validation_rows(
    config: FitConfig, codec: Codec, validation: pd.DataFrame | str | Path
) -> Rows:
    if is_streamed(validation):
        assert not isinstance(validation, pd.DataFrame)
        return Streamed(Source.open(validation), codec)
    frame = read_frame(validation)
    check_rows(codec.schema, frame, config.encoding, config.allow_leak)
    return codec.encode(frame)
