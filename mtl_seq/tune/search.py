"""Hyper-parameter search that resumes after an interruption."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from mtl_seq._files import read_json, write_json
from mtl_seq._search import Trial, import_optuna, search
from mtl_seq.data import read_frame
from mtl_seq.data.parquet.split import split_frame
from mtl_seq.errors import ArtifactError, CompositionError, DataError
from mtl_seq.fit.estimator import FunnelEstimator
from mtl_seq.fit.storage.builder_json import builder_to_dict
from mtl_seq.models import Builder, Choice, SearchSpace
from mtl_seq.models.search_space import applied, search_space
from mtl_seq.schema import FeatureSpec, Schema
from mtl_seq.tune.objective import Estimate, Reference, entire_space_loss
from mtl_seq.tune.result import SETTINGS, TRAINING, Tuned, values_text

__all__ = ["tune"]

_KIND, _VERSION = "mtl_seq.study", 1
_STUDY, _REFERENCE, _METADATA, _BEST = "study.db", "reference.parquet", "study.json", "best.json"


def tune(
    model: Builder,
    schema: Schema,
    log: pd.DataFrame | str | Path,
    folder: str | Path,
    *,
    trials: int = 20,
    estimate: Estimate = "dr",
    space: SearchSpace | None = None,
    validation: float = 0.2,
    epochs: int | None = None,
    seed: int = 0,
    callback: Callable[[str], None] | None = None,
) -> Tuned:
    """Search a model's arguments and the training settings (the extra ``[tune]``).

    The search minimises `entire_space_loss` of held-out rows with Optuna's tree-structured Parzen
    estimator. The builder with default settings is evaluated first and is the result if no trial
    beats it. A second call with the same folder resumes the study: it keeps the reference and runs
    the trials that are still missing.

    Args:
        model: A builder, or a partial of one; arguments that the partial sets are not searched.
        schema: The roles of the log's columns.
        log: The log, or a parquet file or folder of it.
        folder: Folder of the study: ``study.db`` (SQLite), the reference and ``best.json``.
        trials: The number of trials, those of earlier calls included.
        estimate: Estimator of the loss over all impressions: ``"dr"``, ``"snips"`` or ``"ips"``.
        space: The search space; by default `TRAINING` and the builder's own arguments.
        validation: Share of the rows that is held out: the latest if the schema has a time.
        epochs: Epochs of every fit; by default those of `FunnelEstimator`.
        seed: Seed of the split, of the fits and of the search.
        callback: Called with a line of progress after every fit.

    Raises:
        CompositionError: A model that only ranks or needs the truth, an unknown setting, too few
            trials, or Optuna is not installed.
        ArtifactError: The folder holds another study.
        DataError: Rows that cannot be trained on.
    """
    _check(model, schema, trials, estimate)
    space = {**TRAINING, **search_space(model)} if space is None else dict(space)
    import_optuna()
    frame, folder = read_frame(log), Path(folder)
    fitted, held_rows = split_frame(schema, frame, validation, seed)
    rows, held = frame.iloc[fitted], frame.iloc[held_rows]
    study = _Study(model, schema, rows, held, estimate, epochs, seed)
    # An unknown name is refused before anything is fitted.
    study.split({n: one[0][0] if isinstance(one, Choice) else one[0] for n, one in space.items()})
    metadata = {
        "model": builder_to_dict(model),
        "schema": schema.to_dict(),
        "rows": len(frame),
        "validation": validation,
        "estimate": estimate,
        "epochs": epochs,
        "seed": seed,
        "space": {name: [type(one).__name__, *one] for name, one in space.items()},
    }
    report = callback or (lambda _: None)
    reference, default = study.begin(folder, metadata, report)
    finished = search(
        space,
        lambda values: study.loss(values, reference),
        trials=trials,
        seed=seed,
        storage=folder / _STUDY,
        catch=(DataError,),
        callback=lambda number, one: report(
            f"trial {number}: {one.value:.5f} with {values_text(one.values)}"
        ),
    )
    best = study.best(finished, default)
    if metadata["model"] is not None:
        best.to_json(folder / _BEST)
    return best


@dataclass(frozen=True)
class _Study:
    """What all trials have in common."""

    model: Builder
    schema: Schema
    rows: pd.DataFrame
    held: pd.DataFrame
    estimate: Estimate
    epochs: int | None
    seed: int

    def begin(
        self, folder: Path, metadata: dict[str, Any], report: Callable[[str], None]
    ) -> tuple[Reference, float]:
        """The reference and the objective of the defaults; those of a resumed study are read."""
        if (folder / _METADATA).exists():
            stored = read_json(folder / _METADATA, kind=_KIND, version=_VERSION)
            other = [name for name, value in metadata.items() if stored.get(name) != _plain(value)]
            if other:
                raise ArtifactError(
                    f"{folder} holds a study of another {', '.join(other)}: resume it with the "
                    "arguments it began with, or name another folder"
                )
            reference = Reference.load(folder / _REFERENCE, len(self.held))
            return reference, float(stored["default"])
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ArtifactError(f"{folder} must be empty or hold a study: name another folder")
        reference = Reference.fit(self.schema, self.rows, self.held, seed=self.seed)
        default = self.loss({}, reference)
        report(f"defaults: {default:.5f}")
        reference.save(folder / _REFERENCE)
        write_json(
            folder / _METADATA, {**metadata, "default": default}, kind=_KIND, version=_VERSION
        )
        return reference, default

    def loss(self, values: Mapping[str, Any], reference: Reference) -> float:
        """Fit with these values and evaluate the objective on the held-out rows."""
        estimator = self.split(values).apply(
            FunnelEstimator(self.model, self.schema, epochs=self.epochs, seed=self.seed)
        )
        scores = estimator.fit(self.rows, validation=self.held).predict(self.held)
        stages = [self.held[c].to_numpy(dtype=np.float64) for c in self.schema.labels.values()]
        weight = self.schema.weight
        return entire_space_loss(
            self.estimate,
            scores["pcvr"].to_numpy(),
            stages[0],
            stages[-1],
            reference,
            None if weight is None else self.held[weight].to_numpy(dtype=np.float64),
        )

    def split(self, values: Mapping[str, Any]) -> Tuned:
        """Split the values into training settings and arguments of the builder."""
        settings = {name: value for name, value in values.items() if name in SETTINGS}
        arguments = {name: value for name, value in values.items() if name not in SETTINGS}
        model = applied(self.model, arguments)
        return Tuned(model, settings, np.nan, np.nan, self.estimate, pd.DataFrame())

    def best(self, finished: list[Trial], default: float) -> Tuned:
        """The best trial, or the defaults if no trial beats them."""
        table = pd.DataFrame([{"value": one.value, **one.values} for one in finished])
        best = min(finished, key=lambda one: one.value, default=None)
        if best is None or best.value >= default:
            best = Trial({}, default)
        return replace(self.split(best.values), value=best.value, default=default, trials=table)


def _check(model: Builder, schema: Schema, trials: int, estimate: Estimate) -> None:
    if not callable(model):
        raise CompositionError(f"`model` must be a builder such as models.esmm, found {model!r}")
    if trials < 1:
        raise CompositionError(f"`trials` must be at least 1, found {trials}")
    if estimate not in get_args(Estimate):
        raise CompositionError(
            f"`estimate` must be one of {get_args(Estimate)}, found {estimate!r}"
        )
    tiny = model(FeatureSpec(dense=["x"]), funnel=schema.funnel, seed=0)
    if tiny.objective.ranks_only or tiny.objective.needs_potential:
        raise CompositionError(
            "`model` must predict probabilities and train on a log alone: one that only ranks has "
            "no log loss, and the oracle needs the truth"
        )


def _plain(value: Any) -> Any:
    """A value as JSON returns it."""
    return json.loads(json.dumps(value))
