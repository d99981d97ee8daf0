"""Generated logs in the Open Bandit layout, to try the converter without the real ones.

    python datasets/open-bandit/sample.py RAW

Nothing in it comes from the real data but the names of the columns.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, ITEMS, POSITIONS = 3000, 6, 3


def write_sample(raw: Path, seed: int = 0) -> None:
    """Write the logs of both policies and their items."""
    rng = np.random.default_rng(seed)
    raw.mkdir(parents=True, exist_ok=True)
    chance = rng.uniform(0.02, 0.2, ITEMS)
    greedy = chance / chance.sum()
    for policy, weights in (("random", np.full(ITEMS, 1 / ITEMS)), ("bts", greedy)):
        item = rng.choice(ITEMS, ROWS, p=weights)
        start = pd.Timestamp("2019-11-24", tz="UTC")
        seconds = np.sort(rng.integers(7 * 86_400, size=ROWS))
        log = pd.DataFrame(
            {
                # A whole second has no fraction in the original.
                "timestamp": [str(start + pd.Timedelta(seconds=int(s))) for s in seconds],
                "item_id": item,
                "position": 1 + rng.integers(POSITIONS, size=ROWS),
                "click": (rng.random(ROWS) < chance[item]).astype(int),
                "propensity_score": weights[item],
                **{f"user_feature_{k}": rng.choice(["a", "b", "c"], ROWS) for k in range(4)},
                **{f"user-item_affinity_{k}": rng.poisson(0.1, ROWS) for k in range(ITEMS)},
            }
        )
        log.to_csv(raw / f"{policy}_men.csv")
        items = {"item_id": range(ITEMS), "item_feature_0": rng.standard_normal(ITEMS)}
        items |= {f"item_feature_{k}": rng.choice(["x", "y"], ITEMS) for k in range(1, 4)}
        pd.DataFrame(items).to_csv(raw / f"{policy}_men_item_context.csv")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    write_sample(parser.parse_args().raw)
