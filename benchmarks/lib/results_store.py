"""Kept results: ``benchmarks/results/<name>.jsonl.gz``.

The first line is a JSON object of what is common (command, versions, settings), each further line
one cell: a fit, a measurement or a row of a table. A result of one record has one cell.
"""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mtl_seq._files import atomic_path

__all__ = ["FOLDER", "Result", "path_of", "read", "rounded", "write"]

FOLDER = Path(__file__).parents[1] / "results"


class Result(NamedTuple):
    """A kept result."""

    metadata: dict[str, Any]
    cells: list[dict[str, Any]]

    @property
    def record(self) -> dict[str, Any]:
        """Metadata and the only cell, in one dictionary."""
        (cell,) = self.cells
        return {**self.metadata, **cell}

    def where(self, **values: Any) -> list[dict[str, Any]]:
        """Cells that have these values."""
        return [c for c in self.cells if all(c.get(name) == v for name, v in values.items())]

    def frame(self, *index: str) -> pd.DataFrame:
        """A row per cell that could be fitted, indexed by some columns."""
        frame = pd.DataFrame([cell for cell in self.cells if "error" not in cell])
        return frame.set_index(list(index)) if index else frame


def path_of(name: str | Path) -> Path:
    """File of a result: a path as it is, a name in `FOLDER`."""
    return name if isinstance(name, Path) else FOLDER / f"{name}.jsonl.gz"


def read(name: str | Path) -> Result:
    """Read a result by its name or path."""
    with gzip.open(path_of(name), "rt", encoding="utf-8") as lines:
        metadata, *cells = map(json.loads, lines)
    return Result(metadata, cells)


def write(
    name: str | Path, metadata: Mapping[str, Any], cells: Iterable[Mapping[str, Any]]
) -> None:
    """Write a result atomically; equal content gives equal bytes."""
    lines = "".join(json.dumps(line) + "\n" for line in (metadata, *cells))
    with atomic_path(path_of(name)) as temporary:
        temporary.write_bytes(gzip.compress(lines.encode(), mtime=0))


def rounded(value: Any, digits: int = 5) -> Any:
    """Floats inside dictionaries and lists rounded; what is not finite becomes None for JSON."""
    if isinstance(value, Mapping):
        return {name: rounded(x, digits) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(x, digits) for x in value]
    if isinstance(value, float | np.floating):
        return round(float(value), digits) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
