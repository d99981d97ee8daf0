"""A DataFrame in, a DataFrame with pctr, pcvr and pctcvr out.

python examples/fit_a_dataframe.py [--rows 20000] [--out model/]
"""

import argparse
import sys

import numpy as np
import pandas as pd

from mtl_seq import BiasReport, FunnelEstimator, Schema, models

SCHEMA = Schema(
    labels={"click": "clicked", "conversion": "ordered"},
    ids=["user", "shop"],
    bags=["tags"],
    dense=["price"],
    group="user",  # the user: for intervals, and AUC within users
    time="at",  # the latest rows pick the checkpoint
)


def made_up(rows: int) -> pd.DataFrame:
    """A log with every kind of column; read your log with pandas and declare it likewise."""
    rng = np.random.default_rng(0)
    click = rng.random(rows) < 0.3
    return pd.DataFrame(
        {
            "user": rng.integers(500, size=rows),  # ids: integers or strings, kept exactly
            "shop": rng.choice(["north", "south", "west"], rows),
            "tags": [["new", "red"][: n % 3] for n in range(rows)],
            "price": rng.lognormal(2 + 0.5 * click, 0.5),
            "at": pd.date_range("2026-01-01", periods=rows, freq="min"),
            "clicked": click.astype(int),
            "ordered": (click & (rng.random(rows) < 0.3)).astype(int),
        }
    )


def main(arguments: list[str] | None = None) -> int:
    """Fit, predict, report, save and load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--out", default="model")
    given = parser.parse_args(arguments)
    log = made_up(given.rows)
    train, test = log.iloc[: given.rows // 2], log.iloc[given.rows // 2 :]
    estimator = FunnelEstimator(models.esmm, SCHEMA, seed=0).fit(train)
    scores = estimator.predict(test)
    print(scores.head(), BiasReport.from_log({"esmm": scores}, test, schema=SCHEMA).table.T)
    estimator.save(given.out)
    print("the same once loaded:", FunnelEstimator.load(given.out).predict(test).equals(scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
