"""Measure speed and memory of logs streamed from parquet, beside other ways to read them.

    pip install polars
    python -m benchmarks.performance.streaming [stream codec] [--rows 10000000] [--rounds 5]

The log: `--rows` impressions of 28 columns, drawn from a fixed seed: 23 ids (6 with 200,000 values,
7 with 10,000, 10 with 100; small ones are more frequent), 3 numbers, click and conversion, in files
of 1M rows and row groups of 262,144.

stream  rows/s into shuffled, encoded batches of 8,192 with one prefetch thread (`StreamLoader`, its
        defaults, id dropout of 1%), and the peak memory of a process that does nothing else;
        alternating with polars (file by file in order, one thread, batches of 8,192 as tensors of
        the raw values: nothing is shuffled, encoded or checked) and a per-row `torch` DataLoader
        (`--part` rows of the first file in memory, one worker, default collate; its rate is that
        on this part: the time of all rows is extrapolated).
codec   `fit_source` on a log of one id column with 1M values, `--rows` rows, over pyarrow's value
        count and index of the same column: `value_counts`, sorted, and `index_in` of all rows. Once
        consecutive ids (0 to 999,999), once scattered over all of int64. One thread.

Values are medians over rounds with the lowest and highest; every round runs each way once, in a
separate process. Linux only (memory is read from /proc).
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.lib.results_store import path_of
from benchmarks.performance.timing import alone, machine, peak_kb, run_parts, spread, timed

MODULE = "benchmarks.performance.streaming"
VALUES = [200_000] * 6 + [10_000] * 7 + [100] * 10
IDS = [f"id_{number:02d}" for number in range(len(VALUES))]
DENSE = ["dense_0", "dense_1", "dense_2"]
FILE_ROWS, GROUP_ROWS, BATCH = 1_000_000, 262_144, 8192
TARGETS = {
    "stream": "at least 800,000 rows/s, peak below 1,200 MB",
    "codec": "at most 1.5 times pyarrow's value count and index",
}


def write_log(folder: Path, rows: int) -> None:
    """Write the log of 28 columns."""
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
    """Write one id column of a million values, with labels."""
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


def rates(rows: int, processor: float, wall: float) -> dict[str, float]:
    """Rows per second, and the peak memory of this process."""
    return {
        "rows_per_s": rows / wall, "rows_per_cpu_s": rows / processor, "peak_mb": peak_kb() / 1000,
    }  # fmt: skip


def stream(folder: Path) -> dict[str, float]:
    """Read all rows by this package's loader."""
    from mtl_seq.data import Codec, Source, StreamLoader

    source, codec = Source.open(folder / "log"), Codec.from_json(folder / "codec.json")
    loader = StreamLoader(source, codec, BATCH, seed=0, id_dropout=0.01)
    *seconds, rows = timed(lambda: sum(len(batch.features["id_00"]) for batch in loader))
    assert rows == source.rows
    return rates(rows, *seconds)


def polars(folder: Path) -> dict[str, float]:
    """Read all rows by polars, in order and not encoded."""
    import polars as pl
    import torch

    def run() -> int:
        rows = 0
        for path in sorted((folder / "log").glob("*.parquet")):
            for part in pl.read_parquet(path).iter_slices(BATCH):
                columns = (part[name].to_numpy(writable=True) for name in part.columns)
                batch = dict(zip(part.columns, map(torch.from_numpy, columns), strict=True))
                rows += len(batch["id_00"])
        return rows

    *seconds, rows = timed(run)
    return rates(rows, *seconds)


def per_row(folder: Path, part: int) -> dict[str, float]:
    """Read rows in memory by a map-style dataset under torch's DataLoader."""
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
    loader = DataLoader(Rows(), BATCH, shuffle=True, num_workers=1)
    *seconds, rows = timed(lambda: sum(len(batch[0]) for batch in loader))
    return rates(rows, *seconds)


