"""Measure one epoch over a streamed log: time, memory, and how long the model waits for rows.

    python -m benchmarks.performance.streaming_epoch [--rows 50000000] [--batch-size 8192]

Writes `--rows` impressions of the `aliccp` scenario as parquet, then fits ESMM (its default MMoE)
by `FunnelEstimator` for one epoch from the folder, with default settings but for `RowWiseAdagrad`
for the tables: it splits off validation rows, fits the codec, trains, and evaluates the
checkpoint rule.

The fraction of waiting is what Lightning's profiler measures between asking for a batch and
having it, over the whole epoch. One prefetch thread reads; the network has one thread. One run:
an epoch has 6,000 steps. Linux only (memory is read from /proc).
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from lightning.pytorch.profilers import SimpleProfiler

from benchmarks.lib.results_store import path_of, write
from benchmarks.performance.timing import machine, peak_kb
from mtl_seq import models, simulate
from mtl_seq.fit import CHECKPOINT_RULE, FunnelEstimator, RowWiseAdagrad
from mtl_seq.schema import Schema

TARGET = "waits for data below 5% of the epoch"


def fit(folder: Path, batch_size: int) -> dict[str, float]:
    """Fit, and measure where the time is spent."""
    profiler = SimpleProfiler()
    estimator = FunnelEstimator(
        models.esmm,
        Schema.from_json(folder / "schema.json"),
        epochs=1,
        batch_size=batch_size,
        optimizer=RowWiseAdagrad(),
        seed=0,
        trainer={"profiler": profiler},
    )
    start, used = time.perf_counter(), time.process_time()
    estimator.fit(folder / "log")
    whole, cpu = time.perf_counter() - start, time.process_time() - used
    spent = {name: sum(seconds) for name, seconds in profiler.recorded_durations.items()}
    epoch = spent["run_training_epoch"]
    waited = spent["[_TrainingEpochLoop].train_dataloader_next"]
    steps = len(profiler.recorded_durations["run_training_batch"])
    return {
        "seconds of the fit": round(whole, 1),
        "processor seconds of the fit": round(cpu, 1),
        "seconds before the epoch": round(whole - epoch, 1),
        "seconds of the epoch": round(epoch, 1),
        "steps": steps,
        "training rows per second": round(steps * batch_size / epoch),
        "share of the epoch that waits for data": round(waited / epoch, 5),
        "peak_mb": round(peak_kb() / 1000),
        "checkpoint rule's value": estimator.run_.validation_scores[0],
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--batch-size", type=int, default=8192)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path, default=path_of("streaming_epoch"))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        scenario = simulate.scenario("aliccp", seed=0)
        simulate.write_shards(scenario, given.rows, folder, seed=0)
        record = fit(folder, given.batch_size)
    metadata = {
        "target": TARGET,
        "rows": given.rows,
        "batch_size": given.batch_size,
        "checkpoint_rule": CHECKPOINT_RULE,
        "command": f"python -m benchmarks.performance.streaming_epoch --rows {given.rows} "
        f"--batch-size {given.batch_size}",
        **machine(),
    }
    write(given.out, metadata, [record])
    print(json.dumps(metadata | record, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
