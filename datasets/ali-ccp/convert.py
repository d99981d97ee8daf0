"""Ali-CCP's skeleton and common features to train.parquet, test.parquet and schema.json.

    python datasets/ali-ccp/convert.py RAW OUT [--parts train test] [--rows 1000000]

RAW holds, for each part, sample_skeleton_<part>.csv and common_features_<part>.csv, unpacked. The
two are joined in a stream: memory holds one block of impressions and 40 bytes for each row of the
common features, whatever the number of impressions. See CARD.md.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mtl_seq import Schema
from mtl_seq._files import atomic_path
from mtl_seq.errors import ArtifactError

SCHEMA = Schema.from_json(Path(__file__).with_name("schema.json"))
# Between features, between field and feature, between feature and value.
FEATURE, FIELD, VALUE = "\x01", "\x02", "\x03"
SKELETON = ["sample_id", "click", "buy", "common", "count", "features"]
ABSENT = -1
"""Value of a field that an impression lacks; no feature has this number."""

BLOCK_BYTES = 32 << 20


class CommonFeatures:
    """Rows of a common features file by key, read by offset and not held in memory.

    Args:
        path: The file: key, number of features, features.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        keys, places, place = [], [], 0
        with path.open("rb") as stream:
            for line in stream:
                keys.append(line.partition(b",")[0])
                places.append(place)
                place += len(line)
        index = np.array(keys)
        order = np.argsort(index, kind="stable")
        self.keys, self.places = index[order], np.array(places, dtype=np.int64)[order]

    def read(self, wanted: NDArray[np.bytes_]) -> list[str]:
        """The feature lists of some keys, in their order.

        Raises:
            ArtifactError: A key that the file lacks.
        """
        at = np.searchsorted(self.keys, wanted)
        known = self.keys[np.minimum(at, len(self.keys) - 1)] == wanted
        if not known.all():
            raise ArtifactError(
                f"{self.path} must hold every key of the skeleton, found none for "
                f"{wanted[~known][0].decode()}: the two files are of different parts"
            )
        lists = [""] * len(wanted)
        places = self.places[at]
        with self.path.open("rb") as stream:
            for row in np.argsort(places):
                stream.seek(places[row])
                lists[row] = stream.readline().decode().rstrip("\r\n").split(",", 2)[2]
        return lists


