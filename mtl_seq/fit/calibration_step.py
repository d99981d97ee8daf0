"""The step after training that calibrates pCVR."""

from mtl_seq.calibration.calibrate import Calibration, fit_calibration
from mtl_seq.errors import CompositionError
from mtl_seq.fit.prediction import score_labelled
from mtl_seq.fit.prepare.rows import Rows
from mtl_seq.fit.prepare.training_data import TrainingData
from mtl_seq.fit.train.precision import Arithmetic
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.models import CalibrationConfig, FunnelModel
from mtl_seq.records import FunnelBatch

__all__ = ["calibrate_model", "calibration_of", "calibration_run"]


def calibration_of(model: FunnelModel, asked: CalibrationConfig | None) -> CalibrationConfig | None:
    """The calibration that the estimator sets, else the one that the model names; None for none.

    Raises:
        CompositionError: A calibration that the model does not allow.
    """
    config = model.calibration if asked is None else asked
    if config is not None:
        config.weighted_for(model.objective)
        if model.dependence is not None:
            raise CompositionError(
                "`calibrate` maps pCVR to P(conversion | click), which is not pCVR of a model with "
                "a dependence: leave it out; the moment calibrates its own nuisances on clicks"
            )
    return config


def calibration_run(
    config: CalibrationConfig | None, data: TrainingData, run: TrainingResult
) -> Calibration | None:
    """Fit the calibration of a trained model to the rows that its settings name; None without one.

    Training rows are scored with the target encodings of training, those of the other folds.

    Raises:
        DataError: Clicked rows of which none, or all, converted.
        CompositionError: A model whose pCVR is not pCTCVR / pCTR.
    """
    if config is None:
        return None
    rows = data.rows if config.on == "training" else data.validation
    return _fit(config, data.model, rows, run.arithmetic)


def calibrate_model(
    model: FunnelModel, rows: FunnelBatch, config: CalibrationConfig | None = None
) -> Calibration:
    """Fit the calibration of a model that a user-defined loop has trained.

    Args:
        model: The model; it is put into eval mode.
        rows: Labelled rows, those that ``config.on`` names: training rows encoded by
            `Codec.encode_training`, or validation rows.
        config: The settings; None for what the model names.

    Returns:
        The calibration: its `pcvr` maps the network's pCVR to the calibrated one.

    Raises:
        DataError: Clicked rows of which none, or all, converted.
        CompositionError: No calibration, or one that the model does not allow.
    """
    config = calibration_of(model, config)
    if config is None:
        raise CompositionError(
            "this model names no calibration: pass one, `config=models.CalibrationConfig()`"
        )
    return _fit(config, model, rows, Arithmetic.FLOAT32)


def _fit(
    config: CalibrationConfig, model: FunnelModel, rows: Rows, arithmetic: Arithmetic
) -> Calibration:
    scores, labels = score_labelled(model.network, rows, arithmetic)
    return fit_calibration(config, scores, labels, weighted=config.weighted_for(model.objective))
