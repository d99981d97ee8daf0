"""Validated inputs of a report, and the parts that are computed with and without a truth."""

import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq.data.validate.checks import check_labels, check_row_values
from mtl_seq.errors import DataError, SchemaError, rows_text
from mtl_seq.functional import expected_null_ece
from mtl_seq.records import FloatArray, Scores
from mtl_seq.report.compute.bootstrap import LEVEL, Sampling
from mtl_seq.report.compute.comparisons import DIFFERENCE_COLUMNS, differences
from mtl_seq.report.compute.metrics import (
    METRIC_COLUMNS,
    EvaluationTarget,
    Measurements,
    measure,
    reliability,
)
from mtl_seq.report.compute.overlap import Overlap, overlap
from mtl_seq.report.compute.predictions import Columns, Source, check_scores, checkpoint_rules
from mtl_seq.report.compute.ranking_models import as_predictions
from mtl_seq.report.compute.segments import segment_table, segmentation
from mtl_seq.report.compute.serialise import make_frame
from mtl_seq.schema import Schema

__all__ = [
    *("Inputs", "ReportSettings", "choose_control", "logged_propensity", "observable_only"),
    *("random_rows", "read_labels", "user_codes", "versions"),
]

_CONTROL = "multitask"
"""Default control: several tasks, CVR masked to clicks."""

_OBSERVABLE = ("auc", "log_loss", "pcoc", "relative_bias", "ece", "absolute_relative_bias")
"""Metrics that labels give without bias; a distance to drawn labels is none to a probability."""


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Settings of a report, as documented at `BiasReport`."""

    schema: Schema
    columns: Columns | None = None
    row_id: str | None = None
    by: Sequence[str] = ()
    control: str | None = None
    checkpoint_rule: str | None = None
    metadata: Mapping[str, Any] | None = None
    replicates: int = 200
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Inputs:
    """A log, its validated predictions, and how intervals are drawn.

    `rankers` only rank, so that their predictions are ranks; the others are compared with
    `control`; `metadata` is what the report is made from, the caller's first.
    """

    settings: ReportSettings
    log: pd.DataFrame
    click: FloatArray
    conversion: FloatArray
    predictions: Mapping[str, Scores]
    rankers: frozenset[str]
    control: str | None
    sampling: Sampling
    metadata: Mapping[str, Any]

    @classmethod
    def of_sources(
        cls,
        scores: Mapping[str, Source],
        log: pd.DataFrame,
        settings: ReportSettings,
        *,
        naive: str,
        reserved: Sequence[str] = (),
    ) -> Self:
        """Validate a log and predictions; `naive` is the control where there is no other."""
        schema = settings.schema
        labels = read_labels(schema, log)
        scores, rankers = as_predictions(scores)
        predictions = check_scores(
            scores, log, reserved=reserved, columns=settings.columns, row_id=settings.row_id
        )
        sampling = Sampling(user_codes(schema, log), settings.replicates, settings.seed)
        control = choose_control(settings.control, predictions, naive)
        rule = settings.checkpoint_rule or checkpoint_rules(scores)
        metadata = _metadata(settings, log, labels, sampling) | {"checkpoint rule": rule}
        extra = settings.metadata or {}
        metadata = {**extra, **metadata, "versions": extra.get("versions", versions())}
        return cls(settings, log, *labels, predictions, rankers, control, sampling, metadata)

    @property
    def graded(self) -> list[str]:
        """Models that predict probabilities."""
        return [name for name in self.predictions if name not in self.rankers]

    def measure(
        self, targets: Sequence[EvaluationTarget], references: Mapping[str, Scores] | None = None
    ) -> Measurements:
        """Every metric of every model and reference."""
        everyone = {**self.predictions, **(references or {})}
        return measure(
            {name: scores._asdict() for name, scores in everyone.items()},
            targets,
            self.sampling.group,
            replicates=self.sampling.replicates,
            seed=self.sampling.seed,
        )

    def observable_targets(self, rows: NDArray[np.bool_] | None = None) -> list[EvaluationTarget]:
        """What a log identifies: CTR and CTCVR over all impressions, CVR on clicks."""
        kept = np.ones(len(self.log), dtype=bool) if rows is None else rows
        return [
            EvaluationTarget("pctr", "all", kept, self.click),
            EvaluationTarget("pctcvr", "all", kept, self.conversion),
            EvaluationTarget("pcvr", "clicks", kept & (self.click == 1), self.conversion),
        ]

    def null_ece(self, targets: Sequence[EvaluationTarget]) -> pd.DataFrame:
        """Expected ECE of each model, were its predictions the truth."""
        records = []
        for name, scores in self.predictions.items():
            for one in targets:
                predicted = torch.from_numpy(getattr(scores, one.quantity)[one.rows].copy())
                value = float(expected_null_ece(predicted))
                reason = None if np.isfinite(value) else f"no rows in space {one.space!r}"
                key = (name, one.quantity, one.space, "expected_null_ece")
                records.append((*key, value, np.nan, np.nan, reason))
        return make_frame(records, METRIC_COLUMNS)

    def random_and_rest(self, random: NDArray[np.bool_]) -> pd.DataFrame:
        """The observable metrics on the rows shown at random, and on the rest."""
        tables = []
        for name, rows in (("random", random), ("rest", ~random)):
            table = observable_only(self.measure(self.observable_targets(rows)).table)
            table.insert(0, "slice", name)
            tables.append(table)
        return pd.concat(tables, ignore_index=True).astype({"slice": object})

    def differences(self, measured: Measurements) -> pd.DataFrame:
        """Paired differences to the control; empty without one."""
        if self.control is None:
            return make_frame([], DIFFERENCE_COLUMNS)
        return differences(measured, list(self.predictions), self.control)

    def curves_and_segments(self, targets: Sequence[EvaluationTarget]) -> dict[str, pd.DataFrame]:
        """Reliability curves, and bias by segment."""
        predictions = {name: scores._asdict() for name, scores in self.predictions.items()}
        schema, columns = self.settings.schema, dict.fromkeys(self.settings.by)
        parts = [segmentation(self.log, by, schema) for by in columns]
        return {
            "reliability": reliability(predictions, targets),
            "segments": segment_table(parts, predictions, targets, self.sampling),
        }

    def overlap(self, known: Mapping[str, FloatArray], source: str) -> Overlap:
        """Propensities and weights: the known ones first, then each model's pCTR."""
        models = {name: scores.pctr for name, scores in self.predictions.items()}
        return overlap({**known, **models}, self.click, source)


