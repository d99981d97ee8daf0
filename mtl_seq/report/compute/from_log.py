"""A report's result on a real log: what labels identify, and what stays open."""

from collections.abc import Mapping

import pandas as pd

from mtl_seq.records import SelectionTest
from mtl_seq.report.compute.alignment import Source
from mtl_seq.report.compute.comparisons import lead
from mtl_seq.report.compute.inputs import Inputs, ReportSettings, observable_only
from mtl_seq.report.compute.log import logged_propensity, random_rows
from mtl_seq.report.compute.ranking_models import without_probabilities
from mtl_seq.report.compute.result import ReportResult
from mtl_seq.report.compute.selection import selection_under
from mtl_seq.report.compute.sensitivity import sensitivity

__all__ = ["compute_from_log"]


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
