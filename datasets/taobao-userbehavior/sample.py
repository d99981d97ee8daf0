"""Generated events in UserBehavior's original layout, to try the converter without the real ones.

    python datasets/taobao-userbehavior/sample.py RAW

Nothing in it comes from the real data but the names of the behaviours. It has the real log's
faults: seconds outside the nine days, purchases without a view, and purchases without an action.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

VIEWS, USERS, ITEMS = 6000, 200, 50
OUTSIDE, UNSEEN, DIRECT = 9, 15, 30
FIRST, SECONDS = 1_511_539_200, 9 * 86_400


def write_sample(raw: Path, seed: int = 0) -> None:
    """Write UserBehavior.csv, which has no header."""
    rng = np.random.default_rng(seed)
    raw.mkdir(parents=True, exist_ok=True)
    item = rng.integers(1, 1 + ITEMS, size=VIEWS)
    views = pd.DataFrame(
        {
            "user": rng.integers(1, 1 + USERS, size=VIEWS),
            "item": item,
            "category": item % 7,
            "behavior": "pv",
            "timestamp": FIRST + np.sort(rng.integers(SECONDS - 60, size=VIEWS)),
        }
    )
    liking = rng.standard_normal(1 + ITEMS)[item]
    acted = rng.random(VIEWS) < 1 / (1 + np.exp(2.0 - liking))
    bought = acted & (rng.random(VIEWS) < 0.4)
    bought[rng.choice(np.flatnonzero(~acted), DIRECT, replace=False)] = True
    kind = np.where(rng.random(VIEWS) < 0.7, "cart", "fav")
    actions = views.assign(behavior=kind, timestamp=views["timestamp"] + 10)[acted]
    buys = views.assign(behavior="buy", timestamp=views["timestamp"] + 20)[bought]
    unseen = buys.iloc[:UNSEEN].assign(item=ITEMS + 9)
    outside = views.iloc[:OUTSIDE].assign(timestamp=-5)
    events = pd.concat([views, actions, buys, unseen, outside])
    events.sort_values(["user", "timestamp"]).to_csv(
        raw / "UserBehavior.csv", header=False, index=False
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    write_sample(parser.parse_args().raw)
