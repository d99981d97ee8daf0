"""Speed and memory of the simulator, and of obp's beside it.

    python benchmarks/performance/simulator.py [formats memory written peak obp aliccp] [--rows 100000000]
        [--aliccp-rows 50000000] [--rounds 7] [--workers 2] [--folder DIR]

The parts named, by default all:

formats  1M rows of `dense` into one parquet file of the log and one of the truth, by compression
         and encoding: processor time of writing and of reading, and bytes a row.
memory   rows/s of `dense`, log and truth, in blocks of 1M rows that stay in the memory of the
         workers, which have started before; also in one process.
written  rows/s of the same scenario into parquet shards of 1M rows, log and truth, with fsync; ten
         shards a worker, with the start of the workers and without.
peak     one run of `--rows` impressions into shards (of 1M), in a process of its own: time, size,
         and the peak of the memory of it and its workers together, sampled four times a second
         (PSS: pages that processes share are counted once; RSS: in each of them).
obp      1M rows of Open Bandit Pipeline's SyntheticBanditDataset (its defaults: 10 actions, 5
         dimensions), in an environment that this command makes, and 1M rows of `dense` in one
         process, in turns. Where it does not install, the reason is kept instead.
aliccp   `--aliccp-rows` impressions of `aliccp` written, streamed back and described.

Rates are medians over rounds, with the lowest and highest. Linux only (memory is read from /proc).
Writes benchmarks/results/simulator.json, where parts that were not named keep what they had, and
the table of formats in docs/simulate_at_scale.md.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path

import joblib
import pyarrow
from simulator_formats import formats
from simulator_obp import obp
from simulator_peak import peak
from simulator_tools import BLOCK, draw, folder_for, size_of, spread

from mtl_seq import report, simulate
from mtl_seq.experiments.compare import versions

RESULT = Path(__file__).parent / "results" / "simulator.json"
TARGETS = {
    "memory": "5,000,000 rows/s",
    "written": "1,500,000 rows/s",
    "peak": "below 1,500 MB",
    "obp": "10 times its rows/s",
}


def memory(given: argparse.Namespace) -> dict[str, object]:
    scenario = simulate.scenario("dense")
    blocks = 4
    alone, together = [], []
    with joblib.Parallel(n_jobs=given.workers) as pool:
        pool(joblib.delayed(draw)(scenario, 1, seed) for seed in range(given.workers))
        for round_ in range(given.rounds):
            start = time.perf_counter()
            pool(joblib.delayed(draw)(scenario, blocks, seed) for seed in range(given.workers))
            together.append(given.workers * blocks * BLOCK / (time.perf_counter() - start))
            start = time.perf_counter()
            draw(scenario, 1, round_)
            alone.append(BLOCK / (time.perf_counter() - start))
    return {
        "rows/s": spread(together),
        "workers": given.workers,
        "rows/s in one process": spread(alone),
        "rows a round": given.workers * blocks * BLOCK,
    }


def written(given: argparse.Namespace) -> dict[str, object]:
    scenario = simulate.scenario("dense")
    rows = 10 * given.workers * BLOCK
    rates, size = [], 0
    start = time.perf_counter()
    with folder_for(given) as folder:
        simulate.write_shards(scenario, rows, folder / "first", seed=0, workers=given.workers)
        first = rows / (time.perf_counter() - start)
        size = size_of(folder / "first")
        for round_ in range(given.rounds):
            shutil.rmtree(folder / "first", ignore_errors=True)
            start = time.perf_counter()
            simulate.write_shards(
                scenario, rows, folder / "round", seed=round_, workers=given.workers
            )
            rates.append(rows / (time.perf_counter() - start))
            shutil.rmtree(folder / "round")
    return {
        "rows/s": spread(rates),
        "workers": given.workers,
        "rows a round": rows,
        "rows/s with the start of the workers": float(f"{first:.4g}"),
        "bytes a row": {name: round(count / rows, 1) for name, count in size.items()},
    }


def aliccp(given: argparse.Namespace) -> dict[str, object]:
    start = time.perf_counter()
    scenario = simulate.scenario("aliccp")
    built = time.perf_counter() - start
    with folder_for(given) as folder:
        start = time.perf_counter()
        simulate.write_shards(
            scenario, given.aliccp_rows, folder / "w", seed=0, workers=given.workers
        )
        wrote = time.perf_counter() - start
        size = size_of(folder / "w")
        start = time.perf_counter()
        found = report.SimulationSummary.from_chunks(simulate.read_shards(folder / "w"), scenario.schema)
        read = time.perf_counter() - start
    return {
        "rows": given.aliccp_rows,
        "workers": given.workers,
        "seconds to build the scenario": round(built, 1),
        "seconds to write": round(wrote, 1),
        "seconds to stream back and describe": round(read, 1),
        "gigabytes": {name: round(count / 1e9, 2) for name, count in size.items()},
        "described": {
            str(name): {column: found.formatted(str(name), column) for column in ("drawn", "expected")}
            for name in found.table.index
        },
    }


def command(part: str, given: argparse.Namespace) -> str:
    own = {"peak": f" --rows {given.rows}", "aliccp": f" --aliccp-rows {given.aliccp_rows}"}
    rounds = "" if part in own else f" --rounds {given.rounds}"
    return f"python benchmarks/performance/simulator.py {part}{own.get(part, '')}{rounds}"


PARTS = {
    "formats": formats,
    "memory": memory,
    "written": written,
    "peak": peak,
    "obp": obp,
    "aliccp": aliccp,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--aliccp-rows", type=int, default=50_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", help="where shards are written; by default the system's")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    parts = given.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {sorted(unknown)[0]!r}: known are {', '.join(PARTS)}")
    kept = json.loads(given.result.read_text()) if given.result.exists() else {}
    kept |= {"targets": TARGETS}
    for name in parts:
        found = PARTS[name](given)
        kept[name] = {
            "command": command(name, given),
            **found,
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "versions": f"{versions()}, pyarrow {pyarrow.__version__}, joblib {joblib.__version__}",
        }
        print(json.dumps({name: kept[name]}, indent=1))
        given.result.parent.mkdir(parents=True, exist_ok=True)
        given.result.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
