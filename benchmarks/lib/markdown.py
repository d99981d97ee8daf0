"""Tables between the marks of a page, so that a test can hold the page to a kept result."""

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["bullets", "fill", "filled", "markdown"]


def markdown(frame: pd.DataFrame, corner: str) -> str:
    """A table."""
    lines = [
        f"| {' | '.join([corner, *map(str, frame.columns)])} |",
        "|---" * (frame.shape[1] + 1) + "|",
    ]
    for name, row in zip(frame.index, frame.itertuples(index=False), strict=True):
        lines.append(f"| {' | '.join([str(name), *map(_cell, row)])} |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def bullets(*points: str) -> str:
    """A list, a point each, in lines of at most 105 characters."""
    return "\n".join(
        textwrap.fill(
            f"* {' '.join(point.split())}", 105, subsequent_indent="  ",
            break_long_words=False, break_on_hyphens=False,
        )
        for point in points
    )  # fmt: skip


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with every block between its marks."""
    for name, block in blocks.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        if not re.search(pattern, page, flags=re.DOTALL):
            raise ValueError(f"the page has no mark {name!r}")
        page = re.sub(pattern, lambda m, b=block: f"{m[1]}{b}\n{m[2]}", page, flags=re.DOTALL)
    return page


def fill(path: Path, blocks: Mapping[str, str]) -> None:
    """Write a page anew with these blocks."""
    path.write_text(filled(path.read_text("utf-8"), blocks), encoding="utf-8")
