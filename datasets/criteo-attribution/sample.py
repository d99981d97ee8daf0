"""A generated log in the layout of Criteo's attribution log, to try the converter without it.

    python datasets/criteo-attribution/sample.py RAW

Nothing in it comes from the real data but the names of the columns. It has the real log's traps:
conversions of impressions that were not clicked, and columns known only afterwards.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, USERS, DAYS, UNCLICKED = 3000, 400, 30, 25
DAY = 86_400


def write_sample(raw: Path, seed: int = 0) -> None:
    """Write criteo_attribution_dataset.tsv."""
    rng = np.random.default_rng(seed)
    raw.mkdir(parents=True, exist_ok=True)
    time = np.sort(rng.integers(DAYS * DAY, size=ROWS))
    click = rng.random(ROWS) < 0.4
    conversion = click & (rng.random(ROWS) < 0.2)
    conversion[rng.choice(np.flatnonzero(~click), UNCLICKED, replace=False)] = True
    delay = rng.exponential(3 * DAY, ROWS).astype(int)
    none = np.full(ROWS, -1)
    log = pd.DataFrame(
        {
            "timestamp": time,
            "uid": rng.integers(USERS, size=ROWS),
            "campaign": rng.integers(20, size=ROWS),
            "conversion": conversion.astype(int),
            "conversion_timestamp": np.where(conversion, time + delay, -1),
            "conversion_id": np.where(conversion, np.arange(ROWS), -1),
            "attribution": (conversion & click).astype(int),
            "click": click.astype(int),
            "click_pos": none,
            "click_nb": none,
            "cost": rng.random(ROWS),
            "cpo": rng.random(ROWS),
            "time_since_last_click": np.where(rng.random(ROWS) < 0.5, -1, rng.integers(DAY)),
            **{f"cat{k}": rng.integers(10**7, 10**7 + 30, size=ROWS) for k in range(1, 10)},
        }
    )
    log.to_csv(raw / "criteo_attribution_dataset.tsv", sep="\t", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    write_sample(parser.parse_args().raw)
