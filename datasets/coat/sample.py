"""Generated ratings in Coat's original layout, to try the converter without the real ones.

    python datasets/coat/sample.py RAW

Nothing in it comes from the real data but the names of files and fields.
"""

import argparse
from pathlib import Path

import numpy as np

USERS, ITEMS = 40, 60
FIELDS = {
    "user": {
        "gender": ["men", "women"],
        "age": ["20-30", "over 60", "under 20"],
        "location": ["rural", "urban"],
        "fashioninterest": ["moderately", "not at all", "very"],
    },
    "item": {
        "gender": ["men", "women"],
        "jackettype": ["bomber", "rain"],
        "color": ["black", "blue", "pink"],
        "onfrontpage": ["yes", "no"],
    },
}


def write_sample(raw: Path, seed: int = 0, *, test: bool = True) -> None:
    """Write all files, that of the random ratings only if asked for."""
    rng = np.random.default_rng(seed)
    raw.mkdir(parents=True, exist_ok=True)
    liking = rng.standard_normal((USERS, 1)) + rng.standard_normal((1, ITEMS))
    ratings = np.clip(np.round(3 + liking), 1, 5)
    propensity = 1 / (1 + np.exp(1.5 - 0.8 * liking))
    chosen = rng.random((USERS, ITEMS)) < propensity
    np.savetxt(raw / "train.ascii", ratings * chosen, fmt="%d")
    np.savetxt(raw / "propensities.ascii", propensity)
    if test:
        random = rng.random((USERS, ITEMS)) < 0.1
        np.savetxt(raw / "test.ascii", ratings * random, fmt="%d")
    for side, rows in (("user", USERS), ("item", ITEMS)):
        blocks, names = [], []
        for field, values in FIELDS[side].items():
            blocks.append(np.eye(len(values))[rng.integers(len(values), size=rows)])
            names += [f"{field}:{value}" for value in values]
        np.savetxt(raw / f"{side}_features.ascii", np.hstack(blocks), fmt="%d")
        (raw / f"{side}_features_map.txt").write_text("\n".join(names), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    write_sample(parser.parse_args().raw)
