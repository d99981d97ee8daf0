"""Fit a log, predict a log."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mtl_seq.calibration.calibrate import Calibration
from mtl_seq.data import Codec, Encoding, read_frame
from mtl_seq.data.parquet.predict_log import LogPredictor
from mtl_seq.dependence.correction import Correction
from mtl_seq.dependence.find import DependenceStep, Trained
from mtl_seq.errors import CompositionError, DataError, NotFittedError
from mtl_seq.fit.balance import BalanceFactory
from mtl_seq.fit.calibration_step import calibration_of, calibration_run
from mtl_seq.fit.config import FitConfig, Precision
from mtl_seq.fit.optim import OptimizerFactory
from mtl_seq.fit.parameters import Parameters
from mtl_seq.fit.prediction import joint_probabilities, predict_frame
from mtl_seq.fit.prepare.build_model import build_model
from mtl_seq.fit.prepare.in_memory import prepare
from mtl_seq.fit.prepare.warm_start import Fitted
from mtl_seq.fit.score import funnel_log_loss
from mtl_seq.fit.storage.model_folder import (
    SavedModel,
    config_to_json,
    load_folder,
    load_weights,
    save_folder,
)
from mtl_seq.fit.train.loop import train
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.fit.train.resume import Checkpoints
from mtl_seq.models import Builder, CalibrationConfig, FunnelModel
from mtl_seq.records import FunnelTruth
from mtl_seq.schema import Schema

__all__ = ["FunnelEstimator"]


class FunnelEstimator(Parameters, LogPredictor):
    """A model fitted to a log, by scikit-learn's contract.

    The constructor stores its arguments untouched; `fit` checks everything, returns the estimator
    and forgets an earlier fit. `get_params`, `set_params`, `sklearn.base.clone`, `GridSearchCV` and
    `cross_val_predict` work: a log holds its labels, so that `y` is None everywhere.

    Args:
        model: A builder such as `models.esmm`, or a ``functools.partial`` of one; None for
            `models.targeted`.
        schema: The roles of the log's columns; needed by `fit`.
        epochs: Largest number of epochs; None for one, or on a small log as many as make 100
            steps. Embeddings of ids overfit quickly: more epochs are often worse.
        batch_size: Rows per step.
        lr: Learning rate at the start; it falls linearly to 0.
        weight_decay: Decoupled weight decay of all but embedding tables.
        id_dropout: Share of ids replaced by the unseen in training, so that unseen ids get a
            trained row.
        encoding: How columns become vectors: embedding size, linear terms, target encodings,
            treatment of rare ids and of missing numbers; None for `Encoding()`.
        validation: Share of the rows held out for the checkpoint rule: the latest where the schema
            has a time, else random ones.
        patience: Epochs without a better checkpoint before training stops.
        balance: Balances the losses, such as `fit.GradNorm`, or a partial of one; None for the sum
            in the objective's weights.
        calibrate: How pCVR is calibrated on clicked rows after training; None for what the model
            names, as `models.targeted` does, and for no calibration where it names none.
        optimizer: Builds the optimiser: `fit.DenseAdam()`, the default, or one that updates only
            the table rows that a step touched, such as `fit.RowWiseAdagrad()`.
        precision: In what the network computes, here and in `predict`: ``"float32"``,
            ``"bfloat16"``, or ``"auto"`` for what its first batch finds fastest on this machine.
            Weights, losses and metrics are float32 in any case.
        allow_leak: Features that may predict a label almost perfectly.
        seed: Seed of the weights, the split, the order of rows and the id dropout.
        progress: Whether to draw a progress line on standard error.
        trainer: Further arguments of Lightning's Trainer.

    Attributes:
        config_: The `FitConfig` of the fit: its parameters, defaults resolved.
        codec_: Vocabularies and scaling, after `fit`.
        model_: The fitted `FunnelModel`.
        run_: The training result: values of the checkpoint rule, the epoch kept, and its validation
            metrics.
        dependence_: The fitted dependence of click and conversion; None for a model without one, or
            whose lambda is fixed.
        calibration_: The map that `predict` applies to the network's pCVR; None without a
            calibration.
    """

    config_: FitConfig
    codec_: Codec
    model_: FunnelModel
    run_: TrainingResult
    calibration_: Calibration | None
    dependence_: Correction | None

    def __init__(
        self,
        model: Builder | None = None,
        schema: Schema | None = None,
        *,
        epochs: int | None = None,
        batch_size: int = 256,
        lr: float = 5e-3,
        weight_decay: float = 0.0,
        id_dropout: float = 0.01,
        encoding: Encoding | None = None,
        validation: float = 0.05,
        patience: int = 2,
        balance: BalanceFactory | None = None,
        calibrate: CalibrationConfig | None = None,
        optimizer: OptimizerFactory | None = None,
        precision: Precision = "float32",
        allow_leak: Collection[str] = (),
        seed: int = 0,
        progress: bool = False,
        trainer: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.schema = schema
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.id_dropout = id_dropout
        self.encoding = encoding
        self.validation = validation
        self.patience = patience
        self.balance = balance
        self.calibrate = calibrate
        self.optimizer = optimizer
        self.precision = precision
        self.allow_leak = allow_leak
        self.seed = seed
        self.progress = progress
        self.trainer = trainer

    def fit(
        self,
        log: pd.DataFrame | str | Path,
        y: None = None,
        *,
        truth: FunnelTruth | None = None,
        validation: pd.DataFrame | str | Path | None = None,
        checkpoints: Checkpoints | None = None,
        warm_start: "FunnelEstimator | None" = None,
    ) -> "FunnelEstimator":
        """Fit a log.

        Args:
            log: The log with its labels, or its path: a parquet file, a folder, a glob, or a URL
                that fsspec knows. A frame stays in memory, and so does a local file or folder of at
                most a million rows; all else is streamed. It is not changed.
            y: None; for scikit-learn only.
            truth: The truth of the same rows, for the oracle only.
            validation: Rows for the checkpoint rule; by default a share of the log.
            checkpoints: Folder from which the fit can be resumed after a stop; None for none.
                Its checkpoint stays there when the fit is over.
            warm_start: An estimator fitted to earlier rows whose training continues on these: old
                ids keep their vectors, new ones are appended, scaling stays.

        Returns:
            The estimator.

        Raises:
            CompositionError: No schema, or a model that cannot be composed as asked for.
            SchemaError: A declared column is absent.
            DataError: Rows that cannot be trained on; see `mtl_seq.data`. Or a `y`.
            ArtifactError: Checkpoints of another fit.
            KeyboardInterrupt: Interrupted; an earlier fit is left as it was.
            Terminated: Stopped by SIGTERM, with checkpoints; likewise.
        """
        _refuse_labels(y)
        config = FitConfig.from_parameters(self.get_params(deep=False))
        start = None if warm_start is None else warm_start._fitted()
        codec = None
        if checkpoints is not None:
            checkpoints.begin()
            codec = checkpoints.codec()
        data = prepare(config, log, truth=truth, validation=validation, codec=codec, start=start)
        if checkpoints is not None:
            plan = config_to_json(config)
            plan = {"model": plan["model"], "rows": data.size, **plan["settings"]}
            checkpoints.agree(data.codec, plan)
        model = data.model
        calibrate = calibration_of(model, config.calibrate)
        step = None
        if model.dependence is not None:
            step = DependenceStep(config.model, model.dependence, config.schema, config.seed)
            step.fix(model, log)
        run = train(config, data, checkpoints).with_constants(data.rates)
        calibration = calibration_run(calibrate, data, run)
        trained, dependence = Trained(data.codec, model.eval(), run), None
        if step is not None:
            trained, dependence = step.fit(log, trained, self._train)
        self.config_, self.calibration_, self.dependence_ = config, calibration, dependence
        self.codec_, self.model_, self.run_ = trained
        return self

    def _columns(self) -> tuple[str, ...]:
        return self._fitted().codec.columns(labels=False)

    def _predict_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        after = (self.calibration_, self.dependence_)
        return predict_frame(self.model_, self.codec_, self.run_, frame, *after)

    def score(self, log: pd.DataFrame | str | Path, y: None = None) -> float:
        """Minus the funnel's log loss over all impressions: the higher, the better.

        Each impression's loss is the cross-entropy of pCTR plus, where it was clicked, that of
        pCTCVR / pCTR, the CVR among clicks, as `predict` gives them; with further stages, of every
        stage given its parent, where the parent was reached. The mean is over all impressions, in
        the schema's weights. It is the mean log-likelihood of the labels of clicks and conversions,
        and says nothing of pCVR where nothing was clicked.

        Args:
            log: Rows with labels, or a parquet file of them.
            y: None; for scikit-learn only.

        Raises:
            NotFittedError: Nothing was fitted.
            CompositionError: A model that only ranks.
            SchemaError: A declared column is absent.
            DataError: No rows, or values that cannot be used. Or a `y`.
        """
        _refuse_labels(y)
        fitted, frame = self._fitted(), read_frame(log)
        if fitted.model.objective.ranks_only:
            raise CompositionError(
                "`score` needs probabilities, but the scores of this model only rank: measure "
                "their order, such as with metrics.GAUC"
            )
        rows = fitted.codec.encode(frame)
        assert rows.labels is not None
        joint = joint_probabilities(fitted.model, rows, self.run_, self.predict(frame))
        return -funnel_log_loss(fitted.codec.schema.funnel, rows.labels, joint)

    def save(self, path: str | Path) -> None:
        """Write weights (safetensors), codec and settings (JSON) to a folder, whole or not at all.

        Raises:
            ArtifactError: The folder holds something else, which would be lost.
            NotFittedError: Nothing was fitted.
        """
        self._fitted()
        after = (self.calibration_, self.dependence_)
        save_folder(path, SavedModel(self.config_, self.codec_, self.run_, *after), self.model_)

    @classmethod
    def load(cls, path: str | Path, *, model: Builder | None = None) -> "FunnelEstimator":
        """Read what `save` wrote. No code in the folder is run.

        Args:
            path: The folder.
            model: The builder, if it is user-defined.

        Returns:
            The fitted estimator; its parameters are those of the fit, with defaults resolved.

        Raises:
            ArtifactError: The folder is incomplete, from a newer version, or its builder is
                user-defined and `model` is not given.
        """
        saved = load_folder(path, model)
        config = saved.config
        estimator = cls(config.model, config.schema, **config.settings)
        built = build_model(config, saved.codec)
        load_weights(path, built)
        estimator.codec_, estimator.model_, estimator.run_ = saved.codec, built.eval(), saved.run
        estimator.calibration_, estimator.dependence_ = saved.calibration, saved.dependence
        estimator.config_ = config
        return estimator

    def _train(self, builder: Builder, rows: pd.DataFrame) -> Trained:
        """Train a builder on rows with the same settings."""
        parameters = self.get_params(deep=False) | {"model": builder, "progress": False}
        other = type(self)(**parameters).fit(rows)
        return Trained(other.codec_, other.model_, other.run_)

    def _fitted(self) -> Fitted:
        if not hasattr(self, "model_"):
            raise NotFittedError("nothing was fitted yet: call `fit` first, or `load` a folder")
        return Fitted(self.codec_, self.model_)


def _refuse_labels(y: object) -> None:
    if y is not None:
        raise DataError(
            f"`y` must be None, found {type(y).__name__}: labels are columns of the log, named by "
            "the schema; a simulator's truth is passed by name, `fit(log, truth=truth)`"
        )
