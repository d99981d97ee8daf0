"""Study of off-click estimators on simulated data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtl_seq import models
from mtl_seq.fit import FunnelEstimator
from mtl_seq.report import EstimatorStudy, usual_imputations, usual_propensities
from mtl_seq.simulate import Simulator

__all__ = ["study_estimators"]

_TINY = 1e-7


def study_estimators(
    simulator: Simulator,
    *,
    rows: int = 200_000,
    fit_rows: int = 200_000,
    replicates: int = 200,
    floors: Sequence[float] = (0.1,),
    seed: int = 0,
    progress: bool = False,
    settings: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> EstimatorStudy:
    """Study estimators of means over all impressions, with propensities true and learned.

    A multi-task model is fitted to one draw of the scenario. On a second draw, its pCVR is the
    prediction whose loss over all impressions is estimated, and its pCTR the learned propensity.
    The study includes the propensities of `usual_propensities` and the imputations of
    `usual_imputations`.

    Args:
        simulator: The simulator.
        rows: Impressions whose clicks are redrawn.
        fit_rows: Impressions to fit the model to.
        replicates: The number of redraws.
        floors: Floors of the clipped propensities.
        seed: Seed of both draws, of the fit and of the redraws; the simulator has a seed of its
            own.
        progress: Whether to show the progress of the fit on standard error.
        settings: Further arguments of `FunnelEstimator`.
        metadata: Further metadata of the study.

    Raises:
        SimulationError: Fewer than one row.
        DataError: A draw that cannot be trained on, or a setting out of range.
    """
    held, truth = simulator.sample(rows, np.random.default_rng([seed, 2]))
    propensities = usual_propensities(truth.pctr, floors=floors)
    log, _ = simulator.sample(fit_rows, np.random.default_rng([seed, 1]))
    fitted = FunnelEstimator(
        models.multitask, simulator.schema, seed=seed, progress=progress, **(settings or {})
    ).fit(log)
    scores = fitted.predict(held)
    return EstimatorStudy.from_arrays(
        truth.pctr,
        truth.pcvr,
        np.clip(scores["pcvr"].to_numpy(), _TINY, 1 - _TINY),
        pctcvr=truth.pctcvr,
        propensities={**propensities, "learned": scores["pctr"].to_numpy()},
        imputations=usual_imputations(truth.pctr, truth.pcvr, truth.pctcvr),
        replicates=replicates,
        seed=seed,
        metadata={
            **(metadata or {}),
            "prediction": "pCVR of multitask",
            "learned propensity": "pCTR of multitask",
            "impressions to fit on": fit_rows,
            "share of impressions below": {
                f"{floor:g}": float((truth.pctr < floor).mean()) for floor in floors
            },
        },
    )
