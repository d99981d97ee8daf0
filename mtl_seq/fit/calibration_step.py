"""Which calibration a fit has, and its map once training is over."""

from mtl_seq.calibration.calibrate import Calibrate, Calibration
from mtl_seq.errors import CompositionError
from mtl_seq.fit.prediction import score_labelled
from mtl_seq.fit.prepare.training_data import TrainingData
from mtl_seq.fit.train.precision import Arithmetic
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.models import FunnelModel
from mtl_seq.records import FunnelBatch

__all__ = ["calibrate_model", "calibration_of", "calibration_run"]


def calibration_of(model: FunnelModel, asked: Calibrate | None) -> Calibrate | None:
    """What the estimator was asked for, else what the model names; None for no calibration.

    Raises:
        CompositionError: One that does not go with the model.
    """
    named = model.calibration
    how = asked if asked is not None or named is None else Calibrate(**vars(named))
    if how is not None:
        how.check(model.objective)
    return how


def calibration_run(
    how: Calibrate | None, data: TrainingData, run: TrainingResult
) -> Calibration | None:
    """Fit the map of a trained model to the rows it is to be fitted to; None for no map.

    Training rows are scored as they were trained on: their target encodings are those of the other
    folds.

    Raises:
        DataError: Clicked rows of which none, or all, converted.
        CompositionError: A model whose pCVR is not pCTCVR / pCTR.
    """
    if how is None:
        return None
    rows = data.rows if how.on == "training" else data.validation
    scores, labels = score_labelled(data.model.network, rows, run.arithmetic)
    return how.fit(scores, labels, weighted=how.check(data.model.objective))


def calibrate_model(
    model: FunnelModel, rows: FunnelBatch, how: Calibrate | None = None
) -> Calibration:
    """Fit the calibration of a model that a loop of one's own has trained.

    Args:
        model: The model; it is put into eval mode.
        rows: Labelled rows, those that ``how.on`` names: training rows as `Codec.encode_training`
            gives them, or validation rows.
        how: The calibration; None for what the model names.

    Returns:
        The map: its `pcvr` takes pCVR of the network to the calibrated one.

    Raises:
        DataError: Clicked rows of which none, or all, converted.
        CompositionError: No calibration, or one that does not go with the model.
    """
    how = calibration_of(model, how)
    if how is None:
        raise CompositionError(
            "this model names no calibration: hand one in, `how=calibration.Calibrate()`"
        )
    scores, labels = score_labelled(model.network, rows, Arithmetic.FLOAT32)
    return how.fit(scores, labels, weighted=how.check(model.objective))
