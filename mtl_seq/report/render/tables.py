"""Tables of a report: cells with their intervals."""

from typing import NamedTuple

import pandas as pd

from mtl_seq.report.compute.bootstrap import LEVEL
from mtl_seq.report.compute.metrics import KEY_COLUMNS, Estimate, MetricKey
from mtl_seq.report.compute.result import CEILING, IDENTIFIED, TRUTH, ReportResult, metric_label
from mtl_seq.report.compute.sensitivity import TOLERATED, Sensitivity
from mtl_seq.report.render.formatting import format_interval, format_metric, format_percent

__all__ = [
    *("Cell", "ReportTable", "change_tables", "difference_table", "main_table", "metric_table"),
    *("odds_ratio_table", "random_table", "segment_bias_table", "undefined_lines", "weight_table"),
]


class Cell(NamedTuple):
    """One cell: its text, the detail below it, and whether it is set in bold."""

    text: str
    detail: str = ""
    strong: bool = False


class ReportTable(NamedTuple):
    """A table.

    Attributes:
        caption: What it holds, and on which space.
        columns: Heads, the first that of the rows' names.
        rows: Name, cells, and whether it is a reference row.
    """

    caption: str
    columns: list[str]
    rows: list[tuple[str, list[Cell], bool]]


def main_table(report: ReportResult) -> ReportTable:
    """The main metrics with intervals, and the difference in log loss to the control."""
    keys: list[MetricKey]
    if report.has_truth:
        keys = [("pcvr", space, "relative_bias") for space in ("all", "clicks", "non-clicks")]
        loss = ("pcvr", "all", "log_loss")
        keys += [loss, *([("pcvr", "all", "gap_closed")] if report.has_gap else [])]
    else:
        keys = [(*key, "pcoc") for key in IDENTIFIED]
        loss = ("pctcvr", "all", "log_loss")
        keys.append(loss)
    columns = ["model", *(_head(key, report) for key in keys)]
    if report.control:
        columns.append(f"{_head(loss, report)}, minus {report.control}'s")
    rows = []
    for name in report.models:
        cells = [_cell(key[2], report.estimate(name, *key)) for key in keys]
        cells += [_difference(report, name, loss)] if report.control else []
        rows.append((name, cells, name == report.oracle))
    return ReportTable(f"Estimates with their {LEVEL:.0%} CI.", columns, rows)


def metric_table(report: ReportResult) -> ReportTable:
    """Every metric of the report's table, with intervals and the reference rows."""
    null_ece = report.metrics[report.metrics["metric"] == "expected_null_ece"]
    expected = null_ece.set_index(KEY_COLUMNS[:3])["value"]
    rows = []
    for name in report.table.index:
        reference = name in (CEILING, TRUTH)
        cells = []
        for key in report.columns.values():
            absent = key[2] == "gap_closed" and reference
            cell = Cell("") if absent else _cell(key[2], report.estimate(name, *key))
            if key[2] == "ece" and (name, *key[:2]) in expected:
                value = float(expected[(name, *key[:2])])
                cell = cell._replace(detail=f"{format_metric('ece', value)} if unbiased")
            cells.append(cell)
        rows.append((str(name), cells, reference))
    heads = ["model", *(", ".join(label) for label in report.columns)]
    return ReportTable("The space is in the column's head.", heads, rows)


def difference_table(report: ReportResult) -> ReportTable:
    """Each model minus the control."""
    keys = (
        [("pcvr", "all", m) for m in ("absolute_relative_bias", "log_loss", "rmse", "auc")]
        if report.has_truth
        else [("pctr", "all", "log_loss"), ("pctcvr", "all", "log_loss"), ("pctcvr", "all", "auc")]
    )
    keys.append(("pcvr", "clicks", "auc"))
    rows = [
        (name, [_difference(report, name, key) for key in keys], False)
        for name in report.models
        if name != report.control
    ]
    caption = (
        f"Paired difference: each metric minus that of {report.control} on the same rows; bold "
        f"where its {LEVEL:.0%} CI excludes 0."
    )
    return ReportTable(caption, ["model", *(_head(key, report) for key in keys)], rows)


def segment_bias_table(report: ReportResult, by: str) -> ReportTable:
    """Bias of every model in every group of a column, with intervals."""
    name = "pCVR" if report.has_truth else "pCTCVR"
    rows = []
    for group, by_model in report.main_segments(by).groupby("segment", sort=False):
        first = by_model.iloc[0]
        small = first["small"] if isinstance(first["small"], str) else ""
        cells = [Cell(f"{int(first['rows']):,}", f"too small: {small}" if small else "")]
        by_model = by_model.set_index("model")
        for model in report.models:
            row = by_model.loc[model]
            reason = row["reason"] if isinstance(row["reason"], str) else ""
            estimate = Estimate(row["relative_bias"], row["low"], row["high"])
            cell = _cell("relative_bias", estimate)
            cells.append(cell._replace(detail=cell.detail or reason))
        rows.append((str(group), cells, bool(small)))
    return ReportTable(
        f"Relative bias of mean {name} over all impressions by {by}.",
        [by, "impressions", *report.models],
        rows,
    )


