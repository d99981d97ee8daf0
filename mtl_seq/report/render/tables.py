"""The tables of a page: cells with their intervals."""

from typing import NamedTuple

import pandas as pd

from mtl_seq.report.compute.result import CEILING, TRUTH, Estimate, Findings
from mtl_seq.report.compute.sensitivity import TOLERATED, Sensitivity
from mtl_seq.report.render.formatting import figure, interval, percent

__all__ = [
    *("Cell", "Grid", "all_figures", "change_grids", "difference_grid", "lead_grid", "ratio_grid"),
    *("random_grid", "segment_grid", "undefined_lines", "weight_grid"),
]

_SPACES = {"all": "all", "clicks": "clicks", "non-clicks": "non-clicks"}
_NAMES = {
    "relative_bias": "relative bias",
    "absolute_relative_bias": "distance from 0 of the relative bias",
    "log_loss": "log loss",
    "auc": "AUC",
    "pcoc": "PCOC",
    "ece": "ECE",
    "expected_null_ece": "ECE if right",
    "rmse": "RMSE",
    "gap_closed": "gap closed",
}
_QUANTITIES = {"pctr": "CTR", "pcvr": "CVR", "pctcvr": "CTCVR"}


class Cell(NamedTuple):
    """One cell: a figure, what stands below it, and whether it is set in bold."""

    text: str
    detail: str = ""
    strong: bool = False


class Grid(NamedTuple):
    """A table.

    Attributes:
        caption: What it holds, and on which space.
        columns: Heads, the first that of the rows' names.
        rows: Name, cells, and whether it is a reference row.
    """

    caption: str
    columns: list[str]
    rows: list[tuple[str, list[Cell], bool]]


def lead_grid(report: Findings) -> Grid:
    """The few figures a reader wants first, with intervals, and the differences to the control."""
    if report.known:
        asked = [("pcvr", space, "relative_bias") for space in ("all", "clicks", "non-clicks")] + [
            ("pcvr", "all", "log_loss")
        ]
        against = [("pcvr", "all", "log_loss")]
    else:
        asked = [("pctr", "all", "pcoc"), ("pctcvr", "all", "pcoc"), ("pcvr", "clicks", "pcoc")]
        asked.append(("pctcvr", "all", "log_loss"))
        against = [("pctcvr", "all", "log_loss")]
    closed = [("pcvr", "all", "gap_closed")] if report.gap else []
    columns = ["model", *(_head(at, report) for at in (*asked, *closed))]
    columns += [
        f"{_head(at, report)}, minus {report.control}'s" for at in against if report.control
    ]
    rows = []
    for name in report.models:
        cells = [_cell(at[2], report.estimate(name, *at)) for at in (*asked, *closed)]
        cells += [_against(report, name, at) for at in against if report.control]
        rows.append((name, cells, name == report.oracle))
    return Grid("Each figure with its 90% interval.", columns, rows)


def all_figures(report: Findings) -> Grid:
    """Every figure of the table, with intervals and the reference rows."""
    at = dict(report.columns)
    if report.gap:
        at["gap closed"] = ("pcvr", "all", "gap_closed")
    known = report.metrics.set_index(["model", "quantity", "space", "metric"])["value"]
    rows = []
    for name in report.table.index:
        cells = []
        for lookup in at.values():
            absent = lookup[2] == "gap_closed" and name in (CEILING, TRUTH)
            cell = Cell("") if absent else _cell(lookup[2], report.estimate(name, *lookup))
            null = (name, *lookup[:2], "expected_null_ece")
            if lookup[2] == "ece" and null in known:
                value = float(known[null])
                cell = cell._replace(detail=f"{figure('ece', value)} if right")
            cells.append(cell)
        rows.append((str(name), cells, name in (CEILING, TRUTH)))
    return Grid("Spaces stand in the heads.", ["model", *at], rows)


def difference_grid(report: Findings) -> Grid:
    """Each model against the control."""
    asked = (
        [("pcvr", "all", m) for m in ("absolute_relative_bias", "log_loss", "rmse", "auc")]
        if report.known
        else [("pctr", "all", "log_loss"), ("pctcvr", "all", "log_loss"), ("pctcvr", "all", "auc")]
    )
    asked.append(("pcvr", "clicks", "auc"))
    rows = [
        (name, [_against(report, name, at) for at in asked], False)
        for name in report.models
        if name != report.control
    ]
    heads = ["model", *(_head(at, report) for at in asked)]
    return Grid(
        f"Each figure minus that of {report.control} on the same rows; bold where its 90% interval "
        "excludes 0.",
        heads,
        rows,
    )


def segment_grid(report: Findings, by: str) -> Grid:
    """Bias of every model in every group of a column, with intervals."""
    quantity = "pcvr" if report.known else "pctcvr"
    table = report.segments
    own = table[(table["by"] == by) & (table["quantity"] == quantity) & (table["space"] == "all")]
    rows = []
    for group, found in own.groupby("segment", sort=False):
        first = found.iloc[0]
        small = first["small"] if isinstance(first["small"], str) else ""
        cells = [Cell(f"{int(first['rows']):,}", f"too small: {small}" if small else "")]
        by_model = found.set_index("model")
        for name in report.models:
            row = by_model.loc[name]
            at = Estimate(row["relative_bias"], row["low"], row["high"])
            reason = row["reason"] if isinstance(row["reason"], str) else ""
            cell = _cell("relative_bias", at)
            cells.append(cell._replace(detail=cell.detail or reason))
        rows.append((str(group), cells, bool(small)))
    name = {"pcvr": "pCVR", "pctcvr": "pCTCVR"}[quantity]
    return Grid(
        f"Relative bias of mean {name} over all impressions by {by}.",
        [by, "impressions", *report.models],
        rows,
    )


