"""What every report computes, with or without a truth, from one set of checked inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq.functional import expected_null_ece
from mtl_seq.records import FunnelTruth, Scores
from mtl_seq.report.compute.comparisons import DIFFERENCE_COLUMNS, differences
from mtl_seq.report.compute.grouped_sums import Sampling, percentiles
from mtl_seq.report.compute.metrics import Measured, Question, measure
from mtl_seq.report.compute.overlap import Overlap, overlap
from mtl_seq.report.compute.reliability import reliability
from mtl_seq.report.compute.segments import segment_table, segmentation
from mtl_seq.report.compute.sensitivity import Sensitivity, sensitivity
from mtl_seq.schema import Schema

__all__ = ["METRIC_COLUMNS", "Inputs", "gap_rows", "observable_only", "truth_questions"]

FloatArray = NDArray[np.float64]

METRIC_COLUMNS = ("model", "quantity", "space", "metric", "value", "low", "high", "reason")

_ON_A_LOG = ("auc", "log_loss", "pcoc", "relative_bias", "ece")
"""Metrics that labels give without bias; a distance to drawn labels is none to a probability."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """A log, its checked predictions, and how intervals are drawn.

    Attributes:
        schema: The roles of the log's columns.
        log: The impressions.
        click: ``(N,)`` clicks.
        conversion: ``(N,)`` conversions.
        predictions: The models' predictions.
        control: The model that the others are held against.
        by: Columns to part the rows by.
        sampling: How intervals are drawn.
    """

    schema: Schema
    log: pd.DataFrame
    click: FloatArray
    conversion: FloatArray
    predictions: Mapping[str, Scores]
    control: str | None
    by: Sequence[str]
    sampling: Sampling

    def measured(
        self, questions: Sequence[Question], references: Mapping[str, Scores] | None = None
    ) -> Measured:
        """Every metric of every model and reference."""
        everyone = {**self.predictions, **(references or {})}
        return measure(
            {name: own._asdict() for name, own in everyone.items()},
            questions,
            self.sampling.group,
            replicates=self.sampling.replicates,
            seed=self.sampling.seed,
        )

    def observable(self, rows: NDArray[np.bool_] | None = None) -> list[Question]:
        """What a log identifies: CTR and CTCVR over all impressions, CVR on clicks."""
        kept = np.ones(len(self.log), dtype=bool) if rows is None else rows
        return [
            Question("pctr", "all", kept, self.click),
            Question("pctcvr", "all", kept, self.conversion),
            Question("pcvr", "clicks", kept & (self.click == 1), self.conversion),
        ]

    def null_ece(self, questions: Sequence[Question]) -> pd.DataFrame:
        """What the ECE of each model would be on average, were its predictions the truth."""
        records = []
        for name, scores in self.predictions.items():
            for one in questions:
                predicted = torch.from_numpy(scores._asdict()[one.quantity][one.rows].copy())
                value = float(expected_null_ece(predicted))
                reason = None if np.isfinite(value) else f"no rows in space {one.space!r}"
                at = (name, one.quantity, one.space, "expected_null_ece")
                records.append((*at, value, np.nan, np.nan, reason))
        return pd.DataFrame(records, columns=list(METRIC_COLUMNS))

    def on_slices(self, random: NDArray[np.bool_]) -> pd.DataFrame:
        """The observable figures on the rows shown at random, and on the rest."""
        tables = []
        for name, rows in (("random", random), ("rest", ~random)):
            found = observable_only(self.measured(self.observable(rows)).table)
            found.insert(0, "slice", name)
            tables.append(found)
        return pd.concat(tables, ignore_index=True)

    def compared(
        self, measured: Measured, questions: Sequence[Question], *, known: bool
    ) -> dict[str, Any]:
        """Differences to the control, reliability curves and segments, on the same questions.

        Args:
            measured: The figures.
            questions: What was asked for them.
            known: Whether against a truth; else metrics that only a truth defines are left out.
        """
        own = {name: scores._asdict() for name, scores in self.predictions.items()}
        asked = [one for one in questions if not known or one.quantity == "pcvr"]
        against = pd.DataFrame(columns=list(DIFFERENCE_COLUMNS))
        if self.control is not None:
            against = differences(
                measured.table, measured.replicates, list(self.predictions), self.control
            )
        parts = [segmentation(self.log, by, self.schema) for by in dict.fromkeys(self.by)]
        return {
            "differences": against if known else observable_only(against),
            "reliability": reliability(own, asked),
            "segments": segment_table(parts, own, asked, self.sampling),
        }

    def overlap(self, known: Mapping[str, FloatArray], source: str) -> Overlap:
        """Propensities and weights: the known ones first, then each model's pCTR."""
        models = {name: scores.pctr for name, scores in self.predictions.items()}
        return overlap({**known, **models}, self.click, source)

    def sensitivity(
        self, base: str, known: Scores, references: Mapping[str, Scores]
    ) -> Sensitivity:
        """The mean CVR by assumed odds ratio, from what the log identifies of `known`."""
        return sensitivity(base, known, {**self.predictions, **references}, self.control)


def observable_only(table: pd.DataFrame) -> pd.DataFrame:
    """The metrics that a log shows."""
    wanted = (*_ON_A_LOG, "absolute_relative_bias")
    return table[table["metric"].isin(wanted)].reset_index(drop=True)


def truth_questions(truth: FunnelTruth, click: NDArray[np.bool_]) -> list[Question]:
    """What is asked of every model where the truth is known; ``(N,)`` clicks."""
    everywhere = np.ones_like(click)
    given_click = np.where(click, truth.pcvr_clicked, truth.pcvr_unclicked)
    return [
        Question("pcvr", "all", everywhere, truth.pcvr),
        Question("pcvr", "clicks", click, given_click),
        Question("pcvr", "non-clicks", ~click, given_click),
        Question("pctr", "all", everywhere, truth.pctr),
        Question("pctcvr", "all", everywhere, truth.pctcvr),
    ]


def gap_rows(
    gap: Mapping[str, tuple[float, str | None]], twins: Mapping[str, FloatArray]
) -> list[pd.DataFrame]:
    """The gap closed as rows of the metrics, with intervals; none where it has no ends."""
    records = []
    for name, (value, reason) in gap.items():
        low, high = (np.nan, np.nan) if reason else map(float, percentiles(twins[name]))
        records.append((name, "pcvr", "all", "gap_closed", value, low, high, reason))
    return [pd.DataFrame(records, columns=list(METRIC_COLUMNS))] if records else []
