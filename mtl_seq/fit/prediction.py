"""Predictions of a network or a fitted model for many rows."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mtl_seq.calibration.calibrate import Calibration
from mtl_seq.data import Codec
from mtl_seq.dependence.correction import Correction
from mtl_seq.fit.prepare.rows import Rows, in_order
from mtl_seq.fit.train.precision import Arithmetic
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.models import FunnelModel
from mtl_seq.nn import FunnelNetwork
from mtl_seq.nn.forward import batched_forward
from mtl_seq.records import FloatArray, FunnelBatch, FunnelLabels, FunnelPrediction, Scores

__all__ = ["joint_probabilities", "predict_frame", "rank_rows", "score_labelled", "score_rows"]


def score_rows(
    network: FunnelNetwork, rows: FunnelBatch, arithmetic: Arithmetic = Arithmetic.FLOAT32
) -> Scores:
    """Predict rows in memory, in their order; labels are not read.

    Args:
        network: Put into eval mode.
        rows: The rows.
        arithmetic: In what the network computes.
    """
    return Scores(*_columns(network, rows, arithmetic, lambda x: (x.pctr, x.pcvr, x.pctcvr)))


def score_labelled(
    network: FunnelNetwork, rows: Rows, arithmetic: Arithmetic = Arithmetic.FLOAT32
) -> tuple[Scores, FunnelLabels]:
    """Predict rows in memory or on disk, and return their labels too, without users.

    Args:
        network: Put into eval mode.
        rows: The rows, with labels.
        arithmetic: In what the network computes.
    """
    if isinstance(rows, FunnelBatch):
        assert rows.labels is not None
        return score_rows(network, rows, arithmetic), rows.labels._replace(group=None)
    predicted, labels = [], []
    for batch in in_order(rows):
        assert batch.labels is not None
        predicted.append(score_rows(network, batch, arithmetic))
        labels.append(batch.labels._replace(group=None))
    columns = (None if part[0] is None else torch.cat(part) for part in zip(*labels, strict=True))
    scores = (np.concatenate(part) for part in zip(*predicted, strict=True))
    return Scores(*scores), FunnelLabels(*columns)  # type: ignore[arg-type]


def rank_rows(
    network: FunnelNetwork, rows: FunnelBatch, arithmetic: Arithmetic = Arithmetic.FLOAT32
) -> FloatArray:
    """``(N,)`` logits of pCTCVR, which order impressions also where probabilities saturate.

    Args:
        network: Put into eval mode.
        rows: The rows.
        arithmetic: In what the network computes.
    """
    (score,) = _columns(network, rows, arithmetic, lambda x: (x.joint_logit[x.stages[-1]],))
    return score


def joint_probabilities(
    model: FunnelModel, rows: FunnelBatch, run: TrainingResult, predicted: pd.DataFrame
) -> dict[str, FloatArray]:
    """By stage, ``(N,)`` probabilities that an impression reaches it.

    Args:
        model: The fitted model; it gives the stages between the first and the last.
        rows: The rows, in memory.
        run: The model's training result.
        predicted: What `predict_frame` gave for the rows; it gives the first and the last stage.
    """
    first, *between, last = model.network.funnel.names
    joint = {first: predicted["pctr"].to_numpy(), last: predicted["pctcvr"].to_numpy()}
    if between:
        columns = _columns(
            model.network,
            rows,
            run.arithmetic,
            lambda prediction: tuple(prediction.log_joint[stage].exp() for stage in between),
        )
        joint |= dict(zip(between, columns, strict=True))
    return joint


def _columns(
    network: FunnelNetwork,
    rows: FunnelBatch,
    arithmetic: Arithmetic,
    read: Callable[[FunnelPrediction], tuple[Tensor, ...]],
) -> list[FloatArray]:
    columns = batched_forward(network, rows.features, read, precision=arithmetic.network)
    return [column.numpy() for column in columns]


def predict_frame(
    model: FunnelModel,
    codec: Codec,
    run: TrainingResult,
    log: pd.DataFrame,
    calibration: Calibration | None,
    dependence: Correction | None,
) -> pd.DataFrame:
    """Score rows; labels are not read.

    Args:
        model: The fitted model.
        codec: Fitted to its training rows.
        run: Its training result.
        log: The rows.
        calibration: The calibration of pCVR; None without one.
        dependence: The fitted dependence; None without one.

    Returns:
        Columns ``pctr``, ``pcvr`` and ``pctcvr``, or ``score``, on the log's index; ``attrs`` state
        the checkpoint rule and the dependence. Parquet keeps them, so that a report can state them.
    """
    scores = _scored(model, codec, run, log, calibration, dependence)
    scores.attrs["checkpoint_rule"] = run.checkpoint_rule
    return scores


def _scored(
    model: FunnelModel,
    codec: Codec,
    run: TrainingResult,
    log: pd.DataFrame,
    calibration: Calibration | None,
    dependence: Correction | None,
) -> pd.DataFrame:
    if dependence is not None and not dependence.by_network:
        return dependence.marked(dependence.apply(model.network, codec, log), log.index)
    rows = codec.encode(log, labels=False)
    if model.objective.ranks_only:
        ranks = rank_rows(model.network, rows, run.arithmetic)
        return pd.DataFrame({"score": ranks}, index=log.index)
    scores = score_rows(model.network, rows, run.arithmetic)
    if calibration is not None:
        scores = calibration.apply(scores)
    if dependence is not None:
        return dependence.marked(scores, log.index)
    return pd.DataFrame(scores._asdict(), index=log.index)
