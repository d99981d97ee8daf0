"""The page of a report: its sections, in the order of what a reader asks."""

from typing import NamedTuple

from mtl_seq.report.compute.result import Findings
from mtl_seq.report.render.figures import Picture, pictures
from mtl_seq.report.render.formatting import percent
from mtl_seq.report.render.headline import contradiction_lines
from mtl_seq.report.render.selection_text import selection_lines
from mtl_seq.report.render.tables import (
    Grid,
    all_figures,
    change_grids,
    difference_grid,
    lead_grid,
    random_grid,
    ratio_grid,
    segment_grid,
    undefined_lines,
    weight_grid,
)

__all__ = ["Section", "sections"]


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        key: Its anchor.
        title: Its heading.
        blocks: Paragraphs, tables and figures, in order.
        notes: Paragraphs set apart: what must not be overlooked.
        kind: ``"open"`` for what a log does not identify, ``"shown"`` for what it does, or empty.
    """

    key: str
    title: str
    blocks: list[str | Grid | Picture]
    notes: list[str] = []  # noqa: RUF012  # a NamedTuple's default, never changed
    kind: str = ""


def sections(report: Findings) -> list[Section]:
    """All sections; those without anything to show are left out."""
    drawn = pictures(report)
    found = [_changes(report), Section("short", "At a glance", [lead_grid(report)])]
    if report.known:
        found += [
            Section("where", "Where the bias is", _some(drawn, "relative_bias", "bias_by_decile")),
            _calibration(drawn),
            _ranking(report, drawn),
            _control(report),
            Section("gap", "Gap between naive and oracle", _some(drawn, "gap_closed")),
            _segments(report, drawn),
            _overlap(report, drawn),
            _sensitivity(report, drawn),
        ]
    else:
        shown = [
            Section("observed", "Calibration of what is observed", _some(drawn, "pcoc")),
            _calibration(drawn),
            _ranking(report, drawn),
            _control(report),
            _segments(report, drawn),
            _random(report),
            _overlap(report, drawn),
        ]
        found += [section._replace(kind="shown") for section in shown]
        found.append(_selection(report)._replace(kind="open"))
        found.append(_sensitivity(report, drawn)._replace(kind="open"))
    undefined = undefined_lines(report)
    note = ["Not defined: " + "; ".join(undefined) + "."] if undefined else []
    found.append(Section("table", "All figures", [all_figures(report)], note))
    return [section for section in found if section.blocks]


def _some(drawn: dict[str, Picture], *names: str) -> list[str | Grid | Picture]:
    return [drawn[name] for name in names if name in drawn]


def _changes(report: Findings) -> Section:
    found = report.changes
    if found is None:
        return Section("changes", "", [])
    lines = [
        f"{what}: {', '.join(names)}."
        for what, names in (("New models", found.added), ("Models that are gone", found.removed))
        if names
    ]
    grids = change_grids(report)
    lines += [] if grids or lines else ["Nothing has changed."]
    caution = "The two reports may be of other rows, so a change has no paired interval."
    return Section("changes", "What changed since the older report", [*lines, caution, *grids])


def _calibration(drawn: dict[str, Picture]) -> Section:
    return Section("reliability", "Reliability", _some(drawn, "reliability"))


def _ranking(report: Findings, drawn: dict[str, Picture]) -> Section:
    lines = contradiction_lines(report)
    blocks = _some(drawn, "auc_by_space")
    if report.known and not lines and len(report.models) > 1:
        blocks.append("No pair of models is surely ordered otherwise on clicks than over all.")
    return Section("ranking", "Ranking by space", blocks, lines)


def _control(report: Findings) -> Section:
    blocks: list[str | Grid | Picture] = []
    if report.control is not None and len(report.models) > 1:
        blocks.append(difference_grid(report))
    return Section("control", f"Against the control, {report.control}", blocks)


def _segments(report: Findings, drawn: dict[str, Picture]) -> Section:
    blocks: list[str | Grid | Picture] = []
    for by in dict.fromkeys(report.segments["by"]):
        blocks += [p for name, p in drawn.items() if name.startswith("segments_") and p.about == by]
        blocks.append(segment_grid(report, by))
    return Section("segments", "Bias by segment", blocks)


def _random(report: Findings) -> Section:
    if report.random is None:
        return Section("random", "", [])
    return Section(
        "random",
        "On impressions shown at random",
        [
            "No ranking chose these impressions, so what a model shows on them is not what the "
            "ranking's own choice makes of it. They are still clicked by choice: also here CVR "
            "off the clicks is not identified.",
            random_grid(report),
        ],
    )


def _overlap(report: Findings, drawn: dict[str, Picture]) -> Section:
    if report.overlap is None:
        return Section("overlap", "", [])
    return Section(
        "overlap", "Weights and overlap", [*_some(drawn, "overlap"), weight_grid(report)]
    )


def _selection(report: Findings) -> Section:
    title = "Whether something hidden moves both, by features that move clicks only"
    if report.selection is None:
        return Section("selection", title, [])
    return Section("selection", title, [*selection_lines(report.selection)])


def _sensitivity(report: Findings, drawn: dict[str, Picture]) -> Section:
    found = report.sensitivity
    title = "If something hidden ties clicks to conversions"
    if found is None:
        return Section("sensitivity", title, [])
    worst = (
        f"If nothing at all is assumed of those who did not click, the mean CVR over all "
        f"impressions lies anywhere from {percent(found.worst[0])} to {percent(found.worst[1])}."
    )
    if found.reason is not None:
        return Section("sensitivity", title, [worst, f"No curve: {found.reason}."])
    ranges = "; ".join(
        f"{percent(low)} to {percent(high)} for psi within 1/{gamma:g} and {gamma:g}"
        for gamma, (low, high) in found.ranges.items()
    )
    lines = [
        f"A log gives pCTR and pCTCVR, here as {found.base} has them, and nothing of the "
        "conversions there would be off the clicks. An assumed odds ratio psi of click and "
        f"potential conversion fills them in. The mean CVR over all impressions is then {ranges}. "
        + worst,
        "These ranges are of what is not identified; sampling error comes on top.",
    ]
    return Section("sensitivity", title, [*lines, *_some(drawn, "sensitivity"), ratio_grid(found)])
