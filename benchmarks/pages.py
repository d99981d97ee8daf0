"""Tables between the marks of a page, so that a test can hold the page to a kept result."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

__all__ = ["filled", "markdown"]


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


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with every block between its marks."""
    for name, block in blocks.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        if not re.search(pattern, page, flags=re.DOTALL):
            raise ValueError(f"the page has no mark {name!r}")
        page = re.sub(pattern, lambda m, b=block: f"{m[1]}{b}\n{m[2]}", page, flags=re.DOTALL)
    return page
