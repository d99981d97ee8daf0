"""Coat shopping to log.parquet, test.parquet and schema.json.

    python datasets/coat/convert.py RAW OUT [--least 3]

RAW holds train.ascii, propensities.ascii, user_features.ascii, item_features.ascii and the two
files that name the features, plain or gzipped; test.ascii, the ratings of random items, only if it
is there. See CARD.md for what the funnel is here.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq import Schema
from mtl_seq.data import write_frame
from mtl_seq.errors import ArtifactError

SCHEMA = Schema.from_json(Path(__file__).with_name("schema.json"))


def main(arguments: list[str] | None = None) -> int:
    """Run the conversion; return 0, or 2 for an invalid input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder with the original files")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument(
        "--least", type=int, choices=range(2, 6), default=3, help="rating that is a conversion"
    )
    given = parser.parse_args(arguments)
    try:
        write(given.raw, given.out, given.least)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def write(raw: Path, out: Path, least: int) -> None:
    """Write every pair of user and item, the test ratings where they are there, and the schema."""
    pairs = convert(raw, least)
    write_frame(pairs, out / "log.parquet")
    clicked = pairs["click"] == 1
    print(
        f"{len(pairs):>9,} pairs in log.parquet: CTR {clicked.mean():.4f}, "
        f"CVR on clicks {pairs.loc[clicked, 'conversion'].mean():.4f}"
    )
    if _find(raw, "test.ascii") is None:
        print(f"{0:>9,} ratings of random items: no test.ascii, so nothing here is a truth")
    else:
        test = _rated(raw, _matrix(raw, "test.ascii"), least)
        test = test[test["click"] == 1].reset_index(drop=True)
        write_frame(test, out / "test.parquet")
        print(
            f"{len(test):>9,} ratings of random items in test.parquet: "
            f"CVR {test['conversion'].mean():.4f}"
        )
    SCHEMA.to_json(out / "schema.json")


def convert(raw: Path, least: int) -> pd.DataFrame:
    """One row for every pair of user and item, in the order of the matrix."""
    return _rated(raw, _matrix(raw, "train.ascii"), least)


def _rated(raw: Path, ratings: NDArray[np.float64], least: int) -> pd.DataFrame:
    propensities = _matrix(raw, "propensities.ascii")
    if propensities.shape != ratings.shape:
        raise ArtifactError(
            f"propensities.ascii must have the shape of the ratings {ratings.shape}, found "
            f"{propensities.shape}"
        )
    users, items = ratings.shape
    user, item = (index.ravel() for index in np.indices(ratings.shape))
    rating = ratings.ravel()
    frame = {"user_id": user, "item_id": item}
    for side, rows, index in (("user", users, user), ("item", items, item)):
        for name, values in _features(raw, side, rows).items():
            frame[name] = values[index]
    frame["propensity"] = propensities.ravel()
    frame["click"] = (rating > 0).astype(np.int64)
    frame["conversion"] = (rating >= least).astype(np.int64)
    return pd.DataFrame(frame)


def _features(raw: Path, side: str, rows: int) -> dict[str, NDArray[np.str_]]:
    """One column for each field, of the columns of ones and zeros that stand for it."""
    path = _find(raw, f"{side}_features_map.txt")
    if path is None:
        raise ArtifactError(f"no file {side}_features_map.txt in {raw}")
    names = path.read_text(encoding="utf-8").splitlines()
    shown = _matrix(raw, f"{side}_features.ascii")
    if shown.shape != (rows, len(names)):
        raise ArtifactError(
            f"{side}_features.ascii must have the shape {(rows, len(names))}, found {shown.shape}"
        )
    fields: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        fields.setdefault(name.partition(":")[0], []).append(place)
    columns = {}
    for field, places in fields.items():
        block = shown[:, places]
        if not (block.sum(axis=1) == 1).all():
            raise ArtifactError(f"every {side} must have one {field} in {side}_features.ascii")
        values = np.array([names[place].partition(":")[2] for place in places])
        columns[f"{side}_{field}"] = values[block.argmax(axis=1)]
    return columns


def _matrix(raw: Path, name: str) -> NDArray[np.float64]:
    path = _find(raw, name)
    if path is None:
        raise ArtifactError(f"no file {name} or {name}.gz in {raw}")
    return np.loadtxt(path, ndmin=2)


def _find(raw: Path, name: str) -> Path | None:
    found = [path for path in (raw / name, raw / f"{name}.gz") if path.is_file()]
    return found[0] if found else None


if __name__ == "__main__":
    sys.exit(main())
