"""A generated log as a CSV file, to try `mtl-seq convert` with.

    python datasets/generic/sample.py RAW

Each kind of column is in it once: ids that are integers, ids that are strings, a bag whose items
are separated by "|", a number with gaps, a time, and the labels.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, USERS = 5000, 300
# From 2^53 on, a reader that makes floating numbers of ids joins neighbours.
FIRST_USER = 9_007_199_254_740_992


def write_sample(raw: Path, seed: int = 0) -> None:
    """Write log.csv."""
    rng = np.random.default_rng(seed)
    raw.mkdir(parents=True, exist_ok=True)
    liking = rng.standard_normal(USERS)
    user = rng.integers(USERS, size=ROWS)
    click = rng.random(ROWS) < 1 / (1 + np.exp(1 - liking[user]))
    order = click & (rng.random(ROWS) < 0.25)
    tags = np.array(["new", "red", "sale"])
    shown = [tags[rng.random(3) < 0.5] for _ in range(ROWS)]
    frame = pd.DataFrame(
        {
            "user_id": FIRST_USER + user,
            "shop": rng.choice(["north", "south", "west"], ROWS),
            "tags": ["|".join(items) for items in shown],
            "price": np.where(rng.random(ROWS) < 0.02, np.nan, rng.lognormal(2, 0.5, ROWS)),
            "shown_at": pd.date_range("2026-01-01", periods=ROWS, freq="min"),
            "is_click": click.astype(int),
            "is_order": order.astype(int),
        }
    )
    frame.to_csv(raw / "log.csv", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    write_sample(parser.parse_args().raw)
