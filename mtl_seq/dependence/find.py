"""The step after training that estimates lambda by cross-fitting and corrects the predictions.

Shapes: N impressions, K levels of the click-only features.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from mtl_seq.data import Codec, read_frame
from mtl_seq.dependence.correction import Correction, NuisanceLogits, nuisance_logits
from mtl_seq.dependence.level_probability import fit_shares
from mtl_seq.dependence.levels import Levels
from mtl_seq.dependence.likelihood import joint_dependence, profile_likelihood
from mtl_seq.dependence.moment import dependence_moment
from mtl_seq.errors import CompositionError, SelectionWarning
from mtl_seq.models import Builder, DependenceConfig, FunnelModel
from mtl_seq.nn import DependentHead
from mtl_seq.records import FloatArray, IntArray, SelectionTest
from mtl_seq.schema import Schema

__all__ = ["DependenceStep", "Train", "Trained", "applied_log_odds_ratio", "fixed_at"]


class Trained(NamedTuple):
    """A trained model.

    Attributes:
        codec: Encodes rows for the model.
        model: The model.
        result: What the trainer reports of the training; it is not read here.
    """

    codec: Codec
    model: FunnelModel
    result: Any = None


Train = Callable[[Builder, pd.DataFrame], Trained]
"""Trains what a builder builds on some rows."""


@dataclass(frozen=True)
class DependenceStep:
    """Estimation of lambda after training: `fit` returns a `Correction`, whose `apply` predicts.

    Attributes:
        builder: Builds the model.
        config: The settings.
        schema: The roles of the columns.
        seed: Seed of the folds.
    """

    builder: Builder
    config: DependenceConfig
    schema: Schema
    seed: int

    def fix(self, model: FunnelModel, log: pd.DataFrame | str | Path) -> None:
        """Before training, fix lambda of a model unless training is to learn it.

        Raises:
            CompositionError: A head without lambda.
            SchemaError: Click-only features that cannot identify lambda.
            DataError: Too many levels of them.
        """
        if self.config.method != "fixed":
            Levels.fit(self.schema, read_frame(log))
        if self.config.method == "joint":
            return
        head = model.network.head
        if not isinstance(head, DependentHead):
            raise CompositionError(
                f"`dependence` needs nn.DependentHead or a class of it, found {type(head).__name__}"
            )
        head.fix_at(self.config.log_odds_ratio if self.config.method == "fixed" else 0.0)

    def fit(
        self, frame: pd.DataFrame | str | Path, trained: Trained, train: Train
    ) -> tuple[Trained, Correction | None]:
        """Estimate lambda, and train the model again where the settings ask for a refit.

        Args:
            frame: The training rows; they are read into memory whole.
            trained: The model, trained on them.
            train: Trains a builder's model with the same settings.

        Returns:
            The model to predict with, and the correction of its predictions; None where lambda is
            fixed.
        """
        if self.config.method == "fixed":
            return trained, None
        log = read_frame(frame)
        if self.config.method == "joint":
            correction = joint_dependence(trained.model, trained.codec, self.schema, log)
        else:
            correction = self.estimate(log, trained.codec, train)
        _warn(correction.test)
        if not self.config.refit or self.config.method == "joint":
            return trained, correction
        again = train(fixed_at(self.builder, correction.log_odds_ratio), log)
        return again, replace(correction, by_network=True)

    def estimate(self, log: pd.DataFrame, codec: Codec, train: Train) -> Correction:
        """Estimate lambda from nuisances that are cross-fitted.

        Folds are of rows and not of users: a user's id is a feature, and a network that never saw
        the user predicts worse than the one whose predictions are corrected. Standard errors are
        clustered by user.

        Args:
            log: The rows.
            codec: Encodes rows for the network whose predictions are corrected.
            train: Trains a builder's model on a fold's other rows.

        Raises:
            SchemaError: Click-only features that cannot identify lambda.
            DataError: Levels without clicks, or too many.
        """
        levels = Levels.fit(self.schema, log)
        level = levels.codes(log)
        features = codec.encode(log, labels=False).features
        names = [name for name in self.schema.features if name not in levels.columns]
        shares = fit_shares(self.config, log, features, level, names, seed=self.seed)
        logits = self._cross_fitted(log, levels, train)
        test = self._test(log, logits, shares.predict(log, features), level)
        test = test._replace(level_share=shares.source)
        applied = applied_log_odds_ratio(self.config, test)
        return Correction(test, applied, self.config.method, levels, shares)

    def _cross_fitted(self, log: pd.DataFrame, levels: Levels, train: Train) -> NuisanceLogits:
        """Nuisances of every row by a network that was trained on the other folds."""
        folds = self.config.folds
        fold = np.random.default_rng([self.seed, 9]).permutation(len(log)) % folds
        click, rate = np.empty((len(log), len(levels))), np.empty(len(log))
        for index in range(folds):
            inside, others = np.flatnonzero(fold == index), np.flatnonzero(fold != index)
            codec, model, _ = train(fixed_at(self.builder, 0.0), log.iloc[others])
            rows = log.iloc[inside]
            click[inside], rate[inside] = nuisance_logits(
                model.network, codec, levels, rows, codec.encode(rows, labels=False).features
            )
        return NuisanceLogits(click, rate)

    def _test(
        self, log: pd.DataFrame, logits: NuisanceLogits, shares: FloatArray, level: IntArray
    ) -> SelectionTest:
        """Estimate and test of lambda by the method of the settings."""
        schema, funnel = self.schema, self.schema.funnel
        click, conversion = (
            log[schema.labels[stage]].to_numpy(dtype=np.float64)
            for stage in (funnel.first, funnel.last)
        )
        weight, group = np.ones(len(log)), None
        if schema.weight is not None:
            weight = log[schema.weight].to_numpy(dtype=np.float64)
        if schema.group is not None:
            group = np.asarray(pd.factorize(log[schema.group], use_na_sentinel=False)[0], np.int64)
        solve = profile_likelihood if self.config.method == "profile" else dependence_moment
        return solve(
            expit(logits.click),
            expit(logits.rate),
            level,
            click,
            conversion,
            shares,
            weight=weight,
            group=group,
        )


def fixed_at(builder: Builder, log_odds_ratio: float) -> Builder:
    """The builder of the same model with lambda fixed."""

    def build(*args: object, **kwargs: object) -> FunnelModel:
        model = builder(*args, **kwargs)
        config = model.dependence or DependenceConfig()
        model.dependence = replace(config, method="fixed", log_odds_ratio=log_odds_ratio)
        return model

    return build


def applied_log_odds_ratio(config: DependenceConfig, test: SelectionTest) -> float:
    """The lambda that predictions use: 0 where it is not identified, shrunk where asked for."""
    if test.verdict == "not identified":
        return 0.0
    if not config.shrink or test.log_odds_ratio == 0:
        return test.log_odds_ratio
    factor = 1 - (test.standard_error / test.log_odds_ratio) ** 2
    return test.log_odds_ratio * max(factor, 0.0)


def _warn(test: SelectionTest) -> None:
    """Warn where a dependence is weakly identified or not at all."""
    if test.verdict == "identified":
        return
    consequence = (
        "predictions are not corrected for it"
        if test.verdict == "not identified"
        else "predictions use it, and are as uncertain"
    )
    warnings.warn(
        f"the dependence of click and conversion is {test.verdict} (log odds ratio "
        f"{test.log_odds_ratio:.2f}, standard error {test.standard_error:.2f}): {consequence}; "
        "`mtl-seq sensitivity` shows the CVRs that the log is compatible with",
        SelectionWarning,
        stacklevel=3,
    )
