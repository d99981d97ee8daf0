"""Fit a DataFrame, predict a DataFrame."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mtl_seq.calibration.calibrate import Calibration
from mtl_seq.data import Codec, Encoding
from mtl_seq.data.parquet.predict_log import LogPredictor
from mtl_seq.dependence.correction import Correction
from mtl_seq.dependence.find import DependenceStep, Trained
from mtl_seq.errors import CompositionError, NotFittedError
from mtl_seq.fit.balance import BalanceFactory
from mtl_seq.fit.calibration_step import calibration_of, calibration_run
from mtl_seq.fit.optim import OptimizerFactory
from mtl_seq.fit.prediction import predict_frame
from mtl_seq.fit.prepare.in_memory import prepare
from mtl_seq.fit.prepare.training_data import epochs_of
from mtl_seq.fit.prepare.warm_start import Fitted
from mtl_seq.fit.storage.builder_json import builder_to_dict, name_of
from mtl_seq.fit.storage.model_folder import (
    SETTINGS,
    Saved,
    load_folder,
    load_weights,
    save_folder,
    settings_to_json,
)
from mtl_seq.fit.train.loop import train
from mtl_seq.fit.train.precision import Precision
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.fit.train.resume import Checkpoints
from mtl_seq.models import Builder, CalibrationConfig, FunnelModel
from mtl_seq.records import FunnelTruth
from mtl_seq.schema import Schema

__all__ = ["FunnelEstimator"]


class FunnelEstimator(LogPredictor):
    """A model fitted to a log, in scikit-learn's manners.

    The constructor only stores its arguments; `fit` checks everything, returns the estimator and
    forgets an earlier fit.

    Args:
        model: A builder such as `models.esmm`, or a ``functools.partial`` of one.
        schema: The roles of the log's columns.
        epochs: At most so many passes over the rows; by default one, or on a small log as many as
            make 100 steps. Embeddings of ids overfit quickly: more passes are often worse.
        batch_size: Rows per step.
        lr: Learning rate at the start; it falls linearly to 0.
        weight_decay: Decoupled weight decay of all but embedding tables.
        id_dropout: Share of ids replaced by the unseen in training, so that unseen ids get a
            trained row.
        encoding: How columns become vectors: embedding size, linear terms, target encodings, what
            becomes of rare ids and of missing numbers.
        validation: Share of the rows held out for the checkpoint rule: the latest where the schema
            has a time, else random ones.
        patience: Epochs without a better checkpoint before training stops.
        balance: Balances the losses, such as `fit.GradNorm`, or a partial of one; None for the sum
            that the objective's own weights make.
        calibrate: How pCVR is calibrated on clicked rows once training is over; None for what the
            model names, as `models.targeted` does, and for not at all where it names nothing.
        optimizer: Builds the optimiser: `fit.DenseAdam()`, the default, or one that moves only the
            rows of tables that a step touched, such as `fit.RowWiseAdagrad()`.
        precision: In what the network computes, here and in `predict`: ``"float32"``,
            ``"bfloat16"``, or ``"auto"`` for what its first batch finds fastest on this machine.
            Weights, losses and metrics are float32 in any case.
        allow_leak: Features that may predict a label almost perfectly.
        seed: Seed of the weights, the split, the order of rows and the id dropout.
        progress: Whether to draw a progress line on standard error.
        trainer: Further arguments of Lightning's Trainer.

    Attributes:
        codec_: Vocabularies and scaling, after `fit`.
        model_: The fitted `FunnelModel`.
        run_: The checkpoint rule's values, the epoch kept, and its figures on validation rows.
        dependence_: What was found of the dependence of click and conversion; None for a model
            without one, or whose lambda is held.
        calibration_: The map that `predict` puts behind the network; None without a calibration.
    """

    codec_: Codec
    model_: FunnelModel
    run_: TrainingResult
    calibration_: Calibration | None
    dependence_: Correction | None

    def __init__(
        self,
        model: Builder,
        schema: Schema,
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
        self.encoding = encoding or Encoding()
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
        frame: pd.DataFrame | str | Path,
        truth: FunnelTruth | None = None,
        *,
        validation: pd.DataFrame | str | Path | None = None,
        checkpoints: Checkpoints | None = None,
        warm_start: "FunnelEstimator | None" = None,
    ) -> "FunnelEstimator":
        """Fit a log.

        Args:
            frame: The log, or where it is: a parquet file, a folder, a glob, or a URL that fsspec
                knows. A frame stays in memory, and so does a local file or folder of at most a
                million rows; all else is streamed. It is not changed.
            truth: The truth of the same rows, for the oracle only.
            validation: Rows for the checkpoint rule; by default a share of the log.
            checkpoints: Where the fit is kept while it is unfinished, and gone on with after a
                stop; None for nowhere. What is kept there is left when the fit is over.
            warm_start: Fitted to earlier rows, to go on from with these: old ids keep their
                vectors, new ones are appended, scaling stays.

        Returns:
            The estimator.

        Raises:
            SchemaError: A declared column is absent.
            DataError: Rows that cannot be trained on; see `mtl_seq.data`.
            ArtifactError: Checkpoints of another fit.
            KeyboardInterrupt: Interrupted; an earlier fit is left as it was.
            Terminated: Stopped by SIGTERM, with checkpoints; likewise.
        """
        if not callable(self.model):
            raise CompositionError(
                f"`model` must be a builder such as models.esmm, found {self.model!r}"
            )
        start = None if warm_start is None else warm_start._fitted()
        if checkpoints is not None:
            checkpoints.begin()
        prepared = prepare(
            self.model,
            self.schema,
            frame,
            truth,
            validation,
            encoding=self.encoding,
            share=self.validation,
            calibrate=self.calibrate,
            allow_leak=self.allow_leak,
            seed=self.seed,
            codec=None if checkpoints is None else checkpoints.codec(),
            start=start,
        )
        if checkpoints is not None:
            checkpoints.agree(prepared.codec, self._plan(prepared.size))
        model = prepared.model
        calibrate = calibration_of(model, self.calibrate)
        step = None
        if model.dependence is not None:
            step = DependenceStep(self.model, model.dependence, self.schema, self.seed)
            step.fix(model, frame)
        run = train(
            model,
            prepared.rows,
            prepared.validation,
            epochs=epochs_of(self.epochs, prepared.size, self.batch_size),
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            id_dropout=self.id_dropout,
            patience=self.patience,
            seed=self.seed,
            title=name_of(self.model) if self.progress else None,
            trainer=self.trainer or {},
            balance=self.balance,
            checkpoints=checkpoints,
            optimizer=self.optimizer,
            precision=self.precision,
        )
        run = run.beside_constants(prepared.rates)
        calibration = calibration_run(calibrate, prepared, run)
        trained, dependence = Trained(prepared.codec, model.eval(), run), None
        if step is not None:
            trained, dependence = step.fit(frame, trained, self._train)
        self.codec_, self.model_, self.run_ = trained
        self.dependence_ = dependence
        self.calibration_ = calibration
        return self

    def _columns(self) -> tuple[str, ...]:
        self._fitted()
        return self.codec_.columns(labels=False)

    def _predict_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        behind = (self.calibration_, self.dependence_)
        return predict_frame(self.model_, self.codec_, self.run_, frame, *behind)

    def save(self, path: str | Path) -> None:
        """Write weights (safetensors), codec and settings (JSON) to a folder, whole or not at all.

        Raises:
            ArtifactError: The folder holds something else, which would be lost.
            NotFittedError: Nothing was fitted.
        """
        self._fitted()
        put_behind = (self.calibration_, self.dependence_)
        saved = Saved(self.model, self.codec_, self._settings(), self.run_, *put_behind)
        save_folder(path, saved, self.model_)

    @classmethod
    def load(cls, path: str | Path, *, model: Builder | None = None) -> "FunnelEstimator":
        """Read what `save` wrote. No code in the folder is run.

        Args:
            path: The folder.
            model: The builder, where it was one's own.

        Returns:
            The fitted estimator.

        Raises:
            ArtifactError: The folder is incomplete, from a newer version, or holds a model that was
                built by a function of somebody's own and `model` is not given.
        """
        saved = load_folder(path, model)
        estimator = cls(saved.builder, saved.codec.schema, **saved.settings)
        spec = estimator.encoding.applied(saved.codec.spec)
        built = saved.builder(spec, funnel=saved.codec.schema.funnel, seed=estimator.seed)
        load_weights(path, built)
        estimator.codec_, estimator.model_, estimator.run_ = saved.codec, built.eval(), saved.run
        estimator.calibration_, estimator.dependence_ = saved.calibration, saved.dependence
        return estimator

    def _train(self, builder: Builder, frame: pd.DataFrame) -> Trained:
        other = type(self)(builder, self.schema, **self._settings(), trainer=self.trainer)
        other.fit(frame)
        return Trained(other.codec_, other.model_, other.run_)

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS}

    def _plan(self, rows: int) -> dict[str, Any]:
        made: dict[str, Any] = {"model": builder_to_dict(self.model), "rows": rows}
        return made | settings_to_json(self._settings())

    def _fitted(self) -> Fitted:
        if not hasattr(self, "model_"):
            raise NotFittedError("nothing was fitted yet: call `fit` first, or `load` a folder")
        return Fitted(self.codec_, self.model_)
