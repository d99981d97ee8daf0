"""What a fitted model says of the rows of a frame."""

import pandas as pd

from mtl_seq.data import Codec
from mtl_seq.fit.calibrate import Calibration
from mtl_seq.fit.correction import Correction
from mtl_seq.fit.run import Run
from mtl_seq.fit.scores import rank_rows, score_rows
from mtl_seq.models import FunnelModel

__all__ = ["predict_frame"]


def predict_frame(
    model: FunnelModel,
    codec: Codec,
    run: Run,
    log: pd.DataFrame,
    calibration: Calibration | None,
    dependence: Correction | None,
) -> pd.DataFrame:
    """Score rows; labels are not read.

    Args:
        model: The fitted model.
        codec: Fitted to its training rows.
        run: What came of its training.
        log: The rows.
        calibration: The map behind the network; None for none.
        dependence: What was found of a dependence; None where there is none.

    Returns:
        Columns ``pctr``, ``pcvr`` and ``pctcvr``, or ``score``, on the log's index; ``attrs`` say
        by what rule the checkpoint was picked, and what is known of a dependence. Parquet keeps
        them, so that a report can state them.
    """
    found = _scored(model, codec, run, log, calibration, dependence)
    if run.checkpoint_rule is not None:
        found.attrs["checkpoint_rule"] = run.checkpoint_rule
    return found


def _scored(
    model: FunnelModel,
    codec: Codec,
    run: Run,
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
