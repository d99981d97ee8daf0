"""Terminal output: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mtl_seq.report import CEILING, TRUTH, Description, Findings
from mtl_seq.report.compute.report_diff import Changes
from mtl_seq.report.compute.result_json import to_dict
from mtl_seq.report.render.formatting import figure, with_interval
from mtl_seq.report.render.headline import contradiction_lines, headline
from mtl_seq.report.render.tables import Grid, ratio_grid, segment_grid, undefined_lines

__all__ = ["note", "print_description", "print_json", "print_report"]


def note(line: str, *, quiet: bool) -> None:
    """Print a line on standard error."""
    if not quiet:
        print(line, file=sys.stderr)


def print_json(content: Mapping[str, Any]) -> None:
    """Print a JSON document on standard output."""
    print(json.dumps(content, indent=1, allow_nan=False))


def print_description(description: Description) -> None:
    """Print the summary of a simulated log as a table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, side in (("", "left"), ("space", "left"), ("drawn", "right"), ("expected", "right")):
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for name, space in description.table["space"].items():
        cells = (description.shown(str(name), column) for column in ("drawn", "expected"))
        table.add_row(str(name), str(space), *cells)
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def print_report(report: Findings, files: list[Path], *, quiet: bool, as_json: bool) -> None:
    """Print a report as tables or as JSON, then the paths of its files."""
    if as_json:
        print_json(to_dict(report))
    elif not quiet:
        console = Console(width=None if sys.stdout.isatty() else 100)
        console.print()
        for line in (*headline(report), *contradiction_lines(report)):
            console.print(line, highlight=False)
        console.print()
        console.print(report.title, style="bold", highlight=False)
        console.print(_table(report))
        grids = [segment_grid(report, by) for by in dict.fromkeys(report.segments["by"])]
        if not report.known and report.sensitivity and report.sensitivity.reason is None:
            grids.append(ratio_grid(report.sensitivity))
        for grid in grids:
            console.print(grid.caption, style="bold", highlight=False)
            console.print(_grid(grid))
        if report.changes is not None:
            console.print("Changes since the earlier report", style="bold")
            console.print(_changes(report, report.changes))
        for line in undefined_lines(report):
            console.print(f"not defined: {line}", highlight=False)
        for name in ("scenario", "impressions", "intervals", "checkpoint rule"):
            if name in report.metadata:
                console.print(f"{name}: {report.metadata[name]}", style="dim", highlight=False)
    note("written: " + ", ".join(str(file) for file in files), quiet=quiet)


def _table(report: Findings) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    shown = _TRUTH if report.known else _LOG
    for name, *_ in shown:
        table.add_column(name, justify="right", no_wrap=True)
    rows = [*report.models, *([CEILING, TRUTH] if report.known else [])]
    for row in rows:
        cells = [_cell(report, row, at) for _, at in shown]
        table.add_row(row, *cells, style="dim" if row in (CEILING, TRUTH) else None)
    return table


_TRUTH = (
    ("relative bias\nall, with interval", ("pcvr", "all", "relative_bias")),
    ("rel. bias\nclicks", ("pcvr", "clicks", "relative_bias")),
    ("rel. bias\nnon-clicks", ("pcvr", "non-clicks", "relative_bias")),
    ("AUC\nall", ("pcvr", "all", "auc")),
    ("log loss\nall", ("pcvr", "all", "log_loss")),
    ("gap\nclosed", ("pcvr", "all", "gap_closed")),
)
_LOG = (
    ("CTR AUC\nall", ("pctr", "all", "auc")),
    ("CTR PCOC\nall", ("pctr", "all", "pcoc")),
    ("CVR AUC\nclicks", ("pcvr", "clicks", "auc")),
    ("CVR PCOC\nclicks", ("pcvr", "clicks", "pcoc")),
    ("CTCVR AUC\nall", ("pctcvr", "all", "auc")),
    ("CTCVR PCOC\nall", ("pctcvr", "all", "pcoc")),
)


def _cell(report: Findings, model: str, at: tuple[str, str, str]) -> str:
    if at[2] == "gap_closed" and (model in (CEILING, TRUTH) or not report.gap):
        return "" if report.gap else "n/a"
    estimate = report.estimate(model, *at)
    if at == _TRUTH[0][1] and model not in (CEILING, TRUTH):
        return escape(with_interval(at[2], estimate))
    return figure(at[2], estimate.value)


def _grid(grid: Grid) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(grid.columns):
        table.add_column(escape(name), justify="right" if index else "left", overflow="fold")
    for name, cells, _ in grid.rows:
        # Intervals do not fit; the reason of an undefined value or a small segment does.
        texts = [
            f"{cell.text} ({cell.detail})"
            if cell.detail and not cell.detail.startswith("[")
            else cell.text
            for cell in cells
        ]
        table.add_row(escape(name), *(escape(text) for text in texts))
    return table


def _changes(report: Findings, changes: Changes) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(("figure", "model", "before", "now", "change", "intervals")):
        table.add_column(name, justify="right" if 1 < index < 5 else "left", overflow="fold")
    for row in changes.figures.itertuples():
        metric = report.columns[row.figure][2]
        values = [figure(metric, value) for value in (row.before, row.after)]
        change = figure(metric, row.change, signed=True)
        meet = "" if row.apart is None else "apart" if row.apart else "meet"
        table.add_row(escape(row.figure), escape(row.model), *values, change, meet)
    for fact in changes.metadata.itertuples():
        before, after = (escape(value or "absent") for value in (fact.before, fact.after))
        table.add_row(escape(fact.fact), "", before, after, "", "")
    return table
