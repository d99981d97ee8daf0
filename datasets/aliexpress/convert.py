"""AliExpress search logs to train.parquet, test.parquet and schema.json.

    python datasets/aliexpress/convert.py RAW OUT

RAW holds train.csv and test.csv of one country, plain or gzipped, as the multi-task benchmarks pass
them on: columns by name, categorical_*, numerical_*, click and conversion. See CARD.md.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mtl_seq import Schema
from mtl_seq._files import atomic_path
from mtl_seq.errors import ArtifactError

LABELS = ["click", "conversion"]
CHUNK = 500_000


def main(arguments: list[str] | None = None) -> int:
    """Run the conversion; return 0, or 2 for an invalid input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder with the CSV files of one country")
    parser.add_argument("out", type=Path, help="folder to write to")
    given = parser.parse_args(arguments)
    try:
        schemas = [write(given.raw, given.out, part) for part in ("train", "test")]
        if schemas[0] != schemas[1]:
            raise ArtifactError("train and test must have the same columns, found others")
        schemas[0].to_json(given.out / "schema.json")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def write(raw: Path, out: Path, part: str) -> Schema:
    """Write one part, a row group for each chunk, and report its rows."""
    counts = dict.fromkeys(("rows", "unclicked", *LABELS), 0)
    schema, writer = None, None
    with atomic_path(out / f"{part}.parquet") as aside:
        for chunk in _chunks(raw, part):
            schema = schema or _schema(part, list(chunk.columns))
            unclicked = (chunk["conversion"] == 1) & (chunk["click"] == 0)
            group = [schema.group] if schema.group else []
            kept = chunk[[*schema.features, *group, *LABELS]]
            kept = kept.assign(conversion=kept["conversion"] * kept["click"])
            table = pa.Table.from_pandas(kept, preserve_index=False)
            writer = writer or pq.ParquetWriter(aside, table.schema, compression="zstd")
            writer.write_table(table)
            counts["rows"] += len(kept)
            counts["unclicked"] += int(unclicked.sum())
            for label in LABELS:
                counts[label] += int(kept[label].sum())
        if schema is None or writer is None:
            raise ArtifactError(f"{part}.csv in {raw} must hold rows, found none")
        writer.close()
    print(
        f"{counts['unclicked']:>11,} with conversion but no click in {part}: conversion is "
        "label AND click"
    )
    print(
        f"{counts['rows']:>11,} rows in {part}.parquet: "
        f"CTR {counts['click'] / counts['rows']:.4f}, "
        f"CVR on clicks {counts['conversion'] / max(counts['click'], 1):.4f}"
    )
    return schema


def _schema(part: str, columns: list[str]) -> Schema:
    absent = [label for label in LABELS if label not in columns]
    if absent:
        raise ArtifactError(f"{part}.csv must have the columns {LABELS}, found none named {absent}")
    ids = [column for column in columns if column.startswith("categorical_")]
    dense = [column for column in columns if column.startswith("numerical_")]
    group = "search_id" if "search_id" in columns else None
    left = [c for c in columns if c not in (*ids, *dense, *LABELS, group)]
    print(f"{len(left):>11,} columns dropped from {part}: {', '.join(left) or 'none'}")
    return Schema(labels={label: label for label in LABELS}, ids=ids, dense=dense, group=group)


def _chunks(raw: Path, part: str) -> Iterator[pd.DataFrame]:
    for path in (raw / f"{part}.csv", raw / f"{part}.csv.gz"):
        if path.is_file():
            for chunk in pd.read_csv(path, chunksize=CHUNK):
                # A chunk of whole numbers must have the type of the next one's fractions.
                numbers = [column for column in chunk if str(column).startswith("numerical_")]
                yield chunk.astype(dict.fromkeys(numbers, "float64"))
            return
    raise ArtifactError(f"no file {part}.csv or {part}.csv.gz in {raw}")


if __name__ == "__main__":
    sys.exit(main())
