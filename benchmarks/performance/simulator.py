"""Measure speed and memory of the simulator, and of obp's beside it.

    python -m benchmarks.performance.simulator [PART ...] [--rows 100000000]
        [--aliccp-rows 50000000] [--rounds 7] [--workers 2] [--folder DIR]

The named parts, by default all:

formats  1M rows of `dense` into one parquet file of the log and one of the truth, by compression
         and encoding: processor time of writing and of reading, and bytes a row.
memory   rows/s of `dense`, log and truth, in blocks of 1M rows that stay in the memory of the
         workers, which have started before; also in one process.
written  rows/s of the same scenario into parquet shards of 1M rows, log and truth, with fsync; ten
         shards a worker, with the start of the workers and without.
peak     one run of `--rows` impressions into shards (of 1M), in a separate process: time, size, and
         the peak of the memory of it and its workers together, sampled four times a second (PSS:
         shared pages count once; RSS: in each process).
obp      1M rows of Open Bandit Pipeline's SyntheticBanditDataset (its defaults: 10 actions, 5
         dimensions), in an environment that this command creates, and 1M rows of `dense` in one
         process, alternating. Where it does not install, the reason is kept instead.
aliccp   `--aliccp-rows` impressions of `aliccp` written, streamed back and summarised.

Rates are medians over rounds, with the lowest and highest. Linux only (memory is read from /proc).
"""

import argparse
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import joblib

from benchmarks.lib.results_store import path_of
from benchmarks.performance.simulator_formats import formats
from benchmarks.performance.simulator_memory import peak
from benchmarks.performance.simulator_obp import obp
from benchmarks.performance.simulator_tools import BLOCK, draw, folder_for, size_of
from benchmarks.performance.timing import machine, run_parts, spread, timed
from mtl_seq import report, simulate

TARGETS = {
    "memory": "5,000,000 rows/s",
    "written": "1,500,000 rows/s",
    "peak": "below 1,500 MB",
    "obp": "10 times its rows/s",
}


def memory(given: argparse.Namespace) -> dict[str, Any]:
    """Rows drawn per second in memory."""
    scenario = simulate.scenario("dense")
    blocks = 4
    alone, together = [], []
    with joblib.Parallel(n_jobs=given.workers) as pool:
        pool(joblib.delayed(draw)(scenario, 1, seed) for seed in range(given.workers))
        for round_ in range(given.rounds):
            start = time.perf_counter()
            pool(joblib.delayed(draw)(scenario, blocks, seed) for seed in range(given.workers))
            together.append(given.workers * blocks * BLOCK / (time.perf_counter() - start))
            alone.append(BLOCK / timed(partial(draw, scenario, 1, round_))[1])
    return {
        "rows/s": spread(together),
        "workers": given.workers,
        "rows/s in one process": spread(alone),
        "rows a round": given.workers * blocks * BLOCK,
    }


def written(given: argparse.Namespace) -> dict[str, Any]:
    """Rows written per second."""
    scenario = simulate.scenario("dense")
    rows = 10 * given.workers * BLOCK
    rates = []
    with folder_for(given) as folder:
        write = partial(simulate.write_shards, scenario, rows, workers=given.workers)
        first = rows / timed(partial(write, folder / "first", seed=0))[1]
        size = size_of(folder / "first")
        shutil.rmtree(folder / "first")
        for round_ in range(given.rounds):
            rates.append(rows / timed(partial(write, folder / "round", seed=round_))[1])
            shutil.rmtree(folder / "round")
    return {
        "rows/s": spread(rates),
        "workers": given.workers,
        "rows a round": rows,
        "rows/s with the start of the workers": float(f"{first:.4g}"),
        "bytes a row": {name: round(count / rows, 1) for name, count in size.items()},
    }


def aliccp(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds to build, write, stream back and summarise a large scenario."""
    _, built, scenario = timed(lambda: simulate.scenario("aliccp"))
    with folder_for(given) as folder:
        place, rows = folder / "log", given.aliccp_rows
        write = partial(simulate.write_shards, scenario, rows, place, workers=given.workers)
        _, wrote, _ = timed(partial(write, seed=0))
        size = size_of(place)
        _, read, summary = timed(
            lambda: report.SimulationSummary.from_chunks(
                simulate.read_shards(place), scenario.schema
            )
        )
    return {
        "rows": given.aliccp_rows,
        "workers": given.workers,
        "seconds to build the scenario": round(built, 1),
        "seconds to write": round(wrote, 1),
        "seconds to stream back and describe": round(read, 1),
        "gigabytes": {name: round(count / 1e9, 2) for name, count in size.items()},
        "described": {
            str(name): {
                column: summary.formatted(str(name), column) for column in ("drawn", "expected")
            }
            for name in summary.table.index
        },
    }


PARTS = {
    "formats": formats,
    "memory": memory,
    "written": written,
    "peak": peak,
    "obp": obp,
    "aliccp": aliccp,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--aliccp-rows", type=int, default=50_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", help="where shards are written; by default the system's")
    parser.add_argument("--out", type=Path, default=path_of("simulator"))
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part {sorted(unknown)[0]!r}: known are {', '.join(PARTS)}")

    def stated(part: str) -> dict[str, Any]:
        sizes = {"peak": f"--rows {given.rows}", "aliccp": f"--aliccp-rows {given.aliccp_rows}"}
        size = sizes.get(part, f"--rounds {given.rounds}")
        target = {"target": TARGETS[part]} if part in TARGETS else {}
        command = f"python -m benchmarks.performance.simulator {part} {size}"
        return {"command": command, **target, **machine("pyarrow", "joblib")}

    names = given.parts or list(PARTS)
    run_parts(given.out, {name: partial(PARTS[name], given) for name in names}, stated)
    return 0


if __name__ == "__main__":
    sys.exit(main())
