"""Criteo's attribution log to log.parquet and schema.json.

    python datasets/criteo-attribution/convert.py RAW OUT [--observed-day 25] [--share 0.1]

RAW holds criteo_attribution_dataset.tsv, plain or gzipped. With --observed-day the log is what one
had at that moment: later conversions are not in its labels yet. See CARD.md.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq import Schema
from mtl_seq.data import write_frame
from mtl_seq.errors import ArtifactError

FILES = ("criteo_attribution_dataset.tsv", "criteo_attribution_dataset.tsv.gz")
CATEGORIES = [f"cat{index}" for index in range(1, 10)]
READ = [
    *("timestamp", "uid", "campaign", "conversion", "conversion_timestamp", "click"),
    *("time_since_last_click", *CATEGORIES),
]
DAY, CHUNK = 86_400, 1_000_000
SCHEMA = Schema.from_json(Path(__file__).with_name("schema.json"))


def main(arguments: list[str] | None = None) -> int:
    """Run the conversion; return 0, or 2 for an invalid input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder with the original file")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument(
        "--observed-day",
        type=float,
        help="days after the log's start at which it is looked at; default: all is known",
    )
    parser.add_argument("--share", type=float, default=1.0, help="share of users kept, in (0, 1]")
    given = parser.parse_args(arguments)
    try:
        if not 0 < given.share <= 1:
            raise ArtifactError(f"--share must lie in (0, 1], found {given.share}")
        frame = convert(given.raw, given.observed_day, given.share)
        write_frame(frame, given.out / "log.parquet")
        clicked = frame["click"] == 1
        print(
            f"{len(frame):>11,} rows in log.parquet: CTR {clicked.mean():.4f}, "
            f"CVR on clicks {frame.loc[clicked, 'conversion'].mean():.4f}, once all is known "
            f"{frame.loc[clicked, 'conversion_in_the_end'].mean():.4f}"
        )
        SCHEMA.to_json(given.out / "schema.json")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def convert(raw: Path, observed_day: float | None, share: float) -> pd.DataFrame:
    """One row per impression, in the order of time."""
    log = pd.concat(_kept(raw, share), ignore_index=True)
    print(f"{len(log):>11,} impressions of the kept users")
    log = log.sort_values("timestamp", kind="stable", ignore_index=True)
    happened = (log["conversion"] == 1) & (log["click"] == 1)
    print(
        f"{((log['conversion'] == 1) & (log['click'] == 0)).sum():>11,} conversions without a "
        "click on this impression: conversion is label AND click"
    )
    moment = np.inf if observed_day is None else observed_day * DAY
    late = log["timestamp"] > moment
    print(f"{late.sum():>11,} dropped: shown after the log is looked at")
    delay = (log["conversion_timestamp"] - log["timestamp"]).where(happened)
    seen = happened & (log["conversion_timestamp"] <= moment)
    print(f"{(happened & ~late & ~seen).sum():>11,} conversions not known yet: their label is 0")
    log["conversion"] = seen.astype("int64")
    log["conversion_in_the_end"] = happened.astype("int64")
    log["delay_days"] = delay / DAY
    log["hour"] = log["timestamp"] % DAY // 3600
    before = log["time_since_last_click"]
    log["clicked_before"] = (before >= 0).astype("int64")
    log["log_hours_since_click"] = np.log1p(before.clip(lower=0) / 3600)
    dropped = ["conversion_timestamp", "time_since_last_click"]
    return log[~late].drop(columns=dropped).reset_index(drop=True)


def _kept(raw: Path, share: float) -> Iterator[pd.DataFrame]:
    path = next((raw / name for name in FILES if (raw / name).is_file()), None)
    if path is None:
        raise ArtifactError(f"no file {FILES[0]} or {FILES[1]} in {raw}")
    try:
        for chunk in pd.read_csv(path, sep="\t", usecols=READ, chunksize=CHUNK):
            yield chunk[_uniform(chunk["uid"].to_numpy()) < share]
    except ValueError as error:
        raise ArtifactError(f"{path} must have the columns {READ}: {error}") from error


def _uniform(users: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each user, the same in every run (Knuth's multiplicative hash)."""
    mixed = users.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53


if __name__ == "__main__":
    sys.exit(main())
