"""Blocks of rows and folders of the simulator's benchmarks."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mtl_seq import simulate

__all__ = ["BLOCK", "draw", "folder_for", "size_of"]

BLOCK = 1_000_000


def draw(scenario: simulate.Simulator, blocks: int, seed: int) -> None:
    """Draw blocks of rows and discard them."""
    rng = np.random.default_rng(seed)
    for _ in range(blocks):
        scenario.sample(BLOCK, rng)


@contextmanager
def folder_for(given: argparse.Namespace) -> Iterator[Path]:
    """Create a temporary folder where the command says."""
    with tempfile.TemporaryDirectory(prefix="simulator-", dir=given.folder) as name:
        yield Path(name)


def size_of(folder: Path) -> dict[str, int]:
    """Bytes of a simulation's log and truth."""
    return {
        name: sum(path.stat().st_size for path in (folder / name).iterdir())
        for name in ("log", "truth")
    }
