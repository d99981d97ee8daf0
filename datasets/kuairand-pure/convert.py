"""KuaiRand-Pure in its original layout to train.parquet, test.parquet and schema.json.

    python datasets/kuairand-pure/convert.py RAW OUT [--conversion is_like] [--test-from 2022-04-29]

RAW holds log_standard_4_22_to_5_08_pure.csv, user_features_pure.csv and
video_features_basic_pure.csv, plain or gzipped. See CARD.md for what is dropped, and why.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mtl_seq import Schema
from mtl_seq.data import write_frame
from mtl_seq.errors import ArtifactError

KEY = ["user_id", "video_id", "time_ms"]
LABELS = ["long_view", "is_like"]
# Known only after the impression, or labels: never features.
AFTER_IMPRESSION = [
    "is_like",
    "is_follow",
    "is_comment",
    "is_forward",
    "is_hate",
    "long_view",
    "play_time_ms",
    "profile_stay_time",
    "comment_stay_time",
    "is_profile_enter",
]
SCHEMA = Schema.from_json(Path(__file__).with_name("schema.json"))
USER_IDS = [
    "user_active_degree",
    "is_live_streamer",
    "is_video_author",
    "follow_user_num_range",
    "fans_user_num_range",
    "friend_user_num_range",
    "register_days_range",
    *(f"onehot_feat{index}" for index in range(18)),
]
USER_NUMBERS = ["follow_user_num", "fans_user_num", "friend_user_num", "register_days"]
VIDEO_IDS = ["author_id", "video_type", "upload_type", "music_id", "music_type", "tag"]


def main(arguments: list[str] | None = None) -> int:
    """Run the conversion; return 0, or 2 for an invalid input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder with the original CSV files")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--conversion", choices=LABELS, default="long_view")
    parser.add_argument(
        "--test-from",
        default="2022-04-29",
        help="first day of the test part, YYYY-MM-DD; 'none' writes all rows to log.parquet",
    )
    given = parser.parse_args(arguments)
    try:
        cut = None if given.test_from == "none" else _day(given.test_from)
        frame = convert(given.raw, given.conversion)
        write(frame, given.out, cut)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def convert(raw: Path, conversion: str) -> pd.DataFrame:
    """Read the raw folder; one row per impression, in the order of time."""
    log = _read(raw, "log_standard_4_22_to_5_08_pure")
    print(f"{len(log):>9,} impressions read")
    repeated = log.duplicated(KEY)
    log = log[~repeated]
    print(f"{repeated.sum():>9,} dropped: repeats of ({', '.join(KEY)}), the first kept")
    unclicked = (log[conversion] == 1) & (log["is_click"] == 0)
    print(f"{unclicked.sum():>9,} with {conversion} but no click: conversion is label AND click")
    log = log.assign(conversion=log[conversion] * log["is_click"], click=log["is_click"])
    log = log.drop(columns=[*AFTER_IMPRESSION, "is_click"])
    print(f"{len(log):>9,} rows without the {len(AFTER_IMPRESSION)} columns known afterwards")
    users = _read(raw, "user_features_pure")[["user_id", *USER_IDS, *USER_NUMBERS]]
    videos = _read(raw, "video_features_basic_pure")[["video_id", *VIDEO_IDS]]
    for name, side, key in (("user", users, "user_id"), ("video", videos, "video_id")):
        unknown = ~log[key].isin(side[key])
        print(f"{unknown.sum():>9,} without {name} features: missing values there")
        log = log.merge(side, on=key, how="left", validate="many_to_one")
    log["day"] = pd.to_datetime(log["date"].astype(str))
    log["hour"] = log["hourmin"] // 100
    for column in (*USER_NUMBERS, "duration_ms"):
        log[f"log_{column}"] = np.log1p(log[column].fillna(0).astype(np.float64))
    log["duration_bucket"] = np.floor(4 * log["log_duration_ms"]).astype(np.int64)
    kept = ["day", *SCHEMA.features, "time_ms", "click", "conversion"]
    return log.sort_values("time_ms", kind="stable", ignore_index=True)[list(dict.fromkeys(kept))]


def write(frame: pd.DataFrame, out: Path, cut: pd.Timestamp | None) -> None:
    """Write the parts and the schema, and report their rows."""
    if cut is None:
        parts = {"log": frame}
    else:
        parts = {"train": frame[frame["day"] < cut], "test": frame[frame["day"] >= cut]}
        for name, part in parts.items():
            if part.empty:
                raise ArtifactError(
                    f"--test-from {cut.date()} leaves no row for {name}: the log runs from "
                    f"{frame['day'].min().date()} to {frame['day'].max().date()}"
                )
    for name, part in parts.items():
        write_frame(part.drop(columns="day").reset_index(drop=True), out / f"{name}.parquet")
        clicked = part["click"] == 1
        print(
            f"{len(part):>9,} rows in {name}.parquet: CTR {clicked.mean():.4f}, "
            f"CVR on clicks {part.loc[clicked, 'conversion'].mean():.4f}"
        )
    SCHEMA.to_json(out / "schema.json")


def _day(text: str) -> pd.Timestamp:
    try:
        return pd.Timestamp(text)
    except ValueError as error:
        raise ArtifactError(f"--test-from must be YYYY-MM-DD or none, found {text!r}") from error


def _read(raw: Path, name: str) -> pd.DataFrame:
    for path in (raw / f"{name}.csv", raw / f"{name}.csv.gz"):
        if path.is_file():
            return pd.read_csv(path)
    raise ArtifactError(f"no file {name}.csv or {name}.csv.gz in {raw}")


if __name__ == "__main__":
    sys.exit(main())
