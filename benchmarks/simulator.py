"""Speed and memory of the simulator, and of obp's beside it.

    python benchmarks/simulator.py [formats memory written peak obp aliccp] [--rows 100000000]
        [--aliccp-rows 50000000] [--rounds 7] [--workers 2] [--folder DIR]

The parts named, by default all:

formats  1M rows of `dense` into one parquet file of the log and one of the truth, by compression
         and encoding: processor time of writing and of reading, and bytes a row.
memory   rows/s of `dense`, log and truth, in blocks of 1M rows that stay in the memory of the
         workers, which have started before; also in one process.
written  rows/s of the same world into parquet shards of 1M rows, log and truth, with fsync; ten
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
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow
from pyarrow import parquet

from mtl_seq import report, simulate
from mtl_seq.comparison import versions

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "simulator.json"
PAGE = ROOT / "docs" / "simulate_at_scale.md"
LINES = (
    "| file | encoding | seconds to write | seconds to read | bytes a row |\n",
    "|---|---|---|---|---|\n",
)
HEAD = re.escape(LINES[0])
BLOCK = 1_000_000
TARGETS = {
    "memory": "5,000,000 rows/s",
    "written": "1,500,000 rows/s",
    "peak": "below 1,500 MB",
    "obp": "10 times its rows/s",
}
# obp 0.5.5 pins these, and says Python below 3.10 though it runs on 3.11.
OBP = ("--no-deps", "--ignore-requires-python", "obp==0.5.5")
OBP_NEEDS = (
    "numpy==1.23.5",
    "pandas==1.5.2",
    "scikit-learn==1.1.3",
    "scipy==1.9.3",
    "matplotlib<3.9",
    "seaborn<0.12",
    "pyyaml",
    "tqdm",
    "torch",
)
OBP_ROUNDS = """
import sys, time
from obp.dataset import SyntheticBanditDataset, logistic_reward_function
made = SyntheticBanditDataset(
    n_actions=10, dim_context=5, reward_function=logistic_reward_function, random_state=0
)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    made.obtain_batch_bandit_feedback(n_rounds=int(line))
    print(time.perf_counter() - start, flush=True)
