"""From a log to a dependence: cross-fitted nuisances, lambda, and what is made of it.

Shapes: N impressions, K levels of the click-only features.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.calibration.maps import sigmoid
from mtl_seq.data import Codec, read_frame
from mtl_seq.dependence.correction import Correction, nuisance_logits
from mtl_seq.dependence.level_probability import fit_shares
from mtl_seq.dependence.levels import Levels
from mtl_seq.dependence.likelihood import joint_dependence, profile_likelihood
from mtl_seq.dependence.moment import dependence_moment
from mtl_seq.errors import CompositionError, SelectionWarning
from mtl_seq.models import Builder, CalibrationConfig, DependenceConfig, FunnelModel
from mtl_seq.nn import DependentHead
from mtl_seq.records import SelectionTest
from mtl_seq.schema import Schema

__all__ = [
    "Evidence",
    "Fitted",
    "Found",
    "evidence_of",
    "find_dependence",
    "find_log_odds_ratio",
    "fit_dependence",
    "held_at",
    "hold",
    "used",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Fitted(Protocol):
    """What is needed of a fitted estimator."""

    codec_: Codec
    model_: FunnelModel
    run_: Any


Fit = Callable[[Builder, pd.DataFrame], Fitted]
"""Fits a builder to rows with the settings of an estimator."""


class Evidence(NamedTuple):
    """Held-out nuisances of every row of a log, and its labels: ``(N,)`` but for two.

    Attributes:
        click_logit: ``(N, K)`` of the click at every level, by a network not fitted to the row.
        rate_logit: Likewise of P(conversion | click).
        shares: ``(N, K)`` P(level | x).
        level: The row's own level.
        click: 0 or 1.
        conversion: 0 or 1.
        weight: Of the rows.
        group: Codes of the user; None where there is none.
    """

    click_logit: FloatArray
    rate_logit: FloatArray
    shares: FloatArray
    level: IntArray
    click: FloatArray
    conversion: FloatArray
    weight: FloatArray
    group: IntArray | None


class Found(NamedTuple):
    """What came of a fit.

    Attributes:
        codec: Encodes rows for the model.
        model: The model.
        run: Its training run.
        dependence: What was found of its dependence; None where lambda is held.
    """

    codec: Codec
    model: FunnelModel
    run: Any
    dependence: Correction | None


def hold(
    model: FunnelModel,
    schema: Schema,
    log: pd.DataFrame | str | Path,
    calibrate: CalibrationConfig | None,
) -> None:
    """Hold lambda where it is to be found otherwise than by training, before any training.

    Raises:
        CompositionError: A head without lambda, or a calibration on clicks.
        SchemaError: Click-only features that cannot say anything.
        DataError: Too many levels of them.
    """
    how, head = model.dependence or DependenceConfig(), model.network.head
    if calibrate is not None:
        raise CompositionError(
            "`calibrate` maps pCVR to what clicks alone show, which is not pCVR of this model: "
            "leave it out; the moment calibrates what it takes from clicks"
        )
    if how.find != "held":
        Levels.fit(schema, read_frame(log))
    if how.find == "joint":
        return
    if not isinstance(head, DependentHead):
        raise CompositionError(
            f"`dependence` needs nn.DependentHead or a class of it, found {type(head).__name__}"
        )
    head.hold_at(how.log_odds_ratio if how.find == "held" else 0.0)


def fit_dependence(
    builder: Builder,
    schema: Schema,
    frame: pd.DataFrame | str | Path,
    found: Found,
    fit: Fit,
    *,
    seed: int,
) -> Found:
    """Find the dependence of a trained model, and fit it again where that is asked for.

    Args:
        builder: Builds the model.
        schema: The roles of the columns.
        frame: The rows; they are read into memory whole.
        found: The trained model.
        fit: Fits a builder to rows with the same settings.
        seed: Seed of the folds.
    """
    how = found.model.dependence
    if how is None or how.find == "held":
        return found
    log = read_frame(frame)
    if how.find == "joint":
        dependence = joint_dependence(found.model, found.codec, schema, log)
    else:
        dependence = find_dependence(builder, how, schema, log, fit, found.codec, seed=seed)
    warn_of(dependence.test)
    if not how.refit or how.find == "joint":
        return found._replace(dependence=dependence)
    again = fit(held_at(builder, dependence.log_odds_ratio), log)
    dependence = replace(dependence, by_network=True)
    return Found(again.codec_, again.model_, again.run_, dependence)


def held_at(builder: Builder, log_odds_ratio: float) -> Builder:
    """The builder, for a model whose lambda is held."""

    def build(*args: object, **kwargs: object) -> FunnelModel:
        model = builder(*args, **kwargs)
        model.dependence = replace(
            model.dependence or DependenceConfig(), find="held", log_odds_ratio=log_odds_ratio
        )
        return model

    return build


def find_dependence(
    builder: Builder,
    how: DependenceConfig,
    schema: Schema,
    log: pd.DataFrame,
    fit: Fit,
    codec: Codec,
    *,
    seed: int,
) -> Correction:
    """Find lambda in a log.

    Nuisances come from networks that were not fitted to the row. Rows are parted at random and not
    by user: a user's id is a feature, and a network that never met the user knows less than the one
    that predicts. Standard errors are clustered by user.

    Args:
        builder: Builds the model.
        how: The settings.
        schema: The roles of the columns.
        log: The rows.
        fit: Fits a builder to rows.
        codec: Encodes rows for the network that is to predict.
        seed: Seed of the parting.

    Raises:
        SchemaError: Click-only features that cannot say anything.
        DataError: Levels without clicks, or too many.
    """
    levels = Levels.fit(schema, log)
    level = levels.codes(log)
    features = codec.encode(log, labels=False).features
    told = [name for name in schema.features if name not in levels.columns]
    shares = fit_shares(how, log, features, level, len(levels), told, seed=seed)
    parts = np.random.default_rng([seed, 9]).permutation(len(log)) % how.folds
    click, rate = np.empty((len(log), len(levels))), np.empty(len(log))
    for index in range(how.folds):
        held, others = np.flatnonzero(parts == index), np.flatnonzero(parts != index)
        fitted = fit(held_at(builder, 0.0), log.iloc[others])
        rows, own = log.iloc[held], fitted.codec_
        click[held], rate[held] = nuisance_logits(
            fitted.model_.network, own, levels, rows, own.encode(rows, labels=False).features
        )
    test = find_log_odds_ratio(
        how, evidence_of(schema, log, click, rate, shares.of(log, features), level)
    )
    test = test._replace(level_share=shares.source)
    return Correction(test, used(how, test), how.find, levels, shares)


def evidence_of(
    schema: Schema,
    log: pd.DataFrame,
    click_logit: FloatArray,
    rate_logit: FloatArray,
    shares: FloatArray,
    level: IntArray,
) -> Evidence:
    """Join nuisances and a log's own columns."""
    funnel = schema.funnel
    click, conversion = (
        log[schema.labels[stage]].to_numpy(dtype=np.float64)
        for stage in (funnel.first, funnel.last)
    )
    weight, group = np.ones(len(log)), None
    if schema.weight is not None:
        weight = log[schema.weight].to_numpy(dtype=np.float64)
    if schema.group is not None:
        group = np.asarray(pd.factorize(log[schema.group], use_na_sentinel=False)[0], np.int64)
    return Evidence(click_logit, rate_logit, shares, level, click, conversion, weight, group)


