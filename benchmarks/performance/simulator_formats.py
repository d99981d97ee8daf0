"""File formats of simulated logs: time of writing and reading, and bytes a row."""

import argparse
from functools import partial
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from benchmarks.performance.simulator_tools import BLOCK, folder_for
from benchmarks.performance.timing import spread, timed
from mtl_seq import simulate

__all__ = ["formats", "row"]


def formats(given: argparse.Namespace) -> dict[str, Any]:
    """Processor time and size by file, compression and encoding."""
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
    measured: dict[str, dict[str, Any]] = {}
    with folder_for(given) as folder:
        for name, table in tables.items():
            for way, settings in ways.items():
                if name != "log" and settings["use_dictionary"]:
                    # In a truth only the draws have few distinct values.
                    settings = {**settings, "use_dictionary": ["potential"]}
                path = folder / "t.parquet"
                write = partial(parquet.write_table, table, path, **settings)
                read = partial(parquet.read_table, path, use_threads=False)
                times = [(timed(write)[0], timed(read)[0]) for _ in range(given.rounds)]
                writing, reading = zip(*times, strict=True)
                measured[f"{name}: {way}"] = {
                    "seconds to write": spread(writing),
                    "seconds to read": spread(reading),
                    "bytes a row": round(path.stat().st_size / BLOCK, 1),
                }
    return {"processor time": measured}


def row(name: str, record: dict[str, Any]) -> list[str]:
    """Cells of the page's table; what shards use in bold."""
    file, _, way = name.partition(": ")
    way = way.replace("none", "not compressed")
    way = way.replace("dictionary", "dictionary" if file == "log" else "dictionary of the draws")
    chosen = name in ("log: snappy, dictionary", "truth: none, dictionary")
    times = (f"{record[f'seconds to {what}']['median']:.3f}" for what in ("write", "read"))
    return [file, f"**{way}**" if chosen else way, *times, str(record["bytes a row"])]