"""
WRITE_ALONE = """
import sys
from mtl_seq import simulate
simulate.write_shards(
    simulate.scenario("dense"), int(sys.argv[1]), sys.argv[2], seed=0, workers=int(sys.argv[3])
)
"""


def spread(values: list[float]) -> dict[str, float]:
    low, middle, high = (float(f"{np.quantile(values, q):.4g}") for q in (0, 0.5, 1))
    return {"median": middle, "lowest": low, "highest": high}


def draw(world: simulate.Simulator, blocks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(blocks):
        world.sample(BLOCK, rng)


def memory(given: argparse.Namespace) -> dict[str, object]:
    world = simulate.scenario("dense")
    blocks = 4
    alone, together = [], []
    with joblib.Parallel(n_jobs=given.workers) as pool:
        pool(joblib.delayed(draw)(world, 1, seed) for seed in range(given.workers))
        for round_ in range(given.rounds):
            start = time.perf_counter()
            pool(joblib.delayed(draw)(world, blocks, seed) for seed in range(given.workers))
            together.append(given.workers * blocks * BLOCK / (time.perf_counter() - start))
            start = time.perf_counter()
            draw(world, 1, round_)
            alone.append(BLOCK / (time.perf_counter() - start))
    return {
        "rows/s": spread(together),
        "workers": given.workers,
        "rows/s in one process": spread(alone),
        "rows a round": given.workers * blocks * BLOCK,
    }


def formats(given: argparse.Namespace) -> dict[str, object]:
    log, truth = simulate.scenario("dense").sample(BLOCK, np.random.default_rng(0))
    tables = {
        "log": pyarrow.Table.from_pandas(log, preserve_index=False),
        "truth": pyarrow.table(dict(truth.arrays())),
    }
    plain = [name for name in truth.arrays() if name != "potential"]
    small = [
        field.with_type(pyarrow.float32()) if field.name in plain else field
        for field in tables["truth"].schema
    ]
    tables["truth in float32"] = tables["truth"].cast(pyarrow.schema(small))
    ways: dict[str, dict[str, object]] = {
        f"{compression}, {encoding}": {"compression": compression, "use_dictionary": dictionary}
        for compression in ("none", "snappy", "lz4", "zstd")
        for encoding, dictionary in (("dictionary", True), ("plain", False))
    }
    found: dict[str, dict[str, Any]] = {}
    with folder_for(given) as folder:
        for name, table in tables.items():
            for way, settings in ways.items():
                if name != "log" and settings["use_dictionary"]:
                    # Of a truth only the draws are few values.
                    settings = {**settings, "use_dictionary": ["potential"]}
                write, read = [], []
                for _ in range(given.rounds):
                    start = time.process_time()
                    parquet.write_table(table, folder / "t.parquet", **settings)
                    write.append(time.process_time() - start)
                    start = time.process_time()
                    parquet.read_table(folder / "t.parquet", use_threads=False)
                    read.append(time.process_time() - start)
                found[f"{name}: {way}"] = {
                    "seconds to write": spread(write),
                    "seconds to read": spread(read),
                    "bytes a row": round((folder / "t.parquet").stat().st_size / BLOCK, 1),
                }
    text = re.sub(
        HEAD + r"(\|.*\n)*", "".join([*LINES, *map(row, found.items())]), PAGE.read_text()
    )
    PAGE.write_text(text)
    return {"processor time": found}


def row(found: tuple[str, dict[str, Any]]) -> str:
    """A line of the table in docs/."""
    name, _, way = found[0].partition(": ")
    way = way.replace("none", "not compressed")
    way = way.replace("dictionary", "dictionary" if name == "log" else "dictionary of the draws")
    chosen = found[0] in ("log: snappy, dictionary", "truth: none, dictionary")
    times = (found[1][f"seconds to {what}"]["median"] for what in ("write", "read"))
    cells = [name, f"**{way}**" if chosen else way, *(f"{time:.3f}" for time in times)]
    return f"| {' | '.join([*cells, str(found[1]['bytes a row'])])} |\n"


def written(given: argparse.Namespace) -> dict[str, object]:
    world = simulate.scenario("dense")
    rows = 10 * given.workers * BLOCK
    rates, size = [], 0
    start = time.perf_counter()
    with folder_for(given) as folder:
        simulate.write_shards(world, rows, folder / "first", seed=0, workers=given.workers)
        first = rows / (time.perf_counter() - start)
        size = size_of(folder / "first")
        for round_ in range(given.rounds):
            shutil.rmtree(folder / "first", ignore_errors=True)
            start = time.perf_counter()
            simulate.write_shards(world, rows, folder / "round", seed=round_, workers=given.workers)
            rates.append(rows / (time.perf_counter() - start))
            shutil.rmtree(folder / "round")
    return {
        "rows/s": spread(rates),
        "workers": given.workers,
        "rows a round": rows,
        "rows/s with the start of the workers": float(f"{first:.4g}"),
        "bytes a row": {name: round(count / rows, 1) for name, count in size.items()},
    }


def peak(given: argparse.Namespace) -> dict[str, object]:
    with folder_for(given) as folder:
        start = time.perf_counter()
        arguments = [str(given.rows), str(folder / "w"), str(given.workers)]
        running = subprocess.Popen([sys.executable, "-c", WRITE_ALONE, *arguments])
        highest = watch(running)
        seconds = time.perf_counter() - start
        if running.returncode:
            raise SystemExit("the run of `peak` failed")
        size = size_of(folder / "w")
    return {
        "rows": given.rows,
        "workers": given.workers,
        "seconds": round(seconds, 1),
        "rows/s": float(f"{given.rows / seconds:.4g}"),
        "gigabytes": {name: round(count / 1e9, 2) for name, count in size.items()},
        "peak PSS, MB": round(highest["Pss"] / 1e3),
        "peak RSS, MB": round(highest["Rss"] / 1e3),
    }


def obp(given: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="obp-") as place:
        python = Path(place) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        for wanted in ((*OBP_NEEDS, "-c", str(ROOT / "constraints.txt")), OBP):
            done = subprocess.run(
                [str(python), "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True
            )
            if done.returncode:
                return {"not installed": done.stderr.strip().splitlines()[-1]}
        world, theirs, ours = simulate.scenario("dense"), [], []
        running = subprocess.Popen(
            [str(python), "-c", OBP_ROUNDS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert running.stdin is not None
        assert running.stdout is not None
        if running.stdout.readline().strip() != "ready":
            return {"not installed": "it cannot be imported"}
        for round_ in range(given.rounds + 1):
            print(BLOCK, file=running.stdin, flush=True)
            theirs.append(BLOCK / float(running.stdout.readline()))
            start = time.perf_counter()
            draw(world, 1, round_)
            ours.append(BLOCK / (time.perf_counter() - start))
        running.stdin.close()
        running.wait()
    ratios = [one / other for one, other in zip(ours[1:], theirs[1:], strict=True)]
    return {
        "version": OBP[-1],
        "rows a round": BLOCK,
        "its rows/s": spread(theirs[1:]),
        "rows/s of `dense` in one process": spread(ours[1:]),
        "ratio": spread(ratios),
    }


def aliccp(given: argparse.Namespace) -> dict[str, object]:
    start = time.perf_counter()
    world = simulate.scenario("aliccp")
    built = time.perf_counter() - start
    with folder_for(given) as folder:
        start = time.perf_counter()
        simulate.write_shards(world, given.aliccp_rows, folder / "w", seed=0, workers=given.workers)
        wrote = time.perf_counter() - start
        size = size_of(folder / "w")
        start = time.perf_counter()
        found = report.describe_chunks(simulate.read_shards(folder / "w"), world.schema)
        read = time.perf_counter() - start
    return {
        "rows": given.aliccp_rows,
        "workers": given.workers,
        "seconds to build the world": round(built, 1),
        "seconds to write": round(wrote, 1),
        "seconds to stream back and describe": round(read, 1),
        "gigabytes": {name: round(count / 1e9, 2) for name, count in size.items()},
        "described": {
            str(name): {column: found.shown(str(name), column) for column in ("drawn", "expected")}
            for name in found.table.index
        },
    }


@contextmanager
def folder_for(given: argparse.Namespace) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="simulator-", dir=given.folder) as name:
        yield Path(name)


def size_of(folder: Path) -> dict[str, int]:
    return {
        name: sum(path.stat().st_size for path in (folder / name).iterdir())
        for name in ("log", "truth")
    }


def watch(running: "subprocess.Popen[bytes]") -> dict[str, float]:
    """Highest memory, in kB, of a process and all below it, until it ends."""
    highest = {"Pss": 0.0, "Rss": 0.0}

    def look() -> None:
        while running.poll() is None:
            total = {"Pss": 0.0, "Rss": 0.0}
            for pid in family(running.pid):
                try:
                    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                for line in lines:
                    name, _, rest = line.partition(":")
                    if name in total:
                        total[name] += float(rest.split()[0])
            for name, value in total.items():
                highest[name] = max(highest[name], value)
            time.sleep(0.25)

    looking = threading.Thread(target=look)
    looking.start()
    running.wait()
    looking.join()
    return highest


def family(pid: int) -> list[int]:
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            below.setdefault(parent, []).append(int(entry.name))
    found, new = [pid], [pid]
    while new:
        new = [child for one in new for child in below.get(one, [])]
        found += new
    return found


def command(part: str, given: argparse.Namespace) -> str:
    own = {"peak": f" --rows {given.rows}", "aliccp": f" --aliccp-rows {given.aliccp_rows}"}
    rounds = "" if part in own else f" --rounds {given.rounds}"
    return f"python benchmarks/simulator.py {part}{own.get(part, '')}{rounds}"


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
