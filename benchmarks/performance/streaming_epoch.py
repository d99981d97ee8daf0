"""One epoch over a log that is streamed: time, memory, and how long the model waits for rows.

    python benchmarks/performance/streaming_epoch.py [--rows 50000000] [--batch-size 8192] [--folder DIR]

Writes `--rows` impressions of the `aliccp` scenario as parquet, then fits ESMM (its default MMoE) by
`FunnelEstimator` for one epoch, from the folder, with everything else at its default but
`RowWiseAdagrad` for the tables: the pass that holds rows out, the pass that fits the codec, the
epoch, and the held-out rows for the checkpoint rule.

The share of waiting is what Lightning's own profiler sees between asking for a batch and having it,
over the whole epoch. One prefetch thread reads; the network has one thread. One run: an epoch is
6,000 steps. Linux only (memory is read from /proc). Writes benchmarks/results/epoch.json.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import torch
from lightning.pytorch.profilers import SimpleProfiler

from mtl_seq import models, simulate
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE, FunnelEstimator, RowWiseAdagrad
from mtl_seq.schema import Schema

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "epoch.json"
TARGET = "waits for data below 5% of the epoch"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--batch-size", type=int, default=8192)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.folder or Path(made)
        scenario = simulate.scenario("aliccp", seed=0)
        simulate.write_shards(scenario, arguments.rows, folder, seed=0)
        found = fit(folder, arguments.batch_size)
    result = {
        "target": TARGET,
        "rows": arguments.rows,
        "batch_size": arguments.batch_size,
        **found,
        "checkpoint rule": CHECKPOINT_RULE,
        "command": f"python benchmarks/performance/streaming_epoch.py --rows {arguments.rows} "
        f"--batch-size {arguments.batch_size}",
        "versions": versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def fit(folder: Path, batch_size: int) -> dict[str, float]:
    """Fit, and say where the time went."""
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
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return {
        "seconds of the fit": round(whole, 1),
        "processor seconds of the fit": round(cpu, 1),
        "seconds before the epoch": round(whole - epoch, 1),
        "seconds of the epoch": round(epoch, 1),
        "steps": steps,
        "training rows per second": round(steps * batch_size / epoch),
        "share of the epoch that waits for data": round(waited / epoch, 5),
        "peak_mb": round(int(status.split("VmHWM:")[1].split()[0]) / 1000),
        "checkpoint rule's value": estimator.run_.validation_scores[0],
    }


if __name__ == "__main__":
    main()