def weight_table(report: ReportResult) -> ReportTable:
    """Diagnostics of the weights 1 / propensity of the clicks."""
    assert report.overlap is not None
    rows = []
    for row in report.overlap.weights.itertuples():
        undefined = isinstance(row.reason, str)
        size = "n/a" if undefined else f"{row.effective_size:,.0f}"
        cells = [
            Cell(f"{row.clicks:,}"),
            Cell(size, row.reason if undefined else ""),
            *(Cell(format_percent(v)) for v in (row.effective_share, row.largest_share)),
            *(Cell(format_percent(v, 2)) for v in (row.floor, row.clipped_share)),
        ]
        rows.append((row.propensity, cells, row.propensity not in report.models))
    heads = ["propensity of", "clicks", "effective sample size", "share of the clicks"]
    heads += ["largest weight's share", "1% quantile of the propensity", "clipped share of clicks"]
    return ReportTable("Weights click / propensity, on clicks.", heads, rows)


def odds_ratio_table(curve: Sensitivity) -> ReportTable:
    """Odds ratios at which a model is unbiased, tolerable, level with the control."""
    tie = [] if curve.control is None else [f"psi of equal bias with {curve.control}"]
    heads = ["model", "mean pCVR, all", "unbiased at psi", f"bias within {TOLERATED:.0%} for psi"]
    rows = []
    for row in curve.models.itertuples():
        ends = f"{_psi(row.psi_low)} to {_psi(row.psi_high)}"
        span = "n/a" if pd.isna(row.psi_low) and pd.isna(row.psi_high) else ends
        cells = [Cell(format_percent(row.mean_pcvr, 2)), Cell(_psi(row.psi_unbiased)), Cell(span)]
        cells += [Cell("" if row.model == curve.control else _psi(row.psi_tie)) for _ in tie]
        rows.append((row.model, cells, False))
    return ReportTable("Tipping points of the odds ratio psi.", [*heads, *tie], rows)


def random_table(report: ReportResult) -> ReportTable:
    """The observable metrics on the rows shown at random beside those on the rest."""
    assert report.random is not None
    table = report.random.set_index(["slice", *KEY_COLUMNS])[list(Estimate._fields)]
    rows = []
    for quantity, space in IDENTIFIED:
        for metric in ("pcoc", "auc"):
            key = (quantity, space, metric)
            for part in ("random", "rest"):
                cells = [
                    _cell(metric, Estimate(*table.loc[(part, name, *key)].astype(float)))
                    for name in report.models
                ]
                heading = f"{', '.join(metric_label(key))}: {part}"
                rows.append((heading, cells, part == "rest"))
    return ReportTable("Rows shown at random, and the rest.", ["metric", *report.models], rows)


def change_tables(report: ReportResult) -> list[ReportTable]:
    """Changes against an older report: metrics, then metadata."""
    changes = report.changes
    assert changes is not None
    tables = []
    if len(changes.metrics):
        at = changes.metrics.set_index(KEY_COLUMNS)
        keys = [key for key in report.columns.values() if key in at.index.droplevel("model")]
        rows = []
        for model in dict.fromkeys(changes.metrics["model"]):
            cells = [
                _change(key[2], at.loc[(model, *key)]) if (model, *key) in at.index else Cell("")
                for key in keys
            ]
            rows.append((str(model), cells, False))
        heads = ["model", *(_head(key, report) for key in keys)]
        caption = "Now, and before. Bold where the two intervals do not overlap."
        tables.append(ReportTable(caption, heads, rows))
    if len(changes.metadata):
        rows = [
            (row.name, [Cell(row.before or "absent"), Cell(row.after or "absent")], False)
            for row in changes.metadata.itertuples(index=False)
        ]
        tables.append(ReportTable("Metadata that differ.", ["name", "before", "now"], rows))
    return tables


def undefined_lines(report: ReportResult) -> list[str]:
    """Undefined metrics, and why."""
    undefined = report.metrics[report.metrics["reason"].notna()]
    shared = undefined.groupby(["quantity", "space", "metric", "reason"], sort=False)["model"].agg(
        list
    )
    return [
        f"{', '.join(metric_label(key))}: {reason} ({', '.join(names)})"
        for (*key, reason), names in shared.items()
    ]


def _change(metric: str, row: pd.Series) -> Cell:
    now, before = (format_metric(metric, float(row[name])) for name in ("after", "before"))
    return Cell(now, f"before {before}", bool(row["disjoint"]))


def _head(key: MetricKey, report: ReportResult) -> str:
    return ", ".join(metric_label(key, against_truth=report.has_truth))


def _cell(metric: str, estimate: Estimate) -> Cell:
    return Cell(format_metric(metric, estimate.value), format_interval(metric, estimate))


def _difference(report: ReportResult, name: str, key: MetricKey) -> Cell:
    if name == report.control:
        return Cell("control")
    estimate = report.difference(name, *key)
    return Cell(
        format_metric(key[2], estimate.value, signed=True),
        format_interval(key[2], estimate, signed=True),
        estimate.excludes_zero,
    )


def _psi(value: float) -> str:
    return "none" if pd.isna(value) else f"{value:.3g}"
