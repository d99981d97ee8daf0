"""Speed and memory of logs that are streamed from parquet, beside other ways to read them.

    python benchmarks/performance/streaming.py [stream codec] [--rows 10000000] [--rounds 5] [--folder DIR]

The log: `--rows` impressions of 28 columns, drawn here from a fixed seed: 23 ids (6 with 200,000
values, 7 with 10,000, 10 with 100; small ones are more frequent), 3 numbers, click and conversion,
in files of 1M rows and row groups of 262,144.

stream  rows/s into shuffled, encoded batches of 8,192 with one prefetch thread (`StreamLoader`, its
        defaults, id dropout of 1%), and the peak of the memory of a process that does nothing else;
        in turns with polars (file by file in order, one thread, batches of 8,192 as tensors of
        what stands there: nothing is shuffled, encoded or checked) and a per-row `torch` DataLoader
        (`--part` rows of the first file in memory, one worker, default collate; its rate is stated
        as it is on that part: the time of all rows is extrapolated from it).
codec   `fit_source` on a log of one id column with 1M values, `--rows` rows, over pyarrow's own
        value count and index of the same column: `value_counts`, sorted, and `index_in` of all
        rows. Once ids as they come (0 to 999,999), once scattered over all of int64. One thread.

Each figure is the median over rounds with the lowest and highest; every round runs each way once,
in a process of its own. Linux only (memory is read from /proc). Writes
benchmarks/results/streaming.json, where parts that were not named keep what they had.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "streaming.json"
VALUES = [200_000] * 6 + [10_000] * 7 + [100] * 10
IDS = [f"id_{number:02d}" for number in range(len(VALUES))]
DENSE = ["dense_0", "dense_1", "dense_2"]
FILE_ROWS, GROUP_ROWS, BATCH = 1_000_000, 262_144, 8192
TARGETS = {
    "stream": "at least 800,000 rows/s, peak below 1,200 MB",
    "codec": "at most 1.5 times pyarrow's value count and index",
}


def write_log(folder: Path, rows: int) -> None:
    """The log of 28 columns."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, rows, FILE_ROWS)):
        size = min(FILE_ROWS, rows - start)
        rng = np.random.default_rng([7, number])
        columns: dict[str, Any] = {}
        for name, values in zip(IDS, VALUES, strict=True):
            columns[name] = (values * rng.random(size, dtype=np.float32) ** 2).astype(np.int64)
        for name in DENSE:
            columns[name] = rng.standard_normal(size, dtype=np.float32)
        click = (rng.random(size) < 0.04).astype(np.int8)
        columns |= {"click": click, "conversion": click * (rng.random(size) < 0.1)}
        path = folder / f"part-{number:05d}.parquet"
        pq.write_table(pa.table(columns), path, row_group_size=GROUP_ROWS)


def write_ids(path: Path, rows: int, *, scattered: bool) -> None:
    """One id column of a million values, with labels."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet as pq

    rng = np.random.default_rng(11)
    ids = rng.integers(1_000_000, size=rows)
    if scattered:
        ids = np.unique(rng.integers(-(2**63), 2**63, size=1_100_000))[ids]
    click = (rng.random(rows) < 0.04).astype(np.int8)
    table = pa.table({"id": ids, "click": click, "conversion": click * 0})
    pq.write_table(table, path, row_group_size=GROUP_ROWS)


def peak_mb() -> float:
    """Most memory this process ever held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def stream(folder: Path) -> dict[str, float]:
    """This package's loader."""
    from mtl_seq.data import Codec, Source, StreamLoader

    source, codec = Source.open(folder / "log"), Codec.from_json(folder / "codec.json")
    loader = StreamLoader(source, codec, BATCH, seed=0, id_dropout=0.01)
    start, used, rows = time.perf_counter(), time.process_time(), 0
    for batch in loader:
        rows += len(batch.features["id_00"])
    wall = time.perf_counter() - start
    assert rows == source.rows
    cpu = time.process_time() - used
    return {"rows_per_s": rows / wall, "rows_per_cpu_s": rows / cpu, "peak_mb": peak_mb()}


def polars(folder: Path) -> dict[str, float]:
    """Polars, in order, nothing encoded."""
    import polars as pl
    import torch

    start, rows = time.perf_counter(), 0
    for path in sorted((folder / "log").glob("*.parquet")):
        for part in pl.read_parquet(path).iter_slices(BATCH):
            columns = (part[name].to_numpy(writable=True) for name in part.columns)
            batch = dict(zip(part.columns, map(torch.from_numpy, columns), strict=True))
            rows += len(batch["id_00"])
    wall = time.perf_counter() - start
    return {"rows_per_s": rows / wall, "peak_mb": peak_mb()}


def per_row(folder: Path, part: int) -> dict[str, float]:
    """A map-style dataset of rows under torch's DataLoader."""
    import pandas as pd
    import torch
    from torch.utils.data import DataLoader, Dataset

    frame = pd.read_parquet(folder / "log" / "part-00000.parquet").iloc[:part]
    ids = torch.from_numpy(frame[IDS].to_numpy())
    dense = torch.from_numpy(frame[DENSE].to_numpy())
    labels = torch.from_numpy(frame[["click", "conversion"]].to_numpy())

    class Rows(Dataset[Any]):
        def __len__(self) -> int:
            return len(ids)

        def __getitem__(self, row: int) -> Any:
            return ids[row], dense[row], labels[row]

    torch.manual_seed(0)
    start, rows = time.perf_counter(), 0
    for batch in DataLoader(Rows(), BATCH, shuffle=True, num_workers=1):
        rows += len(batch[0])
    return {"rows_per_s": rows / (time.perf_counter() - start), "peak_mb": peak_mb()}


