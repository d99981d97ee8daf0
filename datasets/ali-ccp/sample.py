"""A generated log in Ali-CCP's original layout, to try the converter without the real one.

    python datasets/ali-ccp/sample.py RAW

Nothing in it comes from the real data but the numbers of the fields. It has the real log's faults:
purchases without a click, and impressions that lack some fields.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np

ROWS, USERS, UNCLICKED_BUYS = 2000, 60, 7
USER_IDS = ("101", "121", "122", "124", "125", "126", "127", "128", "129")
USER_BAGS = ("109_14", "110_14", "127_14", "150_14")
ITEM_IDS = ("205", "206", "207", "216", "301")
ITEM_BAGS = ("210", "508", "509", "702", "853")


def write_sample(raw: Path, seed: int = 0, *, rows: int = ROWS, users: int = USERS) -> None:
    """Write both files of both parts."""
    raw.mkdir(parents=True, exist_ok=True)
    for part, offset in (("train", 0), ("test", 1)):
        rng = np.random.default_rng([seed, offset])
        keys = [hashlib.md5(f"{part} {user}".encode()).hexdigest() for user in range(users)]
        with (raw / f"common_features_{part}.csv").open("w") as stream:
            for user, key in enumerate(keys):
                parts = [_feature("101", 1000 + user, 1)]
                parts += [_feature(f, 10 + int(rng.integers(9)), 1) for f in USER_IDS[1:]]
                parts += [
                    _feature(field, int(item), weight)
                    for field in USER_BAGS
                    for item, weight in _bag(rng)
                ]
                stream.write(f"{key},{len(parts)},{chr(1).join(parts)}\n")
        user = np.sort(rng.integers(users, size=rows))
        click = rng.random(rows) < 0.2
        buy = click & (rng.random(rows) < 0.2)
        buy[rng.choice(np.flatnonzero(~click), UNCLICKED_BUYS, replace=False)] = True
        with (raw / f"sample_skeleton_{part}.csv").open("w") as stream:
            for row in range(rows):
                kept = [f for f in ITEM_IDS if f == "205" or rng.random() < 0.95]
                parts = [_feature(f, 100 + int(rng.integers(30)), 1) for f in kept]
                parts += [
                    _feature(field, int(item), weight)
                    for field in ITEM_BAGS
                    for item, weight in _bag(rng)
                ]
                stream.write(
                    f"{row + 1},{int(click[row])},{int(buy[row])},{keys[user[row]]},{len(parts)},"
                    f"{chr(1).join(parts)}\n"
                )


def _bag(rng: np.random.Generator) -> list[tuple[np.int64, float]]:
    items = rng.choice(50, size=rng.integers(4), replace=False)
    return [(item, round(float(np.log1p(rng.integers(1, 9))), 5)) for item in items]


def _feature(field: str, feature: int, value: float) -> str:
    return f"{field}\x02{feature}\x03{value}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--users", type=int, default=USERS)
    given = parser.parse_args()
    write_sample(given.raw, rows=given.rows, users=given.users)
