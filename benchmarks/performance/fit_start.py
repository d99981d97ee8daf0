"""Measure seconds from `fit` to the first optimiser step: checks, split, encoding, model, loaders.

    python -m benchmarks.performance.fit_start [--rows 1000000] [--rounds 7] [--against TREE]

A frame of 23 ids (20 of integers, 3 of strings, up to 300,000 different values), 5 numbers, two
labels and a time is fitted by ESMM with the estimator's defaults, on one thread; training is
stopped at its first batch. Each measurement runs in a separate process that has fitted a few rows
before, so that no import is timed. With `--against`, a checkout of another state of the package
is measured too, alternating with this one; a digest of the first weights and the first batch
shows whether both start equal.
"""

import argparse
import contextlib
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
IDS = [f"id_{i}" for i in range(23)]
NUMBERS = [f"number_{i}" for i in range(5)]
WARM_UP = 5_000


def log_of(rows: int) -> pd.DataFrame:
    """Draw a log."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(3, 300_000, len(IDS)).astype(int)
    columns: dict[str, np.ndarray] = {}
    for i, (name, size) in enumerate(zip(IDS, sizes, strict=True)):
        # Popular values are drawn more often, as in a log.
        values = (size * rng.random(rows) ** 2).astype(np.int64)
        columns[name] = values if i % 6 != 5 else np.char.mod("v%d", values)
    columns |= {name: rng.normal(size=rows) for name in NUMBERS}
    click = rng.random(rows) < 1 / (1 + np.exp(2 - columns[NUMBERS[0]]))
    columns["click"] = click.astype(np.int64)
    columns["conversion"] = (click & (rng.random(rows) < 0.2)).astype(np.int64)
    columns["time"] = np.arange(rows)
    return pd.DataFrame(columns)


def measure(log: pd.DataFrame) -> dict[str, Any]:
    """Seconds to the first step, and a digest of the state there."""
    import torch
    from lightning import Callback

    from mtl_seq import FunnelEstimator, Schema, models

    torch.set_num_threads(1)
    schema = Schema(
        ids=IDS,
        dense=NUMBERS,
        labels={"click": "click", "conversion": "conversion"},
        time="time",
    )

    class Reached(Exception):
        pass

    class Stop(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):  # noqa: ARG002
            self.seconds = time.perf_counter() - self.start
            digest = hashlib.sha256()
            labels = [x for x in batch.labels if x is not None]
            state = pl_module.model.state_dict().values()
            for tensor in (*state, *batch.features.values(), *labels):
                digest.update(tensor.contiguous().numpy().tobytes())
            self.digest = digest.hexdigest()[:16]
            raise Reached

    stop = Stop()
    for rows in (log.iloc[:WARM_UP], log):
        estimator = FunnelEstimator(models.esmm, schema, trainer={"callbacks": [stop]})
        stop.start = time.perf_counter()
        with contextlib.suppress(Reached):
            estimator.fit(rows)
    return {"seconds": stop.seconds, "digest": stop.digest}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--against", type=Path, help="checkout of another state of the package")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.measure is not None:
        print(json.dumps(measure(pd.read_pickle(given.measure))))
        return 0
    # Not above: this file measures checkouts whose `benchmarks` is another one.
    from benchmarks.lib.results_store import path_of, write
    from benchmarks.performance.timing import alone, machine, spread

    trees = {"this": ROOT} | ({} if given.against is None else {"other": given.against.resolve()})
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.pickle"
        log_of(given.rows).to_pickle(path)
        for number in range(given.rounds):
            for name in list(trees) if number % 2 == 0 else list(reversed(trees)):
                environment = {"PYTHONPATH": str(trees[name]), "OMP_NUM_THREADS": "1"}
                runs[name].append(alone(Path(__file__), "--measure", path, **environment))
                print(name, runs[name][-1], flush=True)
    seconds = {name: [run["seconds"] for run in by_round] for name, by_round in runs.items()}
    metadata = {
        "command": f"python -m benchmarks.performance.fit_start --rows {given.rows} "
        f"--rounds {given.rounds}",
        "rows": given.rows,
        "columns": len(IDS) + len(NUMBERS),
        **machine(),
    }
    if "other" in runs:
        pairs = zip(seconds["other"], seconds["this"], strict=True)
        metadata["same weights and batch"] = (
            len({run["digest"] for by_round in runs.values() for run in by_round}) == 1
        )
        metadata["ratio of other to this"] = spread([other / this for other, this in pairs])
    cells = [
        {"tree": name, "seconds": spread(values), "by round": values}
        for name, values in seconds.items()
    ]
    write(given.out or path_of("fit_start"), metadata, cells)
    print(json.dumps([metadata, *cells], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
