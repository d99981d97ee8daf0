"""A report's result: against the truth of a simulated log, or from the labels of a real one."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mtl_seq.errors import DataError
from mtl_seq.records import FunnelTruth, Scores, SelectionTest
from mtl_seq.report.compute.comparisons import GAP_CLOSED, gap_rows, lead, rank_disagreements
from mtl_seq.report.compute.inputs import (
    Inputs,
    ReportSettings,
    logged_propensity,
    observable_only,
    random_rows,
)
from mtl_seq.report.compute.metrics import METRIC_COLUMNS, EvaluationTarget
from mtl_seq.report.compute.predictions import Source
from mtl_seq.report.compute.ranking_models import REASON, without_probabilities
from mtl_seq.report.compute.result import CEILING, TRUTH, ReportResult
from mtl_seq.report.compute.segments import deciles
from mtl_seq.report.compute.selection import selection_under
from mtl_seq.report.compute.sensitivity import sensitivity
from mtl_seq.report.compute.serialise import make_frame

__all__ = ["compute_against_truth", "compute_from_log"]


def compute_against_truth(
    scores: Mapping[str, Source],
    log: pd.DataFrame,
    truth: FunnelTruth,
    settings: ReportSettings,
    *,
    naive: str,
    oracle: str,
) -> ReportResult:
    """Compute every part of a report; arguments and errors are those of `BiasReport`."""
    inputs = Inputs.of_sources(scores, log, settings, naive=naive, reserved=(CEILING, TRUTH))
    if len(truth.pctr) != len(log):
        raise DataError(
            f"`truth` must have one entry per row of the log, {len(log):,}, found "
            f"{len(truth.pctr):,}: take both from one `sample` call"
        )
    references = {
        CEILING: Scores(truth.pctr, truth.pcvr_clicked, truth.pctcvr),
        TRUTH: Scores(truth.pctr, truth.pcvr, truth.pctcvr),
    }
    models, graded = tuple(inputs.predictions), inputs.graded
    targets = _targets(truth, inputs)
    measured = inputs.measure(targets, references)
    gap = gap_rows(measured, graded, naive, oracle)
    if len(gap):
        undefined = (np.nan, np.nan, np.nan, REASON)
        rankers = [(name, *GAP_CLOSED, *undefined) for name in models if name in inputs.rankers]
        gap = pd.concat([gap, make_frame(rankers, METRIC_COLUMNS)])
    everyone = {**inputs.predictions, **references}
    competing = [name for name in graded if name != oracle]
    result = ReportResult(
        title="Bias of predicted CVR against the known truth",
        metrics=pd.concat([measured.table, gap], ignore_index=True),
        models=models,
        deciles=deciles({n: s.pcvr for n, s in everyone.items()}, truth, inputs.sampling),
        metadata={**inputs.metadata, "CVR over all impressions (truth)": float(truth.pcvr.mean())},
        oracle=oracle if oracle in models else None,
        control=inputs.control,
        rank_disagreements=rank_disagreements(measured, models),
        lead=lead(measured, competing, ("pcvr", "all", "log_loss")),
        differences=inputs.differences(measured),
        overlap=inputs.overlap({TRUTH: truth.pctr}, TRUTH),
        sensitivity=sensitivity(
            TRUTH,
            references[TRUTH],
            {**inputs.predictions, TRUTH: references[TRUTH]},
            inputs.control,
        ),
        **inputs.curves_and_segments([one for one in targets if one.quantity == "pcvr"]),
    )
    return without_probabilities(result, inputs.rankers)


def compute_from_log(
    scores: Mapping[str, Source],
    log: pd.DataFrame,
    settings: ReportSettings,
    *,
    naive: str,
    random: str | None,
    selection: SelectionTest | None,
) -> ReportResult:
    """Compute every part of a report; arguments and errors are those of `BiasReport`."""
    inputs = Inputs.of_sources(scores, log, settings, naive=naive)
    marked = None if random is None else random_rows(log, random)
    shown = {} if marked is None else {f"shown at random ({random})": int(marked.sum())}
    targets = inputs.observable_targets()
    measured = inputs.measure(targets)
    best = _least_loss(measured.table, inputs.graded)
    base, best_ctr = best.get("pctcvr"), best.get("pctr")
    logged = logged_propensity(settings.schema, log)
    propensity = next(iter(logged), best_ctr)
    key = ("pctcvr", "all", "log_loss")
    metrics = [observable_only(measured.table), inputs.null_ece(targets)]
    predictions = inputs.predictions
    result = ReportResult(
        title="Predicted CVR on a log; its bias on non-clicks is not identified",
        metrics=pd.concat(metrics, ignore_index=True),
        models=tuple(predictions),
        metadata={**inputs.metadata, **shown},
        control=inputs.control,
        lead=lead(measured, inputs.graded, key) if inputs.conversion.any() else None,
        differences=observable_only(inputs.differences(measured)),
        overlap=inputs.overlap(logged, propensity) if propensity else None,
        sensitivity=sensitivity(base, predictions[base], predictions, inputs.control)
        if base
        else None,
        random=None if marked is None else inputs.random_and_rest(marked),
        selection=selection_under(selection, predictions[base]) if selection and base else None,
        **inputs.curves_and_segments(targets),
    )
    return without_probabilities(result, inputs.rankers)


def _targets(truth: FunnelTruth, inputs: Inputs) -> list[EvaluationTarget]:
    click = inputs.click == 1
    everywhere = np.ones_like(click)
    given_click = np.where(click, truth.pcvr_clicked, truth.pcvr_unclicked)
    return [
        EvaluationTarget("pcvr", "all", everywhere, truth.pcvr),
        EvaluationTarget("pcvr", "clicks", click, given_click),
        EvaluationTarget("pcvr", "non-clicks", ~click, given_click),
        EvaluationTarget("pctr", "all", everywhere, truth.pctr),
        EvaluationTarget("pctcvr", "all", everywhere, truth.pctcvr),
    ]


def _least_loss(metrics: pd.DataFrame, models: list[str]) -> dict[str, str]:
    """By quantity, the model of least log loss over all impressions."""
    losses = metrics[
        (metrics["metric"] == "log_loss")
        & (metrics["space"] == "all")
        & metrics["model"].isin(models)
    ]
    return {
        str(quantity): str(losses.loc[rows["value"].idxmin(), "model"])
        for quantity, rows in losses.groupby("quantity")
    }
