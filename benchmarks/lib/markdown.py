"""Markdown that templates need beyond text."""

import textwrap
from collections.abc import Iterable
from typing import Any

import pandas as pd

__all__ = ["bullets", "form", "row", "spread", "table", "unsigned"]


def table(frame: pd.DataFrame, corner: str = "") -> str:
    """A frame with its index; NaN leaves a cell empty."""
    lines = [row([corner, *map(str, frame.columns)]), "|---" * (frame.shape[1] + 1) + "|"]
    for name, cells in zip(frame.index, frame.itertuples(index=False), strict=True):
        lines.append(row([name, *("" if pd.isna(x) else x for x in cells)]))
    return "\n".join(lines)


def row(cells: Iterable[Any]) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def bullets(text: str | Iterable[str]) -> str:
    """A list, an item per paragraph (or string), in lines of at most 105 characters."""
    items = text.strip().split("\n\n") if isinstance(text, str) else text
    return "\n".join(
        textwrap.fill(
            f"* {' '.join(item.split())}", 105, subsequent_indent="  ",
            break_long_words=False, break_on_hyphens=False,
        )
        for item in items
    )  # fmt: skip


def form(value: Any, specification: str) -> str:
    """A value by a format specification, such as ``+.1%``."""
    return format(value, specification)


def spread(values: pd.Series, specification: str) -> str:
    """Mean ± standard deviation."""
    return f"{values.mean():{specification}} ± {values.std():{specification.lstrip('+')}}"


def unsigned(value: float, digits: int = 6) -> float:
    """A value that is 0 in exact arithmetic, without a sign."""
    return round(float(value), digits) + 0.0