def observable_only(table: pd.DataFrame) -> pd.DataFrame:
    """The metrics that a log identifies."""
    return table[table["metric"].isin(_OBSERVABLE)].reset_index(drop=True)


def read_labels(schema: Schema, log: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Validated click and conversion of each row; features may be absent."""
    absent = [column for column in schema.labels.values() if column not in log.columns]
    if absent:
        raise SchemaError(
            f"the log must hold the label columns {absent}, found {list(log.columns)}: add them, "
            "or pass the schema of this log"
        )
    if len(log) == 0:
        raise DataError("the log must hold at least one row, found an empty one")
    check_labels(schema, log)
    first, last = schema.labels[schema.funnel.first], schema.labels[schema.funnel.last]
    return log[first].to_numpy(dtype=np.float64), log[last].to_numpy(dtype=np.float64)


def user_codes(schema: Schema, log: pd.DataFrame) -> NDArray[np.int64]:
    """Codes of the users to resample; of the rows where the log has no user column."""
    if schema.group is None or schema.group not in log.columns:
        return np.arange(len(log), dtype=np.int64)
    return np.asarray(pd.factorize(log[schema.group], use_na_sentinel=False)[0], dtype=np.int64)


def logged_propensity(schema: Schema, log: pd.DataFrame) -> dict[str, FloatArray]:
    """The logged propensity, in (0, 1], by its name; empty where the log has none."""
    if schema.propensity is None or schema.propensity not in log.columns:
        return {}
    check_row_values(replace(schema, weight=None), log)
    return {"logged propensity": log[schema.propensity].to_numpy(dtype=np.float64)}


def random_rows(log: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Rows that the log marks as shown at random: some rows, but not all."""
    if column not in log.columns:
        raise SchemaError(
            f"`random` must name a column of the log, found {column!r}: {list(log.columns)}"
        )
    marked = log[column].isin([0, 1, False, True]).to_numpy()
    if not marked.all():
        where = rows_text(log.index[~marked], int((~marked).sum()))
        raise DataError(f"`random` column {column!r} must hold 0 and 1, found others in {where}")
    rows = log[column].to_numpy(dtype=np.float64) == 1
    if rows.all() or not rows.any():
        raise DataError(
            f"`random` column {column!r} must mark some rows and not all, found {rows.sum():,} of "
            f"{len(rows):,} marked: leave it out"
        )
    return np.asarray(rows)


def choose_control(control: str | None, models: Collection[str], naive: str) -> str | None:
    """The model that the others are compared with: as named, or multitask, or the naive one."""
    if control is not None and control not in models:
        raise DataError(f"`control` must be one of the models {list(models)}, found {control!r}")
    return control or next((name for name in (_CONTROL, naive) if name in models), None)


def versions() -> str:
    """Versions of Python and the packages that matter."""
    named = ("mtl_seq", "torch", "numpy", "pandas", "lightning")
    return ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in named)]
    )


def _metadata(
    settings: ReportSettings,
    log: pd.DataFrame,
    labels: tuple[FloatArray, FloatArray],
    sampling: Sampling,
) -> dict[str, Any]:
    click, conversion = labels
    group = settings.schema.group
    grouped = group is not None and group in log.columns
    unit = f"users ({group})" if grouped else "impressions (the schema names no group)"
    return {
        "impressions": len(log),
        **({"users": int(sampling.group.max()) + 1} if grouped else {}),
        "clicks": int(click.sum()),
        "conversions": int(conversion.sum()),
        "CTR": float(click.mean()),
        "CVR on clicks": float(conversion.sum() / click.sum()) if click.any() else "no clicks",
        "intervals": f"{LEVEL:.0%}, bootstrap of {unit}, {sampling.replicates} resamples, paired "
        "over models",
        "seed of the resamples": sampling.seed,
        **({"row weights": "not used"} if settings.schema.weight else {}),
    }
