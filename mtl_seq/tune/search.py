"""A search of hyper-parameters that can be interrupted and gone on with."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from mtl_seq._files import read_json, write_json
from mtl_seq.data import read_frame
from mtl_seq.data.parquet.split import split_frame
from mtl_seq.errors import ArtifactError, CompositionError, DataError
from mtl_seq.fit.estimator import FunnelEstimator
from mtl_seq.fit.storage.builder_json import builder_to_dict
from mtl_seq.models import Builder, Choice, Range, SearchSpace
from mtl_seq.models.search_space import applied, search_space
from mtl_seq.schema import FeatureSpec, Schema
from mtl_seq.tune.objective import Estimate, Reference, entire_space_loss
from mtl_seq.tune.result import SETTINGS, TRAINING, Tuned

if TYPE_CHECKING:
    import optuna

__all__ = ["tune"]

_KIND, _VERSION = "mtl_seq.study", 1
_STUDY, _REFERENCE, _FACTS, _BEST = "study.db", "reference.parquet", "study.json", "best.json"


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
    said: Callable[[str], None] | None = None,
) -> Tuned:
    """Search a model's arguments and the training settings (the extra ``[tune]``).

    What is minimised is `entire_space_loss` of held-out rows. Trials are Optuna's tree-structured
    Parzen estimator's; the builder with default settings is measured first, and stands where no
    trial beats it. Given once more, a search goes on where it stopped: with the same reference, and
    as many trials as are still missing.

    Args:
        model: A builder, or a partial of one; what it sets is not searched.
        schema: The roles of the log's columns.
        log: The log, or a parquet file or folder of it.
        folder: Where the study is kept: ``study.db`` (SQLite), the reference and ``best.json``.
        trials: How many in all, those of earlier calls included.
        estimate: How the loss off the clicks is estimated: ``"dr"``, ``"snips"`` or ``"ips"``.
        space: What is searched; by default ``{**TRAINING, **search_space(model)}``.
        validation: Share of the rows that is held out: the latest where the schema has a time.
        epochs: Passes of every fit; by default as `FunnelEstimator` has it.
        seed: Seed of the split, of the fits and of the search.
        said: Takes a line after every fit; None for silence.

    Returns:
        What was found.

    Raises:
        CompositionError: A model that only ranks or needs the truth, a setting that nobody has, too
            few trials, or Optuna is not installed.
        ArtifactError: The folder holds a study of something else.
        DataError: Rows that cannot be trained on.
    """
    _check(model, schema, trials, estimate)
    space = {**TRAINING, **search_space(model)} if space is None else dict(space)
    library = _optuna()
    frame, folder = read_frame(log), Path(folder)
    fitted, held_rows = split_frame(schema, frame, validation, seed)
    rows, held = frame.iloc[fitted], frame.iloc[held_rows]
    study = _Study(model, schema, rows, held, estimate, epochs, seed)
    # A name that nobody has is refused before anything is fitted.
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
    reference, default = study.begin(folder, metadata, said)
    library.logging.set_verbosity(library.logging.WARNING)
    storage = f"sqlite:///{(folder / _STUDY).resolve()}"
    kept = library.create_study(storage=storage, study_name="tune", load_if_exists=True)
    finished = _finished(kept)
    # A sampler that began with the same seed again would draw what was drawn before.
    kept.sampler = library.samplers.TPESampler(seed=seed + len(kept.trials))

    def objective(trial: "optuna.Trial") -> float:
        values = {name: _suggested(trial, name, one) for name, one in space.items()}
        value = study.loss(values, reference)
        if said is not None:
            said(f"trial {trial.number + 1}: {value:.5f} with {_text(values)}")
        return value

    kept.optimize(objective, n_trials=max(trials - len(finished), 0), catch=(DataError,))
    finished = _finished(kept)
    table = pd.DataFrame([{"value": t.value, **t.params} for t in finished])
    found = study.found(finished, default, table)
    if metadata["model"] is not None:
        found.to_json(folder / _BEST)
    return found


@dataclass(frozen=True)
class _Study:
    """What stays the same from trial to trial."""

    model: Builder
    schema: Schema
    rows: pd.DataFrame
    held: pd.DataFrame
    estimate: Estimate
    epochs: int | None
    seed: int

    def begin(
        self, folder: Path, metadata: dict[str, Any], said: Callable[[str], None] | None
    ) -> tuple[Reference, float]:
        """The reference, and the objective of the defaults; from an earlier call where it began."""
        if (folder / _FACTS).exists():
            stored = read_json(folder / _FACTS, kind=_KIND, version=_VERSION)
            other = [name for name, fact in metadata.items() if stored.get(name) != _plain(fact)]
            if other:
                raise ArtifactError(
                    f"{folder} holds a study of another {', '.join(other)}: give what it began "
                    "with, or another folder"
                )
            reference = Reference.load(folder / _REFERENCE, len(self.held))
            return reference, float(stored["default"])
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ArtifactError(f"{folder} must be empty or hold a study: name another folder")
        reference = Reference.fit(self.schema, self.rows, self.held, seed=self.seed)
        default = self.loss({}, reference)
        if said is not None:
            said(f"defaults: {default:.5f}")
        reference.save(folder / _REFERENCE)
        write_json(folder / _FACTS, {**metadata, "default": default}, kind=_KIND, version=_VERSION)
        return reference, default

    def loss(self, values: Mapping[str, Any], reference: Reference) -> float:
        """Fit with these values, and measure on the held-out rows."""
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
        """Which values are settings and which arguments of the builder."""
        settings = {name: value for name, value in values.items() if name in SETTINGS}
        own = {name: value for name, value in values.items() if name not in SETTINGS}
        model = applied(self.model, own)
        return Tuned(model, settings, np.nan, np.nan, self.estimate, pd.DataFrame())

    def found(self, finished: list[Any], default: float, table: pd.DataFrame) -> Tuned:
        """The best trial, or the defaults where none beats them."""
        best = min(finished, key=lambda trial: trial.value, default=None)
        if best is None or best.value >= default:
            chosen, value = self.split({}), default
        else:
            chosen, value = self.split(best.params), best.value
        return replace(chosen, value=value, default=default, trials=table)


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


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise CompositionError(
            "a search needs Optuna: install the extra, `pip install 'mtl_seq[tune]'`"
        ) from error
    return optuna


def _suggested(trial: "optuna.Trial", name: str, one: Range | Choice) -> Any:
    if isinstance(one, Choice):
        return trial.suggest_categorical(name, one.options)
    return trial.suggest_float(name, one.low, one.high, log=one.log)


def _text(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def _finished(study: "optuna.Study") -> list[Any]:
    return [trial for trial in study.trials if trial.state.name == "COMPLETE"]


def _plain(fact: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(fact))
