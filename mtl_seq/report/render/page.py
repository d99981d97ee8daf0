"""Sections of a report's page, in the order of the reader's questions."""

from typing import NamedTuple

from mtl_seq.report.compute.result import ReportResult
from mtl_seq.report.render.figures import ReportFigure, report_figures
from mtl_seq.report.render.formatting import format_percent
from mtl_seq.report.render.headline import rank_disagreement_lines, selection_lines
from mtl_seq.report.render.tables import (
    ReportTable,
    change_tables,
    difference_table,
    main_table,
    metric_table,
    odds_ratio_table,
    random_table,
    segment_bias_table,
    undefined_lines,
    weight_table,
)

__all__ = ["Section", "sections"]

Block = str | ReportTable | ReportFigure
Figures = dict[str, ReportFigure]


class Section(NamedTuple):
    """A section of the page.

    Attributes:
        key: Its anchor.
        title: Its heading.
        blocks: Paragraphs, tables and figures, in order.
        notes: Highlighted paragraphs.
        kind: ``"open"`` for what a log does not identify, ``"shown"`` for what it does, or empty.
    """

    key: str
    title: str
    blocks: list[Block]
    notes: list[str] = []  # noqa: RUF012  # a NamedTuple's default, never changed
    kind: str = ""


def sections(report: ReportResult) -> list[Section]:
    """All sections that have content."""
    figures = report_figures(report)
    where = _some(figures, "relative_bias", "bias_by_decile")
    compared = report.control is not None and len(report.models) > 1
    control: list[Block] = [difference_table(report)] if compared else []
    overlap = [*_some(figures, "overlap"), *([weight_table(report)] if report.overlap else [])]
    selection: list[Block] = [*(selection_lines(report.selection) if report.selection else [])]
    shown = [
        Section("where", "Where the bias is", where),
        Section("observed", "Calibration against labels", _some(figures, "pcoc")),
        Section("reliability", "Reliability", _some(figures, "reliability")),
        _ranking(report, figures),
        Section("control", f"Against the control, {report.control}", control),
        Section("gap", "Gap between naive and oracle", _some(figures, "gap_closed")),
        Section("segments", "Bias by segment", _segments(report, figures)),
        Section("random", "On impressions shown at random", _random(report)),
        Section("overlap", "Weights and overlap", overlap),
    ]
    hidden = "Sensitivity to hidden confounding of clicks and conversions"
    unidentified = [
        Section("selection", "Test for hidden confounding by click-only features", selection),
        Section("sensitivity", hidden, _sensitivity(report, figures)),
    ]
    if not report.has_truth:
        shown = [section._replace(kind="shown") for section in shown]
        unidentified = [section._replace(kind="open") for section in unidentified]
    page = [
        Section("changes", "What changed since the older report", _changes(report)),
        Section("short", "At a glance", [main_table(report)]),
        *shown,
        *unidentified,
    ]
    undefined = undefined_lines(report)
    note = ["Not defined: " + "; ".join(undefined) + "."] if undefined else []
    page.append(Section("table", "All metrics", [metric_table(report)], note))
    return [section for section in page if section.blocks]


def _some(figures: Figures, *names: str) -> list[Block]:
    return [figures[name] for name in names if name in figures]


def _changes(report: ReportResult) -> list[Block]:
    changes = report.changes
    if changes is None:
        return []
    lines = [
        f"{what}: {', '.join(names)}."
        for what, names in (("New models", changes.added), ("Removed models", changes.removed))
        if names
    ]
    tables = change_tables(report)
    lines += [] if tables or lines else ["Nothing has changed."]
    caution = "The two reports may be of other rows, so a change has no paired interval."
    return [*lines, caution, *tables]


def _ranking(report: ReportResult, figures: Figures) -> Section:
    lines = rank_disagreement_lines(report)
    blocks = _some(figures, "auc_by_space")
    if report.has_truth and not lines and len(report.models) > 1:
        blocks.append(
            "No rank disagreement: no pair of models whose order on clicks differs significantly "
            "from that over all impressions."
        )
    return Section("ranking", "Ranking by space", blocks, lines)


def _segments(report: ReportResult, figures: Figures) -> list[Block]:
    blocks: list[Block] = []
    for by in dict.fromkeys(report.segments["by"]):
        blocks += [figure for figure in figures.values() if figure.segment_column == by]
        blocks.append(segment_bias_table(report, by))
    return blocks


def _random(report: ReportResult) -> list[Block]:
    if report.random is None:
        return []
    text = (
        "No ranking chose these impressions, so metrics on them are free of the ranking's exposure "
        "bias. Users still chose what to click: CVR on non-clicks is not identified here either."
    )
    return [text, random_table(report)]


def _sensitivity(report: ReportResult, figures: Figures) -> list[Block]:
    curve = report.sensitivity
    if curve is None:
        return []
    least, greatest = map(format_percent, curve.worst)
    worst = (
        "Without any assumption on the impressions without a click, the mean CVR over all "
        f"impressions is between {least} and {greatest}."
    )
    if curve.reason is not None:
        return [worst, f"No curve: {curve.reason}."]
    ranges = "; ".join(
        f"{format_percent(low)} to {format_percent(high)} for psi between 1/{gamma:g} and {gamma:g}"
        for gamma, (low, high) in curve.ranges.items()
    )
    text = (
        f"A log identifies pCTR and pCTCVR, here those of {curve.base}, but not the potential "
        "conversions on non-clicks. An assumed odds ratio psi of click and potential conversion "
        f"determines them. The mean CVR over all impressions is then {ranges}. {worst}"
    )
    caution = "These ranges are of what is not identified; sampling error is not included."
    return [text, caution, *_some(figures, "sensitivity"), odds_ratio_table(curve)]
