"""Taobao UserBehavior to log.parquet, schema.json and schema_chain.json.

    python datasets/taobao-userbehavior/convert.py RAW OUT [--share 0.05] [--window-hours 24]

RAW holds UserBehavior.csv, plain or gzipped: no header; user, item, category, behaviour, second. A
row is a page view; what the user does with that item within the window is its action and its
purchase. Memory grows with the share of users, not with the file. See CARD.md.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq import Schema
from mtl_seq.data import last_touch, write_frame
from mtl_seq.errors import ArtifactError

COLUMNS = ["user_id", "item_id", "category_id", "behavior", "timestamp"]
KEY = ["user_id", "item_id"]
BEHAVIOURS = ("pv", "cart", "fav", "buy")
# The days of the log, in China's time; other seconds are errors.
FIRST, END = (pd.Timestamp(day, tz="Asia/Shanghai").timestamp() for day in ("20171125", "20171204"))
CHUNK = 2_000_000


def main(arguments: list[str] | None = None) -> int:
    """Run the conversion; return 0, or 2 for an invalid input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder with the original file")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--share", type=float, default=0.05, help="share of users kept, in (0, 1]")
    parser.add_argument(
        "--window-hours", type=float, default=24, help="how long an event may follow its view"
    )
    given = parser.parse_args(arguments)
    try:
        if not 0 < given.share <= 1:
            raise ArtifactError(f"--share must lie in (0, 1], found {given.share}")
        if not given.window_hours > 0:
            raise ArtifactError(f"--window-hours must be above 0, found {given.window_hours}")
        frame = convert(given.raw, given.share, int(given.window_hours * 3600))
        write_frame(frame, given.out / "log.parquet")
        rates = ", ".join(f"{stage} {frame[stage].sum():,}" for stage in ("action", "purchase"))
        print(f"{len(frame):>11,} views in log.parquet: {rates}")
        for name in ("schema.json", "schema_chain.json"):
            Schema.from_json(Path(__file__).with_name(name)).to_json(given.out / name)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def convert(raw: Path, share: float, window: int) -> pd.DataFrame:
    """One row per page view, in the order of time; `window` in seconds."""
    events = pd.concat(_kept(raw, share), ignore_index=True)
    print(f"{len(events):>11,} events of the kept users")
    outside = ~events["timestamp"].between(FIRST, END, inclusive="left")
    print(f"{outside.sum():>11,} dropped: outside the nine days")
    events = events[~outside]
    repeated = events.duplicated()
    print(f"{repeated.sum():>11,} dropped: repeats in every column")
    events = events[~repeated].sort_values("timestamp", kind="stable", ignore_index=True)
    views = events[events["behavior"] == "pv"].drop(columns="behavior").reset_index(drop=True)
    views["view"] = 1
    for name in BEHAVIOURS[1:]:
        own = events[events["behavior"] == name]
        views[name], lost = last_touch(views, own, by=KEY, time="timestamp", window=window)
        print(f"{lost:>11,} of {len(own):,} {name} dropped: no view within the window before")
    views["action"] = views["cart"] | views["fav"]
    views = views.rename(columns={"buy": "purchase"}).drop(columns=["cart", "fav"])
    views["purchase_in_action"] = views["purchase"] * views["action"]
    alone = views["purchase"].sum() - views["purchase_in_action"].sum()
    print(f"{alone:>11,} purchases without an action: kept by schema.json, not schema_chain.json")
    young = views["timestamp"] >= END - window
    print(f"{young.sum():>11,} dropped: views within a window of the log's end, not mature")
    for name in ("user", "item", "category"):
        views[f"{name}_views_before"] = views.groupby(f"{name}_id").cumcount()
    moment = pd.to_datetime(views["timestamp"], unit="s", utc=True).dt.tz_convert("Asia/Shanghai")
    views["hour"], views["weekday"] = moment.dt.hour, moment.dt.day_of_week
    return views[~young].reset_index(drop=True).astype({"hour": "int64", "weekday": "int64"})


def _kept(raw: Path, share: float) -> Iterator[pd.DataFrame]:
    path = next(
        (p for n in ("UserBehavior.csv", "UserBehavior.csv.gz") if (p := raw / n).is_file()), None
    )
    if path is None:
        raise ArtifactError(f"no file UserBehavior.csv or UserBehavior.csv.gz in {raw}")
    read = 0
    for chunk in pd.read_csv(path, names=COLUMNS, header=None, chunksize=CHUNK):
        strange = set(chunk["behavior"].unique()) - set(BEHAVIOURS)
        if strange:
            raise ArtifactError(
                f"{path} holds behaviours {sorted(map(str, strange))}: {BEHAVIOURS} are known"
            )
        read += len(chunk)
        yield chunk[_uniform(chunk["user_id"].to_numpy()) < share]
    print(f"{read:>11,} events read")


def _uniform(users: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each user, the same in every run (Knuth's multiplicative hash)."""
    mixed = users.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53


if __name__ == "__main__":
    sys.exit(main())
