"""Our models and other packages' on KuaiRand-Pure, on the same rows and the same features.

    python benchmarks/real_logs/kuairand.py RAW [--seeds 3]

Train to 2022-04-28, test 04-29 and 30; the conversion is a long view or, rare, a like. Ours make
two passes where nothing else is said, and have the other default settings of `FunnelEstimator`;
"tuned" has one pass, the default, and target encodings that are smoothed less, one choice for all
models and both conversions, made on the inner split: the training rows with their last 24 hours
held out. Other packages have their settings chosen there too, for each model and conversion, by log
loss; see PEERS in benchmarks/real_logs/kuairand_peers.py. No setting is chosen on the test days.

RAW is the folder of the original files; see datasets/kuairand-pure/CARD.md. A cell is a model under
some settings and a seed, on one conversion, on the test or the inner part; finished cells are kept
in benchmarks/results/kuairand.json, so that an interrupted run goes on.
benchmarks/real_logs/kuairand_page.py makes the page of it. Other packages: pip install -e '.[bench]'.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from cells import keep, kept
from kuairand_peers import PEERS
from kuairand_rows import Encoded, Part, encoded, inner, measure, read

from mtl_seq import FunnelEstimator, models
from mtl_seq.data import Encoding
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.models import Builder

RESULT = Path(__file__).parent / "results" / "kuairand.json"
CONVERSIONS = ("long_view", "is_like")
TEST, INNER = "test", "inner"
TUNING_SEED = 100
DEFAULTS = "defaults"
CONTROL = "multitask (control)"
RAW_IDS = {"encoding": Encoding(target_encoding=None)}
PASSES = 2
ONE_EPOCH = {"epochs": 1}
# What was tried with the control on the inner split, and has the least log loss there; the default
# is a smoothing of 20, and one pass over as many rows.
TRIED: Mapping[str, Mapping[str, Any]] = {
    "epochs 2": {"epochs": 2},
    **{
        f"epochs 1, smoothing {rows:.0f}": ONE_EPOCH | {"encoding": Encoding(target_encoding=rows)}
        for rows in (20.0, 8.0, 3.0, 1.0)
    },
}
CHOSEN = "epochs 1, smoothing 3"
# A builder, and the settings of the estimator that are not the defaults.
MODELS: Mapping[str, tuple[Builder, Mapping[str, Any]]] = {
    CONTROL: (models.multitask, {}),
    "esmm": (models.esmm, {}),
    "escm2_ips": (models.escm2_ips, {}),
    "escm2_dr": (models.escm2_dr, {}),
    "dcmt": (models.dcmt, {}),
    "default": (models.targeted, {}),
    f"{CONTROL}, one epoch": (models.multitask, ONE_EPOCH),
    "esmm, one epoch": (models.esmm, ONE_EPOCH),
    "default, one epoch": (models.targeted, ONE_EPOCH),
    f"{CONTROL}, tuned": (models.multitask, TRIED[CHOSEN]),
    "esmm, tuned": (models.esmm, TRIED[CHOSEN]),
    "default, tuned": (models.targeted, TRIED[CHOSEN]),
    f"{CONTROL}, raw ids": (models.multitask, RAW_IDS),
    "esmm, raw ids": (models.esmm, RAW_IDS),
}
OTHERS = ("scikit-learn", "lightgbm", "torch-rechub", "deepctr-torch")
SPACES = "CTR and CTCVR on all impressions, CVR on clicks"


class Cell(NamedTuple):
    """What is fitted once."""

    part: str
    conversion: str
    model: str
    settings: str
    seed: int


class Log:
    """Both parts of both conversions, read and encoded once."""

    def __init__(self, raw: Path) -> None:
        self.raw = raw
        self.part = cache(self._part)
        self.encoded = cache(self._encoded)

    def _part(self, conversion: str, name: str) -> Part:
        if name == INNER:
            return inner(self.part(conversion, TEST))
        return read(self.raw, conversion)

    def _encoded(self, conversion: str, name: str, target_encodings: bool) -> Encoded:
        return encoded(self.part(conversion, name), target_encodings=target_encodings)


def ours(log: Log, cell: Cell, builder: Builder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Fit a model of ours and measure it."""
    part = log.part(cell.conversion, cell.part)
    given = {"epochs": PASSES, **settings}
    estimator = FunnelEstimator(builder, part.schema, seed=cell.seed, **given).fit(part.train)
    assert estimator.run_ is not None
    return {
        **measure(estimator.predict(part.test), part.test),
        "rule by epoch": [round(value, 5) for value in estimator.run_.validation_scores],
        "epoch kept": estimator.run_.best_epoch + 1,
    }


