"""A report as one HTML file that works offline."""

import io
import re
from importlib import resources
from pathlib import Path

import matplotlib as mpl
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mtl_seq._files import atomic_path
from mtl_seq.report.compute.result import Findings
from mtl_seq.report.compute.result_json import KIND, VERSION, to_dict
from mtl_seq.report.render.figures import Picture, write_pictures
from mtl_seq.report.render.formatting import fact
from mtl_seq.report.render.glossary import glossary
from mtl_seq.report.render.headline import headline
from mtl_seq.report.render.page import sections
from mtl_seq.report.render.style import NARROW, WIDE, Layout
from mtl_seq.report.render.tables import Grid

__all__ = ["write_html", "write_report"]

_LAYOUTS = {"wide": WIDE, "narrow": NARROW}


def write_report(report: Findings, folder: str | Path) -> list[Path]:
    """Write report.html, report.json and the figures as PNG into a folder.

    Returns:
        What was written.
    """
    from mtl_seq._files import write_json

    folder = Path(folder)
    write_html(report, folder / "report.html")
    write_json(folder / "report.json", to_dict(report), kind=KIND, version=VERSION)
    return [folder / "report.html", folder / "report.json", *write_pictures(report, folder)]


def write_html(report: Findings, path: str | Path) -> None:
    """Render the report; every figure is inlined, nothing is loaded from anywhere.

    Each figure stands there twice, for a page and for a phone, of which one is shown: scaled down,
    the text of the first would be too small to read on the second.
    """
    source = (resources.files("mtl_seq.report") / "template.html").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests["grid"] = lambda block: isinstance(block, Grid)
    environment.tests["picture"] = lambda block: isinstance(block, Picture)
    page = environment.from_string(source).render(
        report=report,
        headline=headline(report),
        sections=sections(report),
        layouts=list(_LAYOUTS),
        svg=_svg,
        glossary=glossary(report),
        metadata=[(name, fact(value)) for name, value in report.metadata.items()],
    )
    with atomic_path(path) as aside:
        aside.write_text(page, encoding="utf-8")


def _svg(picture: Picture, layout: str) -> Markup:
    """The drawing, its ids made unique in the page."""
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mtl_seq"}):
        found: Layout = _LAYOUTS[layout]
        picture.draw(found).savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    drawn = text.getvalue()
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    own = f"{picture.name}-{layout}-"
    drawn = re.sub(r'\bid="', f'id="{own}', drawn)
    drawn = re.sub(r'href="#', f'href="#{own}', drawn)
    drawn = drawn.replace("url(#", f"url(#{own}")
    return Markup(drawn.replace("<svg ", f'<svg class="{layout}" aria-hidden="true" ', 1))
