"""What the commands print. Figures go to standard output, everything else to standard error."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from mtl_seq.report import CEILING, TRUTH, Description, Findings
from mtl_seq.report.headline import headline

__all__ = ["note", "print_description", "print_json", "print_report"]


def note(line: str, *, quiet: bool) -> None:
    """A line for the person at the terminal."""
    if not quiet:
        print(line, file=sys.stderr)


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(content, indent=1, allow_nan=False))


def print_description(found: Description) -> None:
    """What a world is like, as a table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, side in (("", "left"), ("space", "left"), ("drawn", "right"), ("expected", "right")):
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for name, space in found.table["space"].items():
        figures = (found.shown(str(name), column) for column in ("drawn", "expected"))
        table.add_row(str(name), str(space), *figures)
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def print_report(report: Findings, files: list[Path], *, quiet: bool, as_json: bool) -> None:
    """The report as a table, or as JSON; then where its files are."""
    if as_json:
        print_json(report.to_dict())
    elif not quiet:
        console = Console(width=None if sys.stdout.isatty() else 100)
        console.print()
        for line in headline(report):
            console.print(line, highlight=False)
        console.print()
        console.print(report.title, style="bold", highlight=False)
        console.print(_table(report))
        for name in ("scenario", "impressions", "intervals", "checkpoint rule"):
            if name in report.facts:
                console.print(f"{name}: {report.facts[name]}", style="dim", highlight=False)
    note("written: " + ", ".join(str(file) for file in files), quiet=quiet)


def _table(report: Findings) -> Table:
    shown = _TRUTH if report.deciles is not None else _LOG
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for name, *_ in shown:
        table.add_column(name, justify="right", no_wrap=True)
    rows = [*report.models, *([CEILING, TRUTH] if report.deciles is not None else [])]
    for row in rows:
        cells = [_cell(report, row, at, form) for _, at, form in shown]
        table.add_row(row, *cells, style="dim" if row in (CEILING, TRUTH) else None)
    return table


_TRUTH = (
    ("relative bias\nall, with interval", ("pcvr", "all", "relative_bias"), "interval"),
    ("rel. bias\nclicks", ("pcvr", "clicks", "relative_bias"), "+.1%"),
    ("rel. bias\nnon-clicks", ("pcvr", "non-clicks", "relative_bias"), "+.1%"),
    ("AUC\nall", ("pcvr", "all", "auc"), ".4f"),
    ("log loss\nall", ("pcvr", "all", "log_loss"), ".4f"),
    ("gap\nclosed", None, ".0%"),
)
_LOG = (
    ("CTR AUC\nall", ("pctr", "all", "auc"), ".4f"),
    ("CTR PCOC\nall", ("pctr", "all", "pcoc"), ".3f"),
    ("CVR AUC\nclicks", ("pcvr", "clicks", "auc"), ".4f"),
    ("CVR PCOC\nclicks", ("pcvr", "clicks", "pcoc"), ".3f"),
    ("CTCVR AUC\nall", ("pctcvr", "all", "auc"), ".4f"),
    ("CTCVR PCOC\nall", ("pctcvr", "all", "pcoc"), ".3f"),
)


def _cell(report: Findings, model: str, at: tuple[str, str, str] | None, form: str) -> str:
    if at is None:
        value = report.gap.get(model, (math.nan, None))[0]
        return "" if model in (CEILING, TRUTH) else _shown(value, form)
    found = report.estimate(model, *at)
    if form != "interval":
        return _shown(found.value, form)
    text = _shown(found.value, "+.1%")
    if model in (CEILING, TRUTH) or math.isnan(found.low):
        return text
    return rf"{text} \[{found.low:+.1%}, {found.high:+.1%}]"


def _shown(value: float, form: str) -> str:
    # Adding 0 turns a negative zero into a positive one.
    return "n/a" if math.isnan(value) else format(round(value, 6) + 0.0, form)
