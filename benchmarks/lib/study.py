"""One runner of all studies: a list of cells, each fitted once, kept at once, and resumable.

A cell is a NamedTuple, such as seed, scenario and method; its record holds the fields and the
metrics that were measured.
"""

import argparse
import contextlib
import importlib
import inspect
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.lib.results_store import path_of, read, rounded, write
from mtl_seq.errors import CompositionError, DataError
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.records import FunnelTruth
from mtl_seq.simulate import Simulator

__all__ = ["SPACES", "Draw", "Study", "draw", "epochs_of", "launch", "parser_of", "quiet"]

SPACES = (
    "all: all impressions, against the true probabilities; clicks: clicked impressions, against "
    "P(r = 1 | x, click); non-clicks: the others, against P(r = 1 | x, no click)"
)
Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """How the cells of one result are fitted and kept.

    Attributes:
        command: Command that computes the result.
        cell: Type of the cells.
        fit: Metrics of a cell. A cell with too few rows, or with a funnel that its method does not
            support, is kept with its error.
        settings: What all cells have in common; cells kept under other settings are refused.
        out: Where cells are kept.
        metadata: What else the result states.
        shown: Metrics to print per cell.
        digits: Decimal digits that are kept.
    """

    command: str
    cell: type[NamedTuple]
    fit: Callable[[Any], Metrics]
    settings: Mapping[str, Any]
    out: Path
    metadata: Mapping[str, Any] = field(default_factory=lambda: {"spaces": SPACES})
    shown: Sequence[str] = ("relative bias, all", "log loss, all", "seconds")
    digits: int = 5

    def kept(self, *others: Path) -> dict[Any, Metrics]:
        """Records of finished cells by cell, of other results of the same settings too."""
        found: dict[Any, Metrics] = {}
        for path in (*others, self.out):
            if not path.exists():
                continue
            metadata, cells = read(path)
            if metadata["settings"] != rounded(self.settings, 15):
                raise SystemExit(
                    f"{path} holds cells of {metadata['settings']}, not of {dict(self.settings)}: "
                    "move it away, or name another --out"
                )
            found.update({self.key(record): record for record in cells})
        return found

    def key(self, record: Metrics) -> Any:
        """The cell of a record."""
        return self.cell(*(record[name] for name in self.cell._fields))

    def keep(self, records: Mapping[Any, Metrics]) -> None:
        """Write all records in the order of their cells."""
        common = {
            "command": self.command,
            "versions": versions(),
            "settings": dict(self.settings),
            "checkpoint_rule": CHECKPOINT_RULE,
            **self.metadata,
        }
        write(self.out, common, (records[cell] for cell in sorted(records)))

    def run(
        self, cells: Sequence[Any], workers: int = 1, reuse: Sequence[Path] = ()
    ) -> dict[Any, Metrics]:
        """Fit the cells that are not kept yet, on several processes, and keep each at once.

        Args:
            cells: In the order to be fitted in.
            workers: Processes.
            reuse: Results of the same settings whose cells are taken over.

        Returns:
            Records of all kept cells by cell.
        """
        found = self.kept(*reuse)
        if reuse:
            self.keep(found)
        left = [cell for cell in cells if cell not in found]
        for number, (cell, metrics) in enumerate(self._fitted(left, workers), 1):
            found[cell] = {**cell._asdict(), **rounded(metrics, self.digits)}
            self.keep(found)
            shown = {name: found[cell][name] for name in self.shown if name in found[cell]}
            print(f"{number}/{len(left)} {tuple(cell)}: {metrics.get('error', shown)}", flush=True)
        return found

    def _fitted(self, cells: Sequence[Any], workers: int) -> Iterable[tuple[Any, Metrics]]:
        if workers == 1:
            return map(self._attempt, cells)
        from joblib import Parallel, delayed

        parallel = Parallel(workers, return_as="generator_unordered")
        return parallel(delayed(self._attempt)(cell) for cell in cells)  # type: ignore[no-any-return]

    def _attempt(self, cell: Any) -> tuple[Any, Metrics]:
        try:
            return cell, self.fit(cell)
        except (CompositionError, DataError) as error:
            return cell, {"error": str(error)}


def parser_of(
    document: str | None, name: str, seeds: int = 3, *, raw: bool = False
) -> argparse.ArgumentParser:
    """Arguments that every study has.

    Args:
        document: Docstring of the study, whose first line becomes the help text.
        name: Name of the result.
        seeds: Default of ``--seeds``.
        raw: Whether the study fits a real log, of which RAW is the folder of the original files;
            without RAW nothing is fitted.
    """
    parser = argparse.ArgumentParser(description=inspect.cleandoc(document or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=seeds)
    if raw:
        parser.add_argument("raw", type=Path, nargs="?", help="folder of the original files")
    else:
        parser.add_argument("--scale", type=float, default=1.0, help="fraction of the rows to draw")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--table", action="store_true", help="fit nothing; show what is kept")
    parser.add_argument("--out", type=Path, default=path_of(name))
    return parser


def launch(spec: ModuleSpec) -> int:
    """Run `main` of a module under its name: processes cannot import what is in ``__main__``."""
    return int(importlib.import_module(spec.name).main())


class Draw(NamedTuple):
    """Training and test rows of one scenario."""

    scenario: Simulator
    log: pd.DataFrame
    truth: FunnelTruth
    test: pd.DataFrame
    test_truth: FunnelTruth

    @property
    def click(self) -> np.ndarray:
        """Which test rows are clicked."""
        return self.test["click"].to_numpy() == 1

    @property
    def clicked_bias(self) -> float:
        """Relative bias of P(r | x, click): the best under no hidden confounder."""
        truth = self.test_truth
        return float(truth.pcvr_clicked.mean() / truth.pcvr.mean() - 1)


def draw(scenario: Simulator, rows: int, test_rows: int, seed: int) -> Draw:
    """Draw training and test rows; all methods of a seed see the same."""
    log, truth = scenario.sample(rows, np.random.default_rng([seed, 1]))
    return Draw(scenario, log, truth, *scenario.sample(test_rows, np.random.default_rng([seed, 2])))


def epochs_of(rows: int) -> int:
    """One epoch, or over a small log as many as make 400 steps of 256 rows (5% are held out)."""
    return -(-400 * 256 // int(0.95 * rows))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what other packages print, draw and warn."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
