"""Open Bandit logs to one parquet file a policy and schema.json.

    python datasets/open-bandit/convert.py RAW OUT [--campaign men]

RAW holds, for the policies random and bts, <policy>_<campaign>.csv and
<policy>_<campaign>_item_context.csv, plain or gzipped; or the original tree, whose files are
<policy>/<campaign>/<campaign>.csv and <policy>/<campaign>/item_context.csv. See CARD.md: there is
no conversion in it, and the propensities are those of showing an item.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from mtl_seq import Schema
from mtl_seq.data import write_frame
from mtl_seq.errors import ArtifactError

POLICIES = ("random", "bts")
ITEMS = ["item_id", "item_feature_0", "item_feature_1", "item_feature_2", "item_feature_3"]
USER_FEATURES = [f"user_feature_{index}" for index in range(4)]
SCHEMA = Schema.from_json(Path(__file__).with_name("schema.json"))


def main(arguments: list[str] | None = None) -> int:
    """Run the conversion; return 0, or 2 for an invalid input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder with the original files")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--campaign", choices=["men", "women", "all"], default="men")
    given = parser.parse_args(arguments)
    try:
        for policy in POLICIES:
            frame = convert(given.raw, policy, given.campaign)
            write_frame(frame, given.out / f"{policy}.parquet")
            print(
                f"{len(frame):>9,} rows in {policy}.parquet: {frame['click'].sum():,} clicks, "
                f"CTR {frame['click'].mean():.4f}"
            )
        SCHEMA.to_json(given.out / "schema.json")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def convert(raw: Path, policy: str, campaign: str) -> pd.DataFrame:
    """One row for each item shown in a position, in the order of time."""
    log = _read(raw, f"{policy}_{campaign}", f"{policy}/{campaign}/{campaign}")
    items = _read(raw, f"{policy}_{campaign}_item_context", f"{policy}/{campaign}/item_context")
    affinities = [column for column in log.columns if column.startswith("user-item_affinity_")]
    # Which affinity is whose: column k is that of item k.
    shown = log["item_id"].to_numpy()
    if sorted(affinities) != sorted(f"user-item_affinity_{i}" for i in items["item_id"]):
        raise ArtifactError(
            f"the log of {policy} must have one user-item_affinity for each of its "
            f"{len(items)} items, found {len(affinities)}"
        )
    affinity = log[[f"user-item_affinity_{index}" for index in range(len(affinities))]].to_numpy()
    frame = log[["timestamp", "item_id", "position", "click", *USER_FEATURES]].assign(
        affinity=affinity[range(len(log)), shown],
        # Of showing this item there, not of the click.
        action_propensity=log["propensity_score"],
    )
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True, format="ISO8601")
    frame["hour"] = frame["timestamp"].dt.hour.astype("int64")
    frame = frame.merge(items[ITEMS], on="item_id", how="left", validate="many_to_one")
    return frame.sort_values("timestamp", kind="stable", ignore_index=True)


def _read(raw: Path, *names: str) -> pd.DataFrame:
    for name in names:
        for path in (raw / f"{name}.csv", raw / f"{name}.csv.gz"):
            if path.is_file():
                return pd.read_csv(path, index_col=0)
    raise ArtifactError(f"no file {names[0]}.csv, {names[0]}.csv.gz or {names[1]}.csv in {raw}")


if __name__ == "__main__":
    sys.exit(main())