def others(log: Log, cell: Cell) -> dict[str, Any]:
    """Fit another package's model and measure it."""
    peer = PEERS[cell.model]
    rows = log.encoded(cell.conversion, cell.part, peer.target_encodings)
    ctr, cvr = (cell.settings.split(" / ") * 2)[:2]
    scores = peer.fit(rows, peer.settings[ctr], peer.settings[cvr], cell.seed)
    return measure(scores, log.part(cell.conversion, cell.part).test)


def chosen(cells: Mapping[Cell, Mapping[str, Any]], conversion: str, model: str) -> str:
    """The settings with the least log loss on the inner split.

    Of two models apart each has its own; of a network it is that of CTR plus that of CTCVR.
    """
    found = {
        cell.settings: record
        for cell, record in cells.items()
        if (cell.part, cell.conversion, cell.model) == (INNER, conversion, model)
        and cell.seed == TUNING_SEED
    }

    def best(*figures: str) -> str:
        return min(found, key=lambda name: sum(found[name][figure] for figure in figures))

    if PEERS[model].apart:
        return f"{best('CTR log loss, all')} / {best('CVR log loss, clicks')}"
    return best("CTR log loss, all", "CTCVR log loss, all")


def alike(one: Cell, other: Cell) -> bool:
    """Whether two cells differ in their settings at most."""
    return one._replace(settings="") == other._replace(settings="")


Work = tuple[Cell, Callable[[], dict[str, Any]]]


def work(log: Log, cells: Mapping[Cell, Mapping[str, Any]], seeds: int) -> Iterator[Work]:
    """Every cell and how it is measured; what is chosen is chosen once its turn comes."""
    for conversion in CONVERSIONS:
        for seed in range(seeds):
            for name, own in TRIED.items():
                cell = Cell(INNER, conversion, CONTROL, name, seed)
                yield cell, lambda c=cell, s=own: ours(log, c, models.multitask, s)
        for name, peer in PEERS.items():
            for settings in peer.settings:
                cell = Cell(INNER, conversion, name, settings, TUNING_SEED)
                yield cell, lambda cell=cell: others(log, cell)
    for seed in range(seeds):
        for conversion in CONVERSIONS:
            for name, (builder, settings) in MODELS.items():
                cell = Cell(TEST, conversion, name, DEFAULTS, seed)
                yield cell, lambda c=cell, b=builder, s=settings: ours(log, c, b, s)
            for name, peer in PEERS.items():
                if peer.random or seed == 0:
                    cell = Cell(TEST, conversion, name, chosen(cells, conversion, name), seed)
                    yield cell, lambda cell=cell: others(log, cell)


def sizes(log: Log) -> dict[str, Any]:
    """Rows, clicks and conversions of every part."""
    found = {}
    for conversion in CONVERSIONS:
        whole, early = (log.part(conversion, name) for name in (TEST, INNER))
        named = {"train": whole.train, "test": whole.test, "inner train": early.train}
        for name, frame in {**named, "inner test": early.test}.items():
            clicks, conversions = int(frame["click"].sum()), int(frame["conversion"].sum())
            found[f"{conversion}, {name}"] = [len(frame), clicks, conversions]
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings = {"seeds": given.seeds}
    cells = kept(given.out, Cell, settings)
    log = Log(given.raw)
    said = {
        "checkpoint_rule": CHECKPOINT_RULE + "; other packages have none",
        "spaces": SPACES,
        "versions of others": {name: version(name) for name in OTHERS},
        "rows, clicks, conversions": sizes(log),
    }
    for cell, run in work(log, cells, given.seeds):
        if cell in cells:
            continue
        # Other settings were chosen before more were tried.
        for stale in [other for other in cells if cell.part == TEST and alike(cell, other)]:
            del cells[stale]
        start = time.process_time()
        found = run()
        seconds = round(time.process_time() - start, 1)
        cells[cell] = {**cell._asdict(), **found, "seconds of processor": seconds}
        print(cells[cell], flush=True)
        keep(given.out, f"python benchmarks/real_logs/kuairand.py RAW --seeds {given.seeds}", settings, cells,
             **said)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