def codec(path: Path) -> dict[str, float]:
    """`fit_source` of one id column, from parquet."""
    from mtl_seq import Schema
    from mtl_seq.data import Encoding, Source, fit_source

    schema = Schema(labels={"click": "click", "conversion": "conversion"}, ids=["id"])
    source = Source.open(path)
    start, used = time.perf_counter(), time.process_time()
    found = fit_source(schema, source, Encoding(target_encoding=None))
    wall, cpu = time.perf_counter() - start, time.process_time() - used
    return {
        "seconds": wall,
        "cpu_seconds": cpu,
        "ids": found.codec.spec.ids["id"] - 1,
        "peak_mb": peak_mb(),
    }


def arrow(path: Path) -> dict[str, float]:
    """Pyarrow's own value count of the column, and the index of every row in it."""
    import pyarrow as pa
    from pyarrow import compute as pc
    from pyarrow import parquet as pq

    pa.set_cpu_count(1)
    start, used = time.perf_counter(), time.process_time()
    column = pq.read_table(path, columns=["id"], use_threads=False)["id"]
    counts = pc.value_counts(column)
    known = counts.field("values")
    known = known.take(pc.sort_indices(known))
    counted = time.perf_counter() - start
    codes = pc.index_in(column, known)
    wall, cpu = time.perf_counter() - start, time.process_time() - used
    assert codes.null_count == 0
    return {
        "seconds": wall,
        "cpu_seconds": cpu,
        "count_only": counted,
        "ids": len(known),
        "peak_mb": peak_mb(),
    }


def apart(way: str, *arguments: object) -> dict[str, float]:
    """Run one way in a process of its own."""
    command = [sys.executable, __file__, "--way", way, *map(str, arguments)]
    setting = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=setting)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def summed(rounds: list[dict[str, float]]) -> dict[str, list[float]]:
    """Median, lowest and highest of each figure."""
    columns = {name: [one[name] for one in rounds] for name in rounds[0]}
    return {
        name: [round(figure, 3) for figure in (median(found), min(found), max(found))]
        for name, found in columns.items()
    }


def stream_part(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    from mtl_seq import Schema
    from mtl_seq.data import Encoding, Source, fit_source

    if not (folder / "log").exists():
        write_log(folder / "log", arguments.rows)
    if not (folder / "codec.json").exists():
        schema = Schema(labels={"click": "click", "conversion": "conversion"}, ids=IDS, dense=DENSE)
        fitted = fit_source(schema, Source.open(folder / "log"), Encoding(target_encoding=None))
        fitted.codec.to_json(folder / "codec.json")
    ways: dict[str, list[dict[str, float]]] = {"stream": [], "polars": [], "per_row": []}
    for _ in range(arguments.rounds):
        ways["stream"].append(apart("stream", folder))
        ways["polars"].append(apart("polars", folder))
        ways["per_row"].append(apart("per_row", folder, arguments.part))
        print(*(f"{way} {found[-1]['rows_per_s']:,.0f}" for way, found in ways.items()), flush=True)
    figures: dict[str, Any] = {way: summed(found) for way, found in ways.items()}
    figures["per_row_part"] = arguments.part
    pairs = zip(*(ways[way] for way in ("stream", "polars", "per_row")), strict=True)
    ratios = [
        {"polars": a["rows_per_s"] / b["rows_per_s"], "per_row": a["rows_per_s"] / c["rows_per_s"]}
        for a, b, c in pairs
    ]
    figures["ratio_to"] = summed(ratios)
    return figures


def codec_part(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name in ("as_they_come", "scattered"):
        path = folder / f"ids_{name}.parquet"
        if not path.exists():
            write_ids(path, arguments.rows, scattered=name == "scattered")
        rounds = [(apart("codec", path), apart("arrow", path)) for _ in range(arguments.rounds)]
        ratios = [
            {
                "ratio": ours["seconds"] / theirs["seconds"],
                "cpu_ratio": ours["cpu_seconds"] / theirs["cpu_seconds"],
            }
            for ours, theirs in rounds
        ]
        figures[name] = {
            "fit_source": summed([ours for ours, _ in rounds]),
            "pyarrow": summed([theirs for _, theirs in rounds]),
            **summed(ratios),
        }
        print(name, figures[name]["ratio"], flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("parts", nargs="*", default=[])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", type=int, default=500_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--way", choices=["stream", "polars", "per_row", "codec", "arrow"])
    arguments = parser.parse_args()
    if arguments.way:
        ways = {"stream": stream, "polars": polars, "per_row": per_row}
        ways |= {"codec": codec, "arrow": arrow}
        place, *further = arguments.parts
        print(json.dumps(ways[arguments.way](Path(place), *map(int, further))))
        return
    import pyarrow

    from mtl_seq.experiments.compare import versions

    parts = {"stream": stream_part, "codec": codec_part}
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
        for name in arguments.parts or parts:
            results[name] = {
                "target": TARGETS[name],
                "rows": arguments.rows,
                "rounds": arguments.rounds,
                **parts[name](folder, arguments),
                "command": f"python benchmarks/performance/streaming.py {name} --rows {arguments.rows} "
                f"--rounds {arguments.rounds}",
                "versions": f"{versions()}, pyarrow {pyarrow.__version__}",
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            }
            RESULT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
