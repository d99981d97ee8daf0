"""Small logs on disk, cut into any files and row groups."""

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet as pq

from mtl_seq import Schema

SCHEMA = Schema(
    labels={"click": "click", "conversion": "conversion"},
    ids=["user", "item"],
    dense=["number"],
    bags=["tags"],
)


def small_log(rows, seed=0):
    """A log whose dense column is the row's number."""
    rng = np.random.default_rng(seed)
    click = (rng.random(rows) < 0.4).astype(np.int8)
    tags = [list(rng.integers(5, size=rng.integers(4))) for _ in range(rows)]
    return pd.DataFrame(
        {
            "user": rng.integers(-9, 9, size=rows),
            "item": rng.choice(["a", "ß", "日本", ""], size=rows),
            "number": np.arange(rows, dtype=np.float64),
            "tags": tags,
            "day": np.arange(rows) // 7,
            "click": click,
            "conversion": click * (rng.random(rows) < 0.5).astype(np.int8),
        }
    )


def write_files(frame, folder, cuts, group_rows):
    """Write rows as files that end at these rows, in row groups of some rows."""
    folder.mkdir(parents=True, exist_ok=True)
    ends = [*sorted(cut % (len(frame) + 1) for cut in cuts), len(frame)]
    start = 0
    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    for number, end in enumerate(ends):
        table = pa.Table.from_pandas(frame.iloc[start:end], schema, preserve_index=False)
        pq.write_table(table, folder / f"part-{number:03d}.parquet", row_group_size=group_rows)
        start = end
    return folder