def main(arguments: list[str] | None = None) -> int:
    """Run the conversion; return 0, or 2 for an invalid input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder with the original files")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--parts", nargs="+", choices=["train", "test"], default=["train", "test"])
    parser.add_argument("--rows", type=int, help="stop after so many rows of each part")
    given = parser.parse_args(arguments)
    try:
        for part in given.parts:
            write(given.raw, given.out, part, given.rows)
        SCHEMA.to_json(given.out / "schema.json")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def write(raw: Path, out: Path, part: str, rows: int | None) -> None:
    """Write one part, a row group for each block, and report its rows."""
    counts = np.zeros(3, dtype=np.int64)
    unclicked = 0
    with atomic_path(out / f"{part}.parquet") as aside:
        writer = None
        for table, without in convert(raw, part, rows):
            writer = writer or pq.ParquetWriter(aside, table.schema, compression="zstd")
            writer.write_table(table)
            unclicked += without
            counts += (len(table), *(pc.sum(table[c]).as_py() for c in ("click", "conversion")))
        if writer is None:
            raise ArtifactError(f"sample_skeleton_{part}.csv in {raw} must hold rows, found none")
        writer.close()
    print(f"{unclicked:>11,} with buy but no click in {part}: conversion is buy AND click")
    print(
        f"{counts[0]:>11,} rows in {part}.parquet: CTR {counts[1] / counts[0]:.4f}, "
        f"CVR on clicks {counts[2] / max(counts[1], 1):.4f}"
    )


def convert(raw: Path, part: str, rows: int | None) -> Iterator[tuple[pa.Table, int]]:
    """Blocks of impressions, each with how many of them had a purchase but no click."""
    common = CommonFeatures(_file(raw, f"common_features_{part}.csv"))
    left = rows
    reader = csv.open_csv(
        _file(raw, f"sample_skeleton_{part}.csv"),
        read_options=csv.ReadOptions(column_names=SKELETON, block_size=BLOCK_BYTES),
        parse_options=csv.ParseOptions(quote_char=False),
        convert_options=csv.ConvertOptions(
            column_types={
                **dict.fromkeys(("click", "buy"), pa.int64()),
                **dict.fromkeys(("common", "features"), pa.string()),
            },
            include_columns=["click", "buy", "common", "features"],
        ),
    )
    for batch in reader:
        block = batch if left is None else batch.slice(0, left)
        if len(block) == 0:
            break
        left = None if left is None else left - len(block)
        yield _joined(block, common)


def _joined(block: pa.RecordBatch, common: CommonFeatures) -> tuple[pa.Table, int]:
    key = np.array(block["common"].to_pylist(), dtype=bytes)
    distinct, which = np.unique(key, return_inverse=True)
    of_row = _parsed(block["features"])
    of_user = _parsed(pa.array(common.read(distinct)))
    click, buy = (block[name].to_numpy() for name in ("click", "buy"))
    made: dict[str, pa.Array] = {}
    for field in SCHEMA.ids:
        place, feature = _either(of_row, of_user, field, which)[:2]
        column = np.full(len(block), ABSENT, dtype=np.int64)
        column[place[::-1]] = feature[::-1]  # the first counts where a field is there twice
        made[field] = pa.array(column)
    for field in SCHEMA.bags:
        place, feature, value = _either(of_row, of_user, field, which)
        ends = np.searchsorted(place, np.arange(len(block) + 1)).astype(np.int32)
        made[field] = pa.ListArray.from_arrays(ends, feature)
        made[SCHEMA.bag_weights[field]] = pa.ListArray.from_arrays(ends, value)
    made["click"] = pa.array(click)
    made["conversion"] = pa.array(click * buy)
    return pa.table(made), int(((click == 0) & (buy == 1)).sum())


class _Parsed:
    """Features of some rows side by side, in the order of the rows."""

    def __init__(
        self,
        row: NDArray[np.int64],
        field: NDArray[np.object_],
        feature: NDArray[np.int64],
        value: NDArray[np.float32],
    ) -> None:
        self.row, self.feature, self.value = row, feature, value
        self.code, names = pd.factorize(field)
        self.names = {name: code for code, name in enumerate(names)}

    def of(
        self, field: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]] | None:
        """Rows, features and values of one field; None where no row has it."""
        if field not in self.names:
            return None
        kept = self.code == self.names[field]
        return self.row[kept], self.feature[kept], self.value[kept]


def _parsed(lists: pa.Array) -> _Parsed:
    parts = pc.split_pattern(lists, FEATURE)
    row = pc.list_parent_indices(parts).to_numpy().astype(np.int64)
    flat = parts.flatten()
    kept = pc.greater(pc.utf8_length(flat), 0)
    row, flat = row[kept.to_numpy(zero_copy_only=False)], flat.filter(kept)
    whole = pc.match_substring_regex(
        flat, f"^[^{FIELD}{VALUE}]+{FIELD}[0-9]+{VALUE}[^{FIELD}{VALUE}]+$"
    )
    if not pc.all(whole, min_count=0).as_py():
        wrong = flat.filter(pc.invert(whole))[0].as_py()
        raise ArtifactError(
            f"a feature must read field, \\x02, feature, \\x03, value, found {wrong!r}"
        )
    sides = pc.split_pattern(flat, FIELD, max_splits=1)
    field = pc.list_element(sides, 0)
    tail = pc.split_pattern(pc.list_element(sides, 1), VALUE, max_splits=1)
    feature = pc.cast(pc.list_element(tail, 0), pa.int64()).to_numpy()
    value = pc.cast(pc.list_element(tail, 1), pa.float32()).to_numpy()
    return _Parsed(row, field.to_numpy(zero_copy_only=False), feature, value)


def _either(
    of_row: _Parsed, of_user: _Parsed, field: str, which: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Impressions, features and values of one field, from where it is."""
    own, shared = of_row.of(field), of_user.of(field)
    if own is not None and shared is not None:
        raise ArtifactError(f"field {field} must stand in one of the two files, found in both")
    if own is not None:
        return own
    if shared is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    user, feature, value = shared
    start = np.searchsorted(user, which)
    count = np.searchsorted(user, which, side="right") - start
    place = np.repeat(np.arange(len(which)), count)
    item = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
    taken = np.repeat(start, count) + item
    return place, feature[taken], value[taken]


def _file(raw: Path, name: str) -> Path:
    path = raw / name
    if not path.is_file():
        packed = " (it is there packed: unpack it first)" if (raw / f"{name}.gz").is_file() else ""
        raise ArtifactError(f"no file {name} in {raw}{packed}")
    return path


if __name__ == "__main__":
    sys.exit(main())
