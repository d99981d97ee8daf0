"""What studies of simulated scenarios share: rows drawn once a scenario, cells kept one at a time, pairs.

A cell is a NamedTuple that names a seed, a scenario and a method; all methods of a seed and scenario see
the same rows, so that differences between them are paired.
"""

import argparse
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from cells import keep, kept
from methods import rounded

from mtl_seq.errors import DataError
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.records import FunnelTruth
from mtl_seq.simulate import Simulator

__all__ = [
    "Draw",
    "Pair",
    "compared",
    "draw",
    "finish",
    "pair_of",
    "parser_of",
    "passes_of",
    "records_of",
]

SPACES = (
    "all: all impressions, against the true probabilities; clicks: clicked impressions, against "
    "P(r = 1 | x, click); non-clicks: the others, against P(r = 1 | x, no click)"
)


class Draw(NamedTuple):
    """Rows of one scenario."""

    scenario: Simulator
    log: pd.DataFrame
    truth: FunnelTruth
    test: pd.DataFrame
    test_truth: FunnelTruth

    @property
    def click(self) -> np.ndarray:
        """Which test rows are clicked."""
        return self.test["click"].to_numpy() == 1


def draw(scenario: Simulator, rows: int, test_rows: int, seed: int) -> Draw:
    """Training and test rows, by the generators that benchmarks/leaderboard/methods.py has for a seed."""
    log, truth = scenario.sample(rows, np.random.default_rng([seed, 1]))
    return Draw(scenario, log, truth, *scenario.sample(test_rows, np.random.default_rng([seed, 2])))


def finish(
    cells: Sequence[Any],
    fit: Callable[[Any], Mapping[str, Any]],
    given: argparse.Namespace,
    settings: Mapping[str, Any],
    command: str,
) -> list[Mapping[str, Any]]:
    """Fit what is left of some cells, and keep each at once; nothing where only a table is asked.

    Args:
        cells: NamedTuples in the order to be fitted in.
        fit: From a cell, its figures; one with too few rows is kept with its error.
        given: Of `parser_of`: ``out``, where cells are kept, and ``table``.
        settings: What all cells have in common; those kept under others are refused.
        command: How the result is made, but for the number of seeds.

    Returns:
        Records of all cells that are kept.
    """
    if given.table:
        return records_of(given.out)
    kind = type(cells[0])
    found = dict(kept(given.out, kind, settings))
    for number, cell in enumerate(cells):
        if cell in found:
            continue
        try:
            figures = rounded(fit(cell))
        except DataError as error:
            figures = {"error": str(error)}
        found[cell] = {**cell._asdict(), **figures}
        seeds = 1 + max(done.seed for done in found)
        keep(
            given.out,
            f"{command} --seeds {seeds}",
            settings,
            found,
            checkpoint_rule=CHECKPOINT_RULE,
            spaces=SPACES,
        )
        said = figures.get("error", figures.get("relative bias, all"))
        print(f"{number + 1}/{len(cells)} {tuple(cell)}: {said}", flush=True)
    return list(found.values())


def records_of(out: Path) -> list[Mapping[str, Any]]:
    """The cells of a kept result."""
    records: list[Mapping[str, Any]] = json.loads(out.read_text(encoding="utf-8"))["cells"]
    return records


def passes_of(rows: int) -> int:
    """One, or over a small log, less the rows held out, as many as make 400 steps of 256 rows."""
    return -(-400 * 256 // int(0.95 * rows))


class Pair(NamedTuple):
    """A mean difference over the seeds that two methods share, its standard error, and how many."""

    mean: float
    error: float
    seeds: int

    def said(self, form: str = "+.4f") -> str:
        """Mean ± standard error."""
        if not self.seeds:
            return "n/a"
        plain = form.removeprefix("+")
        return f"{self.mean:{form}}" + ("" if self.seeds < 2 else f" ± {self.error:{plain}}")

    def times(self, factor: float) -> "Pair":
        """In another unit."""
        return Pair(factor * self.mean, abs(factor) * self.error, self.seeds)

    def apart(self, errors: float = 2.0) -> bool:
        """Whether the mean is more than so many standard errors from 0; never by one seed."""
        return self.seeds > 1 and abs(self.mean) > errors * self.error


def pair_of(values: pd.Series) -> Pair:
    """Mean and standard error of values by seed."""
    known = values.dropna()
    return Pair(float(known.mean()), float(known.sem()), len(known))


def compared(figures: pd.Series, method: Any, other: Any) -> Pair:
    """A method minus another, of figures indexed by method and seed; of no seed, one is absent."""
    if not {method, other} <= set(figures.index.get_level_values(0)):
        return Pair(float("nan"), float("nan"), 0)
    return pair_of(figures[method] - figures[other])


def parser_of(document: str | None, seeds: int, out: Path, figure: Path) -> argparse.ArgumentParser:
    """Arguments that every study has."""
    description = (inspect.cleandoc(document) if document else "").splitlines()[0]
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows to draw")
    parser.add_argument("--table", action="store_true", help="only show what there is")
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--figure", type=Path, default=figure)
    return parser
