"""Fit a DataFrame, predict a DataFrame."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mtl_seq._files import atomic_folder, read_json, write_json
from mtl_seq.data import (
    BatchLoader,
    Codec,
    Encoding,
    check_columns,
    check_dense,
    check_labels,
    check_leaks,
    check_population,
    check_row_values,
    read_frame,
)
from mtl_seq.errors import ArtifactError, CompositionError, NotFittedError
from mtl_seq.fit.builders import builder_from_dict, builder_to_dict
from mtl_seq.fit.potential import with_potential
from mtl_seq.fit.rates import base_rates
from mtl_seq.fit.split import split_rows
from mtl_seq.fit.training import Run, train
from mtl_seq.models import Builder, FunnelModel
from mtl_seq.records import FunnelTruth
from mtl_seq.schema import Schema

__all__ = ["FunnelEstimator"]

_KIND, _VERSION = "mtl_seq.estimator", 1
_PREDICTION_ROWS = 65_536
_FEWEST_STEPS = 400


class FunnelEstimator:
    """A model fitted to a log, in scikit-learn's manners.

    The constructor only stores its arguments; `fit` checks everything, returns the estimator and
    forgets an earlier fit.

    Args:
        model: A builder such as `models.esmm`, or a ``functools.partial`` of one.
        schema: The roles of the log's columns.
        epochs: At most so many passes over the rows; by default one, or on a small log as many as
            make 400 steps. Embeddings of ids overfit quickly: more passes are often worse.
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
        allow_leak: Features that may predict a label almost perfectly.
        seed: Seed of the weights, the split, the order of rows and the id dropout.
        progress: Whether to draw a progress line on standard error.
        trainer: Further arguments of Lightning's Trainer.

    Attributes:
        codec_: Vocabularies and scaling, after `fit`.
        model_: The fitted `FunnelModel`.
        run_: The checkpoint rule's values and the epoch kept.
    """

    codec_: Codec
    model_: FunnelModel
    run_: Run

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
    ) -> "FunnelEstimator":
        """Fit a log.

        Args:
            frame: The log, or a parquet file of it; it is not changed.
            truth: The truth of the same rows, for the oracle only.
            validation: Rows for the checkpoint rule; by default a share of the log.

        Returns:
            The estimator.

        Raises:
            SchemaError: A declared column is absent.
            DataError: Rows that cannot be trained on; see `mtl_seq.data`.
            KeyboardInterrupt: Interrupted; an earlier fit is left as it was.
        """
        if not callable(self.model):
            raise CompositionError(
                f"`model` must be a builder such as models.esmm, found {self.model!r}"
            )
        log = read_frame(frame)
        self._check(log)
        if validation is None:
            fitted, held = split_rows(self.schema, log, self.validation, self.seed)
            rows, held_rows = log.iloc[fitted], log.iloc[held]
        else:
            fitted, rows, held_rows = np.arange(len(log)), log, read_frame(validation)
            self._check(held_rows)
        codec = Codec.fit_with(self.encoding, self.schema, rows)
        spec = self.encoding.applied(codec.spec)
        model = self.model(spec, funnel=self.schema.funnel, seed=self.seed)
        batch = codec.encode_training(rows)
        assert batch.labels is not None
        model.network.start_at(base_rates(self.schema.funnel, batch.labels.stages))
        if model.objective.needs_potential:
            batch = with_potential(batch, truth, len(log), fitted)
        run = train(
            model,
            batch,
            codec.encode(held_rows),
            epochs=self._epochs(len(rows)),
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            id_dropout=self.id_dropout,
            patience=self.patience,
            seed=self.seed,
            title=self._title() if self.progress else None,
            trainer=self.trainer or {},
        )
        self.codec_, self.model_, self.run_ = codec, model.eval(), run
        return self

    def predict(self, frame: pd.DataFrame | str | Path) -> pd.DataFrame:
        """Score rows; labels need not be there.

        Args:
            frame: The rows, or a parquet file of them; they are not changed.

        Returns:
            Columns ``pctr``, ``pcvr`` and ``pctcvr`` in [0, 1], on the input's index.

        Raises:
            NotFittedError: Nothing was fitted.
            SchemaError: A feature is absent.
            DataError: No rows, or values that cannot be used.
        """
        self._check_fitted()
        log = read_frame(frame)
        network = self.model_.network.eval()
        device = next(network.parameters()).device
        parts = []
        with torch.inference_mode():
            for batch in BatchLoader(self.codec_.encode(log, labels=False), _PREDICTION_ROWS):
                prediction = network({k: x.to(device) for k, x in batch.features.items()})
                columns = (prediction.pctr, prediction.pcvr, prediction.pctcvr)
                parts.append(torch.stack(columns, dim=1).double().cpu())
        values = torch.cat(parts).numpy()
        return pd.DataFrame(values, columns=["pctr", "pcvr", "pctcvr"], index=log.index)

    def save(self, path: str | Path) -> None:
        """Write weights (safetensors), codec and settings (JSON) to a folder, whole or not at all.

        Raises:
            ArtifactError: The folder holds something else, which would be lost.
            NotFittedError: Nothing was fitted.
        """
        self._check_fitted()
        with atomic_folder(path, own=FILES) as folder:
            weights = {
                k: x.detach().cpu().contiguous() for k, x in self.model_.state_dict().items()
            }
            save_file(weights, folder / "model.safetensors")
            self.codec_.to_json(folder / "codec.json")
            settings = {name: getattr(self, name) for name in _SETTINGS}
            settings |= {"allow_leak": list(self.allow_leak), "encoding": self.encoding.to_dict()}
            run = {"rule": list(self.run_.rule), "best_epoch": self.run_.best_epoch}
            content = {"model": builder_to_dict(self.model), "settings": settings, "run": run}
            write_json(folder / "estimator.json", content, kind=_KIND, version=_VERSION)

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
        folder = Path(path)
        if not folder.exists():
            raise ArtifactError(f"no model folder {folder}: name the one that `save` wrote")
        if folder.is_file():
            raise ArtifactError(
                f"`path` must be the folder that `save` wrote, found the file {folder}: pickles "
                "and checkpoints of other tools are not read"
            )
        content = read_json(folder / "estimator.json", kind=_KIND, version=_VERSION)
        if model is None:
            if content["model"] is None:
                raise ArtifactError(
                    f"{folder} holds a model of a builder outside this package: hand it in, "
                    "`load(path, model=builder)`"
                )
            model = builder_from_dict(content["model"])
        codec = Codec.from_json(folder / "codec.json")
        settings = content["settings"] | {"encoding": Encoding(**content["settings"]["encoding"])}
        estimator = cls(model, codec.schema, **settings)
        spec = estimator.encoding.applied(codec.spec)
        built = model(spec, funnel=codec.schema.funnel, seed=estimator.seed)
        try:
            built.load_state_dict(load_file(folder / "model.safetensors"))
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise ArtifactError(f"{folder}: the weights do not fit the model: {error}") from error
        estimator.codec_, estimator.model_ = codec, built.eval()
        estimator.run_ = Run(tuple(content["run"]["rule"]), content["run"]["best_epoch"])
        return estimator

    def _epochs(self, rows: int) -> int:
        few = -(-_FEWEST_STEPS * self.batch_size // rows)
        return few if self.epochs is None else self.epochs

    def _check(self, frame: pd.DataFrame) -> None:
        check_columns(self.schema, frame, labels=True)
        check_labels(self.schema, frame)
        check_population(self.schema, frame)
        check_dense(self.schema, frame, impute=self.encoding.impute is not None)
        check_row_values(self.schema, frame)
        check_leaks(self.schema, frame, self.allow_leak)

    def _check_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise NotFittedError("nothing was fitted yet: call `fit` first, or `load` a folder")

    def _title(self) -> str:
        inner = getattr(self.model, "func", self.model)
        return str(getattr(inner, "__name__", "model"))


FILES = ("model.safetensors", "codec.json", "estimator.json")
"""What `FunnelEstimator.save` writes into its folder."""

_SETTINGS = (
    "epochs",
    "batch_size",
    "lr",
    "weight_decay",
    "id_dropout",
    "validation",
    "patience",
    "allow_leak",
    "seed",
)
