"""Which calibration a fit has, and its map once training is over."""

from mtl_seq.fit.calibrate import Calibrate, Calibration
from mtl_seq.fit.prepared import Prepared
from mtl_seq.fit.run import Run
from mtl_seq.fit.scores import score_labelled
from mtl_seq.models import FunnelModel

__all__ = ["calibrate_model", "calibration_of"]


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


def calibrate_model(how: Calibrate | None, prepared: Prepared, run: Run) -> Calibration | None:
    """Fit the map of a trained model to the rows it is to be fitted to.

    Training rows are scored as they were trained on: their target encodings are those of the other
    folds.

    Raises:
        DataError: Clicked rows of which none, or all, converted.
        CompositionError: A model whose pCVR is not pCTCVR / pCTR.
    """
    if how is None:
        return None
    model = prepared.model
    rows = prepared.rows if how.on == "training" else prepared.validation
    scores, labels = score_labelled(model.network, rows, run.arithmetic)
    return how.fit(scores, labels, weighted=how.check(model.objective))
