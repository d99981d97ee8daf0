"""Terminal output: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mtl_seq.report import CEILING, TRUTH, ReportResult, SimulationSummary
from mtl_seq.report.compute.comparisons import GAP_CLOSED
from mtl_seq.report.compute.metrics import MetricKey
from mtl_seq.report.compute.result import Changes, metric_label
from mtl_seq.report.render.formatting import format_estimate, format_metric
from mtl_seq.report.render.headline import headline, rank_disagreement_lines
from mtl_seq.report.render.tables import (
    ReportTable,
    odds_ratio_table,
    segment_bias_table,
    undefined_lines,
)

__all__ = ["console", "note", "plain_table", "print_json", "print_report", "print_summary"]


def console(width: int = 100) -> Console:
    """The console of standard output: as wide as the terminal, or `width` without one."""
    return Console(width=None if sys.stdout.isatty() else width)


def plain_table(*texts: str, numbers: Iterable[str] = ()) -> Table:
    """A table without borders: columns of texts, then of numbers, whose cells do not wrap."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in texts:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def note(line: str, *, quiet: bool) -> None:
    """Print a line on standard error."""
    if not quiet:
        print(line, file=sys.stderr)


def print_json(content: Mapping[str, Any]) -> None:
    """Print a JSON document on standard output."""
    print(json.dumps(content, indent=1, allow_nan=False))


def print_summary(summary: SimulationSummary) -> None:
    """Print the table of a simulation summary."""
    table = plain_table("", "space", numbers=("drawn", "expected"))
    for name, space in summary.table["space"].items():
        values = (summary.formatted(str(name), column) for column in ("drawn", "expected"))
        table.add_row(str(name), str(space), *values)
    console().print(table)


def print_report(report: ReportResult, files: list[Path], *, quiet: bool, as_json: bool) -> None:
    """Print the report as tables or as JSON, then the paths of its files."""
    if as_json:
        print_json(report.to_dict())
    elif not quiet:
        output = console()
        output.print()
        for line in (*headline(report), *rank_disagreement_lines(report)):
            output.print(line, highlight=False)
        output.print()
        output.print(report.title, style="bold", highlight=False)
        output.print(_table(report))
        tables = [segment_bias_table(report, by) for by in dict.fromkeys(report.segments["by"])]
        if not report.has_truth and report.sensitivity and report.sensitivity.reason is None:
            tables.append(odds_ratio_table(report.sensitivity))
        for table in tables:
            output.print(table.caption, style="bold", highlight=False)
            output.print(_rich_table(table))
        if report.changes is not None:
            output.print("Changes since the earlier report", style="bold")
            output.print(_changes(report, report.changes))
        for line in undefined_lines(report):
            output.print(f"not defined: {line}", highlight=False)
        for name in ("scenario", "impressions", "intervals", "checkpoint rule"):
            if name in report.metadata:
                output.print(f"{name}: {report.metadata[name]}", style="dim", highlight=False)
    note("written: " + ", ".join(str(file) for file in files), quiet=quiet)


_TRUTH_METRICS = (
    *(("pcvr", space, "relative_bias") for space in ("all", "clicks", "non-clicks")),
    ("pcvr", "all", "auc"),
    ("pcvr", "all", "log_loss"),
    GAP_CLOSED,
)
_LOG_METRICS = (
    ("pctr", "all", "auc"),
    ("pctr", "all", "pcoc"),
    ("pcvr", "clicks", "auc"),
    ("pcvr", "clicks", "pcoc"),
    ("pctcvr", "all", "auc"),
    ("pctcvr", "all", "pcoc"),
)
_WITH_INTERVAL = _TRUTH_METRICS[0]


def _table(report: ReportResult) -> Table:
    keys = _TRUTH_METRICS if report.has_truth else _LOG_METRICS
    heads = ("\n".join(metric_label(key, against_truth=report.has_truth)) for key in keys)
    table = plain_table(
        "model",
        numbers=(
            head.replace("relative", "rel.").replace("gap closed\nall", "gap\nclosed")
            for head in heads
        ),
    )
    references = [CEILING, TRUTH] if report.has_truth else []
    for name in (*report.models, *references):
        cells = [_cell(report, name, key) for key in keys]
        table.add_row(name, *cells, style="dim" if name in references else None)
    return table


def _cell(report: ReportResult, model: str, key: MetricKey) -> str:
    reference = model in (CEILING, TRUTH)
    if key == GAP_CLOSED and (reference or not report.has_gap):
        return "" if report.has_gap else "n/a"
    estimate = report.estimate(model, *key)
    if key == _WITH_INTERVAL and not reference:
        return escape(format_estimate(key[2], estimate))
    return format_metric(key[2], estimate.value)


def _rich_table(table: ReportTable) -> Table:
    rich_table = plain_table()
    for index, name in enumerate(table.columns):
        rich_table.add_column(escape(name), justify="right" if index else "left", overflow="fold")
    for name, cells, _ in table.rows:
        # Intervals do not fit; reasons and warnings are printed.
        texts = [
            f"{cell.text} ({cell.detail})"
            if cell.detail and not cell.detail.startswith("[")
            else cell.text
            for cell in cells
        ]
        rich_table.add_row(escape(name), *(escape(text) for text in texts))
    return rich_table


def _changes(report: ReportResult, changes: Changes) -> Table:
    table = plain_table()
    for index, name in enumerate(("metric", "model", "before", "now", "change", "intervals")):
        table.add_column(name, justify="right" if 1 < index < 5 else "left", overflow="fold")
    for row in changes.metrics.itertuples():
        key = (row.quantity, row.space, row.metric)
        label = ", ".join(metric_label(key, against_truth=report.has_truth))
        values = [format_metric(row.metric, value) for value in (row.before, row.after)]
        change = format_metric(row.metric, row.change, signed=True)
        intervals = {None: "", True: "disjoint", False: "overlap"}[row.disjoint]
        table.add_row(escape(label), escape(row.model), *values, change, intervals)
    for row in changes.metadata.itertuples(index=False):
        before, after = (escape(value or "absent") for value in (row.before, row.after))
        table.add_row(escape(row.name), "", before, after, "", "")
    return table
