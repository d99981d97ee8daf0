"""A report as one HTML file that works offline."""

import io
import math
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from mtl_seq._files import atomic_path
from mtl_seq.report.findings import CEILING, TRUTH, Findings
from mtl_seq.report.headline import glossary, headline
from mtl_seq.report.plots import decile_figure, interval_figure, save

__all__ = ["write_html", "write_report"]


def write_report(report: Findings, folder: str | Path) -> list[Path]:
    """Write report.html, report.json and the figures as PNG into a folder.

    Returns:
        What was written.
    """
    folder = Path(folder)
    drawn = {f"{name}.png": figure for name, _, figure in _figures(report)}
    write_html(report, folder / "report.html")
    report.to_json(folder / "report.json")
    for name, figure in drawn.items():
        save(figure, folder / name)
    return [folder / name for name in ("report.html", "report.json", *drawn)]


def write_html(report: Findings, path: str | Path) -> None:
    """Render the report; every figure is inlined, nothing is loaded from anywhere."""
    source = (resources.files("mtl_seq.report") / "template.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    table = report.table
    page = environment.from_string(source).render(
        title=report.title,
        headline=headline(report),
        figures=[(caption, _svg(figure)) for _, caption, figure in _figures(report)],
        columns=list(table.columns),
        rows=[(name, [_cell(c, v) for c, v in row.items()]) for name, row in table.iterrows()],
        references=(CEILING, TRUTH),
        undefined=_undefined(report),
        glossary=glossary(report),
        facts=[(name, _fact(value)) for name, value in report.facts.items()],
    )
    with atomic_path(path) as aside:
        aside.write_text(page, encoding="utf-8")


_ORACLE = " The oracle's line is what the features allow: what a tower cannot see, it averages."


def _figures(report: Findings) -> list[tuple[str, str, Figure]]:
    """File name, caption and drawing."""
    if report.deciles is None:
        label = "PCOC of pCTCVR, all impressions"
        return [
            (
                "pcoc",
                "Predicted over observed conversions (PCOC) of each model, with its interval.",
                interval_figure(report, "pctcvr", "all", "pcoc", label, 1.0),
            )
        ]
    label = "relative bias of mean pCVR, all impressions"
    return [
        (
            "bias_by_decile",
            "Relative bias of predicted CVR by decile of the true propensity, one line per model. "
            "A line at 0 is unbiased everywhere; bias on the left is bias where clicks are rare."
            + _ORACLE
            * (report.oracle is not None),
            decile_figure(report),
        ),
        (
            "relative_bias",
            "Relative bias of mean predicted CVR over all impressions, with its interval.",
            interval_figure(report, "pcvr", "all", "relative_bias", label, 0.0),
        ),
    ]


def _svg(figure: Figure) -> Markup:
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mtl_seq"}):
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    drawn = text.getvalue()
    return Markup(drawn[drawn.index("<svg") :])


def _cell(column: str, value: float) -> str:
    if math.isnan(value):
        return "n/a"
    value = round(value, 6) + 0.0  # no negative zero
    if "bias" in column:
        return f"{value:+.1%}"
    if "gap" in column:
        return f"{value:.0%}"
    return (
        f"{value:.4f}"
        if "AUC" in column or "loss" in column or "RMSE" in column
        else f"{value:.3f}"
    )


def _fact(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _undefined(report: Findings) -> list[str]:
    missing = report.metrics[report.metrics["reason"].notna()]
    lines = [
        f"{row.metric} of {row.quantity} on {row.space}, {row.model}: {row.reason}"
        for row in missing.itertuples()
    ]
    reasons = {reason for _, reason in report.gap.values() if reason}
    return lines + [f"gap closed: {reason}" for reason in sorted(reasons)]
