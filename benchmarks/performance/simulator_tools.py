"""What the parts of benchmarks/performance/simulator.py share: blocks of rows, folders and rates."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mtl_seq import simulate

__all__ = ["BLOCK", "draw", "folder_for", "size_of", "spread"]

BLOCK = 1_000_000


def spread(values: list[float]) -> dict[str, float]:
    low, middle, high = (float(f"{np.quantile(values, q):.4g}") for q in (0, 0.5, 1))
    return {"median": middle, "lowest": low, "highest": high}


def draw(scenario: simulate.Simulator, blocks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(blocks):
        scenario.sample(BLOCK, rng)


@contextmanager
def folder_for(given: argparse.Namespace) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="simulator-", dir=given.folder) as name:
        yield Path(name)


def size_of(folder: Path) -> dict[str, int]:
    return {
        name: sum(path.stat().st_size for path in (folder / name).iterdir())
        for name in ("log", "truth")
    }