def codec(path: Path) -> dict[str, float]:
    """Fit the codec of one id column from parquet."""
    from mtl_seq import Schema
    from mtl_seq.data import Encoding, Source, fit_source

    schema = Schema(labels={"click": "click", "conversion": "conversion"}, ids=["id"])
    source = Source.open(path)
    cpu, wall, fitted = timed(lambda: fit_source(schema, source, Encoding(target_encoding=None)))
    return {
        "seconds": wall,
        "cpu_seconds": cpu,
        "ids": fitted.codec.spec.ids["id"] - 1,
        "peak_mb": peak_kb() / 1000,
    }


def arrow(path: Path) -> dict[str, float]:
    """Count the column's values by pyarrow, and index every row in them."""
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
        "peak_mb": peak_kb() / 1000,
    }


WAYS = {"stream": stream, "polars": polars, "per_row": per_row, "codec": codec, "arrow": arrow}


def rounds_of(rounds: int, ways: dict[str, Sequence[object]]) -> dict[str, list[dict[str, float]]]:
    """Records of each way by round, each in a separate process with the given arguments."""
    records: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, arguments in ways.items():
            one_thread = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
            records[way].append(alone("-m", MODULE, "--way", way, *arguments, **one_thread))
    return records


def spreads(records: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Spread over the rounds by name of the value."""
    return {name: spread([record[name] for record in records]) for name in records[0]}


def ratios(one: list[dict[str, float]], other: list[dict[str, float]], name: str) -> Any:
    """Spread of the ratio of two ways, round by round."""
    return spread([a[name] / b[name] for a, b in zip(one, other, strict=True)])


def stream_part(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Rates of the three readers, and ratios to `StreamLoader`."""
    from mtl_seq import Schema
    from mtl_seq.data import Encoding, Source, fit_source

    if not (folder / "log").exists():
        write_log(folder / "log", given.rows)
    if not (folder / "codec.json").exists():
        schema = Schema(labels={"click": "click", "conversion": "conversion"}, ids=IDS, dense=DENSE)
        fitted = fit_source(schema, Source.open(folder / "log"), Encoding(target_encoding=None))
        fitted.codec.to_json(folder / "codec.json")
    ways = {"stream": (folder,), "polars": (folder,), "per_row": (folder, given.part)}
    records = rounds_of(given.rounds, ways)
    return {
        **{way: spreads(by_round) for way, by_round in records.items()},
        "per_row_part": given.part,
        "ratio_to": {
            way: ratios(records["stream"], records[way], "rows_per_s")
            for way in ("polars", "per_row")
        },
    }


def codec_part(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Seconds of `fit_source` and of pyarrow, and their ratio, on both columns of ids."""
    results = {}
    for name in ("as_they_come", "scattered"):
        path = folder / f"ids_{name}.parquet"
        if not path.exists():
            write_ids(path, given.rows, scattered=name == "scattered")
        records = rounds_of(given.rounds, {"codec": (path,), "arrow": (path,)})
        pair = records["codec"], records["arrow"]
        results[name] = {
            "fit_source": spreads(pair[0]),
            "pyarrow": spreads(pair[1]),
            "ratio": ratios(*pair, "seconds"),
            "cpu_ratio": ratios(*pair, "cpu_seconds"),
        }
    return results


PARTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "stream": stream_part,
    "codec": codec_part,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", type=int, default=500_000)
    parser.add_argument("--folder", type=Path, help="where the log is written; kept there")
    parser.add_argument("--out", type=Path, default=path_of("streaming"))
    parser.add_argument("--way", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.way:
        way, place, *more = given.way
        print(json.dumps(WAYS[way](Path(place), *map(int, more))))  # type: ignore[operator]
        return 0
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part {sorted(unknown)[0]!r}: known are {', '.join(PARTS)}")

    def stated(name: str) -> dict[str, Any]:
        sizes = f"--rows {given.rows} --rounds {given.rounds}"
        return {
            "target": TARGETS[name], "rows": given.rows, "rounds": given.rounds,
            "command": f"python -m {MODULE} {name} {sizes}", **machine("pyarrow"),
        }  # fmt: skip

    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        names = given.parts or list(PARTS)
        run_parts(given.out, {n: partial(PARTS[n], folder, given) for n in names}, stated)
    return 0


if __name__ == "__main__":
    sys.exit(main())
