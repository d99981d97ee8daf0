"""What benchmarks/simulated/dependence.py found, by scenario."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["OURS", "lambdas", "null_table", "print_tables", "summarise"]

OURS = "esmm_dependent"
SHOWN = ("relative bias, all", "log loss, all", "AUC, all")
WORLD = ["scenario", "rate", "effect"]
Record = Mapping[str, Any]


def rows_of(records: Sequence[Record]) -> pd.DataFrame:
    """A row per scenario, seed and method; our base and the shrunken form are methods of their own."""
    rows = []
    for record in records:
        place = {name: record[name] for name in (*WORLD, "seed")}
        parts = {record["method"]: record}
        for name in ("multitask", "shrunk"):
            if name in record:
                parts[name if name == "multitask" else f"{OURS}, shrunk"] = record[name]
        for method, figures in parts.items():
            rows.append({**place, "method": method, **{n: figures[n] for n in SHOWN}})
    return pd.DataFrame(rows).drop_duplicates([*WORLD, "seed", "method"])


def summarise(records: Sequence[Record]) -> pd.DataFrame:
    """Mean over seeds by scenario and method, with the standard deviation of the bias."""
    groups = rows_of(records).groupby([*WORLD, "method"])
    table = groups[list(SHOWN)].mean()
    table.insert(1, "sd of relative bias", groups["relative bias, all"].std())
    table["seeds"] = groups.size()
    return table


def lambdas(records: Sequence[Record]) -> pd.DataFrame:
    """What was found of lambda, by scenario."""
    frame = pd.DataFrame([r for r in records if r["method"] == OURS])
    numbers = ["lambda", "standard error", "t", "strength"]
    frame[numbers] = frame[numbers].astype(float)
    rejected = frame["t"].abs() > 1.959964
    groups = frame.assign(rejects=rejected).groupby(WORLD)
    table = groups[["lambda", "standard error"]].median().add_prefix("median ")
    table["sd of lambda"] = groups["lambda"].std()
    table["strength"] = groups["strength"].median()
    for verdict in ("identified", "weak", "not identified"):
        table[verdict] = groups["verdict"].agg(lambda said, v=verdict: int((said == v).sum()))
    table["rejects"] = groups["rejects"].sum()
    table["seeds"] = groups.size()
    return table


def null_table(records: Sequence[Record]) -> pd.DataFrame:
    """Where nothing is hidden: the shrunken form beside ESMM and its own base."""
    rows = rows_of(records)
    rows = rows[rows["scenario"].isin(["dense", "cvr_blind"])]
    # Of the same seeds for all.
    methods = rows.groupby(["scenario", "seed"])["method"].transform("nunique")
    rows = rows[methods == methods.max()]
    rows = rows.assign(absolute=rows["relative bias, all"].abs())
    table = rows.groupby(["scenario", "method"])[["absolute", "log loss, all"]].mean()
    table["seeds"] = rows.groupby(["scenario", "method"]).size()
    return table


def print_tables(records: Sequence[Record]) -> None:
    """To the terminal."""
    if not records:
        print("nothing was fitted yet")
        return
    with pd.option_context(
        "display.width", 200, "display.max_rows", 200, "display.max_columns", 20
    ):
        print("Over all impressions, mean over seeds:\n", summarise(records).round(4), sep="")
        print("\nlambda:\n", lambdas(records).round(3), sep="")
        print("\nNothing hidden, mean of |relative bias|:\n", null_table(records).round(4), sep="")
    print(f"\nseeds: {np.unique([record['seed'] for record in records]).tolist()}")
