"""`formats` of benchmarks/performance/simulator.py, and its table in docs/simulate_at_scale.md."""

import argparse
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet
from simulator_tools import BLOCK, folder_for, spread

from mtl_seq import simulate

__all__ = ["formats", "tabled"]

PAGE = Path(__file__).parents[1] / "docs" / "simulate_at_scale.md"
LINES = (
    "| file | encoding | seconds to write | seconds to read | bytes a row |\n",
    "|---|---|---|---|---|\n",
)
HEAD = re.escape(LINES[0])


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
    PAGE.write_text(tabled(PAGE.read_text("utf-8"), found), encoding="utf-8")
    return {"processor time": found}


def tabled(page: str, found: Mapping[str, dict[str, Any]]) -> str:
    """The page with the table of what was found."""
    return re.sub(HEAD + r"(\|.*\n)*", "".join([*LINES, *map(row, found.items())]), page)


def row(found: tuple[str, dict[str, Any]]) -> str:
    """A line of the table in docs/."""
    name, _, way = found[0].partition(": ")
    way = way.replace("none", "not compressed")
    way = way.replace("dictionary", "dictionary" if name == "log" else "dictionary of the draws")
    chosen = found[0] in ("log: snappy, dictionary", "truth: none, dictionary")
    times = (found[1][f"seconds to {what}"]["median"] for what in ("write", "read"))
    cells = [name, f"**{way}**" if chosen else way, *(f"{time:.3f}" for time in times)]
    return f"| {' | '.join([*cells, str(found[1]['bytes a row'])])} |\n"
