"""Fill the marked blocks of README.md and docs/ from kept results.

    python -m benchmarks.lib.pages            # all pages that have a template
    python -m benchmarks.lib.pages docs/coat.md
    python -m benchmarks.lib.pages --check    # exit code 1 where a page differs

The template of ``docs/coat.md`` is ``benchmarks/templates/docs/coat.md.jinja``. It holds the blocks
between the marks of the page, ``<!-- name -->`` and ``<!-- end -->``; that of an HTML page is the
whole page. A file whose name starts with ``_`` holds macros. In a template
``study("real_logs.coat")`` is that module, ``kept("coat")`` its result; the functions of
`benchmarks.lib.markdown` are filters.
"""

import argparse
import functools
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import jinja2

from benchmarks.lib import markdown
from benchmarks.lib.results_store import read

__all__ = ["ROOT", "blocks", "filled", "pages", "rendered"]

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "benchmarks" / "templates"
_BLOCK = re.compile(r"<!-- (?!end)([^<>]+?) -->\n(.*?)\n*<!-- end -->", flags=re.DOTALL)


def pages() -> list[str]:
    """Paths of all pages that have a template, relative to the repository."""
    suffix = ".jinja"
    return sorted(
        path.relative_to(TEMPLATES).as_posix().removesuffix(suffix)
        for path in TEMPLATES.rglob(f"[!_]*{suffix}")
    )


def blocks(text: str) -> dict[str, str]:
    """Marked blocks by name."""
    return dict(_BLOCK.findall(text))


def filled(page: str, found: dict[str, str]) -> str:
    """A page with new blocks; refuses a page whose marks are not those of the blocks."""
    marks = set(blocks(page))
    if marks != set(found):
        raise ValueError(
            f"marks of a page and blocks of its template differ: {sorted(marks ^ set(found))}"
        )
    return _BLOCK.sub(lambda mark: f"<!-- {mark[1]} -->\n{found[mark[1]]}\n<!-- end -->", page)


def rendered(page: str) -> str:
    """The text of a page as its template renders it."""
    text = _environment().get_template(f"{page}.jinja").render()
    if page.endswith(".html"):
        return text
    return filled((ROOT / page).read_text(encoding="utf-8"), blocks(text))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=lambda name: bool(name and name.endswith(".html.jinja")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.globals |= {"study": _study, "kept": read, "zip": zip}
    environment.filters |= {name: getattr(markdown, name) for name in markdown.__all__}
    return environment


def _study(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", default=pages())
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args(arguments)
    stale = 0
    for page in given.pages:
        path, text = ROOT / page, rendered(page)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale += 1
            print(f"{page} {'differs' if given.check else 'written'}")
            if not given.check:
                path.write_text(text, encoding="utf-8")
    return int(given.check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
