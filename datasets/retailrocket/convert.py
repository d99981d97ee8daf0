"""RetailRocket events to log.parquet, schema.json and schema_chain.json.

    python datasets/retailrocket/convert.py RAW OUT [--window-hours 24]

RAW holds events.csv or sample_events.csv, plain or gzipped. A row is a view; what the visitor does
with that item within the window is its cart and its purchase. See CARD.md for what is dropped, and
for what the two schemas say.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from mtl_seq import Schema
from mtl_seq.data import last_touch, write_frame
from mtl_seq.errors import ArtifactError

FILES = ("events.csv", "events.csv.gz", "sample_events.csv", "sample_events.csv.gz")
KEY = ["visitorid", "itemid"]
STAGES = {"addtocart": "cart", "transaction": "purchase"}
HOUR = 3_600_000


def main(arguments: list[str] | None = None) -> int:
    """Run the conversion; return 0, or 2 for an invalid input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder with the original file")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument(
        "--window-hours", type=float, default=24, help="how long an event may follow its view"
    )
    given = parser.parse_args(arguments)
    try:
        if not given.window_hours > 0:
            raise ArtifactError(f"--window-hours must be above 0, found {given.window_hours}")
        frame = convert(given.raw, int(given.window_hours * HOUR))
        write_frame(frame, given.out / "log.parquet")
        rates = ", ".join(f"{stage} {frame[stage].sum():,}" for stage in STAGES.values())
        print(f"{len(frame):>9,} views in log.parquet: {rates}")
        for name in ("schema.json", "schema_chain.json"):
            Schema.from_json(Path(__file__).with_name(name)).to_json(given.out / name)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def convert(raw: Path, window: int) -> pd.DataFrame:
    """One row per view, in the order of time; `window` in milliseconds."""
    events = _read(raw)
    print(f"{len(events):>9,} events read")
    repeated = events.duplicated()
    events = events[~repeated].sort_values("timestamp", kind="stable", ignore_index=True)
    print(f"{repeated.sum():>9,} dropped: repeats in every column")
    views = events.loc[events["event"] == "view", ["timestamp", *KEY]].reset_index(drop=True)
    views["view"] = 1
    for event, stage in STAGES.items():
        own = events[events["event"] == event]
        views[stage], lost = last_touch(views, own, by=KEY, time="timestamp", window=window)
        print(f"{lost:>9,} of {len(own):,} {event} dropped: no view within the window before")
    views["purchase_in_cart"] = views["purchase"] * views["cart"]
    alone = views["purchase"].sum() - views["purchase_in_cart"].sum()
    print(f"{alone:>9,} purchases without a cart: kept by schema.json, not by schema_chain.json")
    young = views["timestamp"] > events["timestamp"].max() - window
    print(f"{young.sum():>9,} dropped: views within a window of the log's end, not mature")
    for name, key in (("visitor", "visitorid"), ("item", "itemid")):
        views[f"{name}_views_before"] = views.groupby(key).cumcount()
    moment = pd.to_datetime(views["timestamp"], unit="ms")
    views["hour"], views["weekday"] = moment.dt.hour, moment.dt.day_of_week
    return views[~young].reset_index(drop=True).astype({"hour": "int64", "weekday": "int64"})


def _read(raw: Path) -> pd.DataFrame:
    for name in FILES:
        if (raw / name).is_file():
            events = pd.read_csv(raw / name, usecols=["timestamp", "event", *KEY, "transactionid"])
            strange = set(events["event"]) - {"view", *STAGES}
            if strange:
                raise ArtifactError(f"{name} holds events {sorted(strange)}, which are unknown")
            return events
    raise ArtifactError(f"no file {', '.join(FILES)} in {raw}")


if __name__ == "__main__":
    sys.exit(main())
