"""Which calibration a fit has, and its map once training is over."""

from mtl_seq.calibration.calibrate import Calibration, fit_calibration
from mtl_seq.errors import CompositionError
from mtl_seq.fit.prediction import score_labelled
from mtl_seq.fit.prepare.training_data import Prepared
from mtl_seq.fit.train.precision import Arithmetic
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.models import CalibrationConfig, FunnelModel
from mtl_seq.records import FunnelBatch

__all__ = ["calibrate_model", "calibration_of", "calibration_run"]


def calibration_of(model: FunnelModel, asked: CalibrationConfig | None) -> CalibrationConfig | None:
    """What the estimator was asked for, else what the model names; None for no calibration.

    Raises:
        CompositionError: One that does not go with the model.
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
    config: CalibrationConfig | None, prepared: Prepared, run: TrainingResult
) -> Calibration | None:
    """Fit the map of a trained model to the rows it is to be fitted to; None for no map.

    Training rows are scored as they were trained on: their target encodings are those of the other
    folds.

    Raises:
        DataError: Clicked rows of which none, or all, converted.
        CompositionError: A model whose pCVR is not pCTCVR / pCTR.
    """
    if config is None:
        return None
    rows = prepared.rows if config.on == "training" else prepared.validation
    scores, labels = score_labelled(prepared.model.network, rows, run.arithmetic)
    weighted = config.weighted_for(prepared.model.objective)
    return fit_calibration(config, scores, labels, weighted=weighted)


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
        The map: its `pcvr` takes pCVR of the network to the calibrated one.

    Raises:
        DataError: Clicked rows of which none, or all, converted.
        CompositionError: No calibration, or one that does not go with the model.
    """
    config = calibration_of(model, config)
    if config is None:
        raise CompositionError(
            "this model names no calibration: pass one, `config=models.CalibrationConfig()`"
        )
    scores, labels = score_labelled(model.network, rows, Arithmetic.FLOAT32)
    return fit_calibration(config, scores, labels, weighted=config.weighted_for(model.objective))
