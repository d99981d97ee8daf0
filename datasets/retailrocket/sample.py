"""Generated events in RetailRocket's original layout, to try the converter without the real ones.

    python datasets/retailrocket/sample.py RAW

Nothing in it comes from the real data but the names of columns and events. It has the real log's
faults: repeated events, carts without a view, and purchases without a cart.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

VIEWS, VISITORS, ITEMS = 3000, 150, 40
REPEATS, UNSEEN_CARTS, DIRECT = 3, 12, 20
START, DAY = 1_433_000_000_000, 86_400_000


def write_sample(raw: Path, seed: int = 0) -> None:
    """Write events.csv."""
    rng = np.random.default_rng(seed)
    raw.mkdir(parents=True, exist_ok=True)
    item = rng.integers(ITEMS, size=VIEWS)
    # Views of one visitor and item lie further apart than what follows them.
    views = pd.DataFrame(
        {
            "timestamp": START + np.arange(VIEWS) * DAY // 100,
            "visitorid": rng.integers(VISITORS, size=VIEWS),
            "event": "view",
            "itemid": item,
        }
    )
    liking = rng.standard_normal(ITEMS)[item]
    carted = rng.random(VIEWS) < 1 / (1 + np.exp(2.0 - liking))
    bought = carted & (rng.random(VIEWS) < 0.4)
    direct = rng.choice(np.flatnonzero(~carted), DIRECT, replace=False)
    carts = views[carted].assign(event="addtocart", timestamp=views["timestamp"] + 1000)
    unseen = carts.sample(UNSEEN_CARTS, random_state=seed).assign(itemid=ITEMS + 5)
    bought[direct] = True
    sales = views[bought].assign(event="transaction", timestamp=views["timestamp"] + 2000)
    sales["transactionid"] = np.arange(len(sales))
    events = pd.concat([views, carts, unseen, sales]).sample(frac=1, random_state=seed)
    events = pd.concat([events, events.iloc[:REPEATS]])
    columns = ["timestamp", "visitorid", "event", "itemid", "transactionid"]
    events[columns].to_csv(raw / "events.csv", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    write_sample(parser.parse_args().raw)