def weight_grid(report: Findings) -> Grid:
    """What the weights 1 / propensity of the clicks are worth."""
    assert report.overlap is not None
    rows = []
    for row in report.overlap.weights.itertuples():
        undefined = isinstance(row.reason, str)
        size = "n/a" if undefined else f"{row.effective_size:,.0f}"
        cells = [
            Cell(f"{row.clicks:,}"),
            Cell(size, row.reason if undefined else ""),
            *(Cell(percent(v)) for v in (row.effective_share, row.largest_share)),
            *(Cell(percent(v, 2)) for v in (row.floor, row.clipped_share)),
        ]
        rows.append((row.propensity, cells, row.propensity not in report.models))
    heads = ["propensity of", "clicks", "effective sample size", "of the clicks"]
    heads += ["largest weight's share", "1% quantile of the propensity", "clipped share of clicks"]
    return Grid("Weights click / propensity, on clicks.", heads, rows)


def ratio_grid(found: Sensitivity) -> Grid:
    """What odds ratio each model's mean pCVR asks for."""
    tie = [] if found.control is None else [f"psi where level with {found.control}"]
    heads = ["model", "mean pCVR, all", "unbiased at psi", f"bias within {TOLERATED:.0%} for psi"]
    rows = []
    for row in found.models.itertuples():
        ends = f"{_psi(row.psi_low)} to {_psi(row.psi_high)}"
        span = "n/a" if pd.isna(row.psi_low) and pd.isna(row.psi_high) else ends
        cells = [Cell(percent(row.mean_pcvr, 2)), Cell(_psi(row.psi_unbiased)), Cell(span)]
        cells += [Cell("" if row.model == found.control else _psi(row.psi_tie)) for _ in tie]
        rows.append((row.model, cells, False))
    return Grid("The odds ratios at which a conclusion turns.", [*heads, *tie], rows)


def random_grid(report: Findings) -> Grid:
    """The observable figures on the rows shown at random beside those on the rest."""
    assert report.random is not None
    asked = [("pctr", "all"), ("pctcvr", "all"), ("pcvr", "clicks")]
    found = report.random.set_index(["slice", "model", "quantity", "space", "metric"])
    rows = []
    for quantity, space in asked:
        for metric in ("pcoc", "auc"):
            for part in ("random", "rest"):
                at = (quantity, space, metric)
                named = {name: found.loc[(part, name, *at)] for name in report.models}
                cells = [
                    _cell(metric, Estimate(*(float(row[key]) for key in Estimate._fields)))
                    for row in named.values()
                ]
                heading = f"{_QUANTITIES[quantity]} {_NAMES[metric]}, {space}: {part}"
                rows.append((heading, cells, part == "rest"))
    return Grid("Rows shown at random, and the rest.", ["figure", *report.models], rows)


def change_grids(report: Findings) -> list[Grid]:
    """What is new against an older report: figures, then metadata."""
    found = report.changes
    assert found is not None
    grids = []
    if len(found.figures):
        figures = list(dict.fromkeys(found.figures["figure"]))
        rows = []
        for model, own in found.figures.groupby("model", sort=False):
            at = own.set_index("figure")
            cells = [
                _change(report, at.loc[name]) if name in at.index else Cell("") for name in figures
            ]
            rows.append((str(model), cells, False))
        grids.append(
            Grid(
                "Now, and before. Bold where the two intervals do not meet.",
                ["model", *figures],
                rows,
            )
        )
    if len(found.metadata):
        rows = [
            (row.fact, [Cell(row.before or "absent"), Cell(row.after or "absent")], False)
            for row in found.metadata.itertuples()
        ]
        grids.append(Grid("Facts that differ.", ["fact", "before", "now"], rows))
    return grids


def undefined_lines(report: Findings) -> list[str]:
    """What is not defined, and why."""
    missing = report.metrics[report.metrics["reason"].notna()]
    shared = missing.groupby(["quantity", "space", "metric", "reason"], sort=False)["model"].agg(
        list
    )
    return [
        f"{_QUANTITIES[quantity]} {_NAMES.get(metric, metric)}, {space}: {reason} "
        f"({', '.join(names)})"
        for (quantity, space, metric, reason), names in shared.items()
    ]


def _change(report: Findings, row: pd.Series) -> Cell:
    metric = report.columns[row.name][2]
    values = (float(row[key]) for key in ("after", "before"))
    now, before = (figure(metric, value) for value in values)
    return Cell(now, f"before {before}", bool(row["apart"]))


def _head(at: tuple[str, str, str], report: Findings) -> str:
    quantity, space, metric = at
    prefix = "" if report.known and quantity == "pcvr" else f"{_QUANTITIES[quantity]} "
    return f"{prefix}{_NAMES[metric]}, {_SPACES[space]}"


def _cell(metric: str, at: Estimate) -> Cell:
    return Cell(figure(metric, at.value), interval(metric, at))


def _against(report: Findings, name: str, at: tuple[str, str, str]) -> Cell:
    if name == report.control:
        return Cell("control")
    found = report.difference(name, *at)
    strong = found.low > 0 or found.high < 0
    return Cell(
        figure(at[2], found.value, signed=True), interval(at[2], found, signed=True), bool(strong)
    )


def _psi(value: float) -> str:
    return "none" if pd.isna(value) else f"{value:.3g}"
