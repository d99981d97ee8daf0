"""Validated inputs of a report, and the parts that are computed with and without a truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq.functional import expected_null_ece
from mtl_seq.records import FloatArray, Scores
from mtl_seq.report.compute.bootstrap import LEVEL, Sampling
from mtl_seq.report.compute.comparisons import DIFFERENCE_COLUMNS, differences
from mtl_seq.report.compute.log import choose_control, read_labels, user_codes, versions
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

__all__ = ["Inputs", "ReportSettings", "observable_only"]

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

    Attributes:
        settings: The report's settings.
        log: The impressions.
        click: ``(N,)`` clicks.
        conversion: ``(N,)`` conversions.
        predictions: The models' predictions.
        rankers: Models that only rank; their predictions are ranks.
        control: The model that the others are compared with.
        sampling: How intervals are drawn.
        metadata: What the report is made from, the caller's metadata first.
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
