"""A generated log in the layout of the AliExpress CSVs, to try the converter without the real one.

    python datasets/aliexpress/sample.py RAW

Nothing in it comes from the real data but the names of the columns.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, CATEGORICAL, NUMERICAL, UNCLICKED = 1500, 16, 63, 4


def write_sample(raw: Path, seed: int = 0) -> None:
    """Write both files."""
    raw.mkdir(parents=True, exist_ok=True)
    for part, offset in (("train", 0), ("test", 1)):
        rng = np.random.default_rng([seed, offset])
        ids = rng.integers(12, size=(ROWS, CATEGORICAL))
        numbers = rng.standard_normal((ROWS, NUMERICAL)).round(4)
        numbers[:, 0] = 1  # a column that looks like whole numbers
        click = rng.random(ROWS) < 1 / (1 + np.exp(1.5 - numbers[:, 1]))
        conversion = click & (rng.random(ROWS) < 0.2)
        conversion[rng.choice(np.flatnonzero(~click), UNCLICKED, replace=False)] = True
        columns = {"search_id": np.arange(ROWS) // 10}
        columns |= {f"categorical_{k + 1}": ids[:, k] for k in range(CATEGORICAL)}
        columns |= {f"numerical_{k + 1}": numbers[:, k] for k in range(NUMERICAL)}
        columns |= {"click": click.astype(int), "conversion": conversion.astype(int)}
        pd.DataFrame(columns).to_csv(raw / f"{part}.csv", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    write_sample(parser.parse_args().raw)
