"""Generated persons in Census-Income's original layout, to try the converter without the real ones.

    python datasets/census-income/sample.py RAW

Nothing in it comes from the real data but the names of some values. `census-income.data` stands
for the train part, `train_nominal_reconstructed.parquet` for its nominal columns alone, with
hyphens for blanks as in that file.
"""

import argparse
import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 1500
# The converter has the column names of the raw file, which has no header.
NAMES = runpy.run_path(str(Path(__file__).with_name("convert.py")))["COLUMNS"]
NUMERIC, WEIGHT, MARITAL, INCOME = (0, 5, 16, 17, 18, 30, 39), 24, 7, 41


def write_sample(raw: Path, seed: int = 0) -> None:
    """Write all files."""
    raw.mkdir(parents=True, exist_ok=True)
    for part, offset in (("data", 0), ("test", 1)):
        frame = _persons(np.random.default_rng([seed, offset]))
        frame.to_csv(raw / f"census-income.{part}", header=False, index=False)
        if part == "data":
            nominal = frame.drop(columns=[*NUMERIC, WEIGHT]).map(_hyphenated)
            nominal.columns = [NAMES[column] for column in nominal.columns]
            nominal.astype("category").to_parquet(raw / "train_nominal_reconstructed.parquet")


def _persons(rng: np.random.Generator) -> pd.DataFrame:
    trait = rng.standard_normal(ROWS)
    columns = {}
    for place in range(len(NAMES)):
        if place in NUMERIC:
            columns[place] = np.round(np.abs(20 + 10 * trait + rng.standard_normal(ROWS)))
        elif place == WEIGHT:
            columns[place] = rng.uniform(100, 2000, ROWS).round(2)
        elif place == MARITAL:
            single = rng.random(ROWS) < 1 / (1 + np.exp(trait))
            columns[place] = np.where(single, " Never married", " Married-civilian spouse present")
        elif place == INCOME:
            rich = rng.random(ROWS) < 1 / (1 + np.exp(2.5 - trait))
            columns[place] = np.where(rich, " 50000+.", " - 50000.")
        else:
            level = np.digitize(trait + rng.standard_normal(ROWS), [-1, 0, 1])
            columns[place] = np.array([" Not in universe", " ?", " NA", " Other (a b)"])[level]
    return pd.DataFrame(columns)


def _hyphenated(value: str) -> str:
    return re.sub(r"[^\w+?]+", "-", value).strip("-")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    write_sample(parser.parse_args().raw)
