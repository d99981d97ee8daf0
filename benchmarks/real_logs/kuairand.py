"""Compare our models and other packages' on KuaiRand-Pure, on the same rows and features.

    python -m benchmarks.real_logs.kuairand RAW [--seeds 3]

Train to 2022-04-28, test 04-29 and 30; the conversion is a long view or, rare, a like. Ours train
for two epochs unless stated, and have the other default settings of `FunnelEstimator`; "tuned"
has one epoch, the default, and target encodings that are smoothed less, one choice for all models
and both conversions, made on the inner split: the training rows with their last 24 hours held
out. Other packages have their settings chosen there too, for each model and conversion, by log
loss; see PEERS in `kuairand_peers`. No setting is chosen on the test days.

RAW is the folder of the original files; see datasets/kuairand-pure/CARD.md. A cell is a model
under some settings and a seed, on one conversion, on the test or the inner part. Other packages:
pip install -e '.[bench]'. Draws docs/kuairand.png.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Mapping
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.lib.results_store import read
from benchmarks.lib.study import Study, launch, parser_of
from benchmarks.real_logs import kuairand_rows
from benchmarks.real_logs.kuairand_models import (
    CONTROL,
    CONVERSIONS,
    INNER,
    MODELS,
    TEST,
    TRIED,
)
from benchmarks.real_logs.kuairand_peers import PEERS
from benchmarks.real_logs.kuairand_rows import Encoded, Part, measure
from mtl_seq import FunnelEstimator
from mtl_seq.fit import CHECKPOINT_RULE

FIGURE = Path(__file__).parents[2] / "docs" / "kuairand.png"
TUNING_SEED = 100
DEFAULTS = "defaults"
EPOCHS = 2
OTHERS = ("scikit-learn", "lightgbm", "torch-rechub", "deepctr-torch")


class Cell(NamedTuple):
    """A model under some settings and a seed."""

    part: str
    conversion: str
    model: str
    settings: str
    seed: int


Records = Mapping[Cell, Mapping[str, Any]]


@cache
def part_of(raw: Path, conversion: str, name: str) -> Part:
    """Rows of the test or the inner split."""
    if name == INNER:
        return kuairand_rows.inner(part_of(raw, conversion, TEST))
    return kuairand_rows.read(raw, conversion)


@cache
def encoded(raw: Path, conversion: str, name: str, target_encodings: bool) -> Encoded:
    """The same rows as inputs of other packages."""
    return kuairand_rows.encoded(part_of(raw, conversion, name), target_encodings=target_encodings)


def fit(raw: Path, cell: Cell) -> dict[str, Any]:
    """Metrics of a cell, and the seconds of its fit."""
    torch.set_num_threads(1)
    start = time.process_time()
    metrics = (others if cell.model in PEERS else ours)(raw, cell)
    return {**metrics, "seconds of processor": time.process_time() - start}


def ours(raw: Path, cell: Cell) -> dict[str, Any]:
    """Fit and measure a model of ours."""
    builder, settings = MODELS[cell.model]
    settings = TRIED.get(cell.settings, settings)
    part = part_of(raw, cell.conversion, cell.part)
    given = {"epochs": EPOCHS, **settings}
    estimator = FunnelEstimator(builder, part.schema, seed=cell.seed, **given).fit(part.train)
    assert estimator.run_ is not None
    return {
        **measure(estimator.predict(part.test), part.test),
        "rule by epoch": list(estimator.run_.validation_scores),
        "epoch kept": estimator.run_.best_epoch + 1,
    }


def others(raw: Path, cell: Cell) -> dict[str, Any]:
    """Fit and measure another package's model."""
    peer = PEERS[cell.model]
    rows = encoded(raw, cell.conversion, cell.part, peer.target_encodings)
    ctr, cvr = (cell.settings.split(" / ") * 2)[:2]
    scores = peer.fit(rows, peer.settings[ctr], peer.settings[cvr], cell.seed)
    return measure(scores, part_of(raw, cell.conversion, cell.part).test)


def chosen(records: Records, conversion: str, model: str) -> str:
    """Settings with the least log loss on the inner split.

    Two separate models have one each; for a network it is that of CTR plus that of CTCVR.
    """
    tried = {
        cell.settings: record
        for cell, record in records.items()
        if (cell.part, cell.conversion, cell.model) == (INNER, conversion, model)
        and cell.seed == TUNING_SEED
    }

    def best(*metrics: str) -> str:
        return min(tried, key=lambda name: sum(tried[name][metric] for metric in metrics))

    if PEERS[model].apart:
        return f"{best('CTR log loss, all')} / {best('CVR log loss, clicks')}"
    return best("CTR log loss, all", "CTCVR log loss, all")


def tuning_cells(seeds: int) -> Iterable[Cell]:
    """Cells of the inner split."""
    for conversion in CONVERSIONS:
        for seed in range(seeds):
            yield from (Cell(INNER, conversion, CONTROL, name, seed) for name in TRIED)
        for name, peer in PEERS.items():
            for settings in peer.settings:
                yield Cell(INNER, conversion, name, settings, TUNING_SEED)


def test_cells(records: Records, seeds: int) -> Iterable[Cell]:
    """Cells of the test days, under the chosen settings."""
    for seed in range(seeds):
        for conversion in CONVERSIONS:
            for name in MODELS:
                yield Cell(TEST, conversion, name, DEFAULTS, seed)
            for name, peer in PEERS.items():
                if peer.random or seed == 0:
                    yield Cell(TEST, conversion, name, chosen(records, conversion, name), seed)


def sizes(raw: Path) -> dict[str, list[int]]:
    """Rows, clicks and conversions of every part."""
    counts = {}
    for conversion in CONVERSIONS:
        for prefix, name in (("", TEST), ("inner ", INNER)):
            part = part_of(raw, conversion, name)
            for half, frame in (("train", part.train), ("test", part.test)):
                clicks, conversions = (int(frame[x].sum()) for x in ("click", "conversion"))
                counts[f"{conversion}, {prefix}{half}"] = [len(frame), clicks, conversions]
    return counts


def run(given: argparse.Namespace) -> None:
    """Fit what settings are chosen on, then every model on the test days."""
    study = Study(
        f"python -m benchmarks.real_logs.kuairand RAW --seeds {given.seeds}",
        Cell, partial(fit, given.raw), {"epochs": EPOCHS}, given.out,
        metadata={
            "checkpoint_rule": CHECKPOINT_RULE + "; other packages have none",
            "spaces": "CTR and CTCVR on all impressions, CVR on clicks",
            "versions of others": {name: version(name) for name in OTHERS},
            "rows, clicks, conversions": sizes(given.raw),
        },
        shown=("CTR AUC, all", "CTCVR AUC, all"),
    )  # fmt: skip
    records = study.run(list(tuning_cells(given.seeds)), given.workers)
    cells = list(test_cells(records, given.seeds))
    records = study.run(cells, given.workers)
    # Other settings were chosen before more were tried.
    settings = {(cell.conversion, cell.model): cell.settings for cell in cells}
    study.keep(
        {
            cell: record
            for cell, record in records.items()
            if cell.part == INNER
            or settings.get((cell.conversion, cell.model), cell.settings) == cell.settings
        }
    )


def main(arguments: list[str] | None = None) -> int:
    from benchmarks.real_logs import kuairand_summary

    parser = parser_of(__doc__, "kuairand", seeds=3, raw=True)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args(arguments)
    if given.raw and not given.table:
        run(given)
    kuairand_summary.draw(read(given.out), given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