def find_log_odds_ratio(how: DependenceConfig, evidence: Evidence) -> SelectionTest:
    """Estimate lambda as the settings say."""
    solve = profile_likelihood if how.find == "profile" else dependence_moment
    return solve(
        sigmoid(evidence.click_logit),
        sigmoid(evidence.rate_logit),
        evidence.level,
        evidence.click,
        evidence.conversion,
        evidence.shares,
        weight=evidence.weight,
        group=evidence.group,
    )


def used(how: DependenceConfig, test: SelectionTest) -> float:
    """The lambda to predict with: 0 where it is not identified, shrunk where that is asked for."""
    if test.verdict == "not identified":
        return 0.0
    if not how.shrink:
        return test.log_odds_ratio
    kept = 1 - (test.standard_error / test.log_odds_ratio) ** 2 if test.log_odds_ratio else 0.0
    return test.log_odds_ratio * max(kept, 0.0)


def warn_of(test: SelectionTest) -> None:
    """Warn where a dependence is not, or hardly, identified."""
    if test.verdict == "identified":
        return
    made = (
        "predictions are not corrected for it"
        if test.verdict == "not identified"
        else "predictions use it, and are as uncertain"
    )
    warnings.warn(
        f"the dependence of click and conversion is {test.verdict} (log odds ratio {test.log_odds_ratio:.2f}, "
        f"standard error {test.standard_error:.2f}): {made}; `mtl-seq sensitivity` says what the "
        "log leaves open",
        SelectionWarning,
        stacklevel=3,
    )
