"""A report as one HTML file that works offline."""

import io
import re
from importlib import resources
from pathlib import Path

import matplotlib as mpl
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mtl_seq._files import atomic_path
from mtl_seq.report.compute.result import ReportResult
from mtl_seq.report.render.figures import ReportFigure, write_figures
from mtl_seq.report.render.formatting import format_metadata
from mtl_seq.report.render.glossary import glossary
from mtl_seq.report.render.headline import headline
from mtl_seq.report.render.page import sections
from mtl_seq.report.render.style import NARROW, WIDE
from mtl_seq.report.render.tables import ReportTable

__all__ = ["write_html", "write_report"]

_LAYOUTS = {"wide": WIDE, "narrow": NARROW}


def write_report(report: ReportResult, folder: str | Path) -> list[Path]:
    """Write report.html, report.json and the figures as PNG into a folder; returns the files."""
    page, values = Path(folder) / "report.html", Path(folder) / "report.json"
    write_html(report, page)
    report.to_json(values)
    return [page, values, *write_figures(report, folder)]


def write_html(report: ReportResult, path: str | Path) -> None:
    """Render the report; every figure is inlined, nothing is loaded.

    Each figure is drawn for a desktop and for a phone, of which CSS shows one: panels that stand
    side by side on the former are stacked on the latter, since scaled down their text would be too
    small to read.
    """
    source = (resources.files("mtl_seq.report.render") / "template.html").read_text(
        encoding="utf-8"
    )
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests["table"] = lambda block: isinstance(block, ReportTable)
    environment.tests["figure"] = lambda block: isinstance(block, ReportFigure)
    page = environment.from_string(source).render(
        report=report,
        headline=headline(report),
        sections=sections(report),
        layouts=list(_LAYOUTS),
        svg=_svg,
        glossary=glossary(report),
        metadata=[(name, format_metadata(value)) for name, value in report.metadata.items()],
    )
    with atomic_path(path) as aside:
        aside.write_text(page, encoding="utf-8")


def _svg(figure: ReportFigure, layout: str) -> Markup:
    """The figure as SVG, its ids made unique in the page."""
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mtl_seq"}):
        figure.draw(_LAYOUTS[layout]).savefig(
            text, format="svg", metadata={"Date": None}, transparent=True
        )
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    prefix = f"{figure.name}-{layout}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    svg = svg.replace("url(#", f"url(#{prefix}")
    return Markup(svg.replace("<svg ", f'<svg class="{layout}" aria-hidden="true" ', 1))
