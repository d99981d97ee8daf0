"""The contract of estimators."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from mtl_seq.errors import NotFittedError
from mtl_seq.fit import FunnelEstimator
from mtl_seq.records import FunnelTruth
from mtl_seq.schema import Schema
from mtl_seq.simulate import LogisticFunnel, Simulator
from mtl_seq.testing.base import keeps_global_random_state, require

__all__ = ["check_estimator"]


def check_estimator(
    make: Callable[[Schema], FunnelEstimator], *, simulator: Simulator | None = None
) -> None:
    """Check fit, predict, save and load of an estimator on a small log.

    Args:
        make: Builds an unfitted estimator for a schema; called twice.
        simulator: Draws the log, which must have the id ``user_id``; by default one of clicks and
            conversions.
    """
    simulator = simulator or LogisticFunnel(users=60, items=40, seed=0)
    log, truth = simulator.sample(3000, np.random.default_rng(0))
    log.index = pd.Index(np.arange(len(log)) * 7 + 3)
    estimator = make(simulator.schema)
    try:
        estimator.predict(log)
    except NotFittedError:
        pass
    else:
        require(False, "predicting before fitting must be an error")
    before = log.copy(deep=True)
    with keeps_global_random_state("`fit`"):
        fitted = estimator.fit(log, truth=truth)
    require(fitted is estimator, "`fit` must return the estimator")
    require(log.equals(before), "`fit` must not change the frame")
    unlabelled = log[list(simulator.schema.features)]
    scores = estimator.predict(unlabelled)
    require(scores.index.equals(log.index), "predictions must carry the input's index")
    if estimator.model_.objective.ranks_only:
        _check_ranking(scores)
    else:
        _check_scores(scores)
    require(estimator.predict(log).equals(scores), "labels must not change a prediction")
    _check_unseen(estimator, unlabelled)
    _check_saved(estimator, unlabelled, scores)
    _check_again(make(simulator.schema), log, truth, scores)


def _check_ranking(scores: pd.DataFrame) -> None:
    require(list(scores.columns) == ["score"], f"columns {list(scores.columns)}")
    require(bool(np.isfinite(scores["score"]).all()), "scores must be finite")
    require(scores["score"].nunique() > 1, "scores must differ between rows")


def _check_scores(scores: pd.DataFrame) -> None:
    require(list(scores.columns) == ["pctr", "pcvr", "pctcvr"], f"columns {list(scores.columns)}")
    values = scores.to_numpy()
    require(bool(((values >= 0) & (values <= 1)).all()), "predictions must lie in [0, 1]")
    require(bool((scores["pctcvr"] <= scores["pcvr"]).all()), "pCTCVR must not exceed pCVR")
    require(scores["pcvr"].nunique() > 1, "predictions must differ between rows")


def _check_unseen(estimator: FunnelEstimator, rows: pd.DataFrame) -> None:
    strange = rows.assign(user_id=10**12 + np.arange(len(rows)))
    values = estimator.predict(strange).to_numpy()
    require(bool(np.isfinite(values).all()), "ids unseen in training must be scored")


def _check_saved(estimator: FunnelEstimator, rows: pd.DataFrame, scores: pd.DataFrame) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        estimator.save(path)
        loaded = FunnelEstimator.load(path)
    require(loaded.predict(rows).equals(scores), "a saved and loaded model must predict the same")


def _check_again(
    estimator: FunnelEstimator, log: pd.DataFrame, truth: FunnelTruth, scores: pd.DataFrame
) -> None:
    again = estimator.fit(log, truth=truth).predict(log)
    require(again.equals(scores), "one seed must give one fit")
