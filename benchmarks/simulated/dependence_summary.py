"""Means over seeds of benchmarks.simulated.dependence, by scenario."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

__all__ = ["OURS", "lambdas", "null_table", "places", "summarise"]

OURS = "esmm_dependent"
SHOWN = ("relative bias, all", "log loss, all", "AUC, all")
PLACE = ["scenario", "rate", "effect"]
Record = Mapping[str, Any]


def rows_of(records: Sequence[Record]) -> pd.DataFrame:
    """A row per scenario, seed and method; the base and the shrunken form are methods too."""
    rows = []
    for record in records:
        place = {name: record[name] for name in (*PLACE, "seed")}
        parts = {record["method"]: record}
        for name in ("multitask", "shrunk"):
            if name in record:
                parts[name if name == "multitask" else f"{OURS}, shrunk"] = record[name]
        for method, metrics in parts.items():
            rows.append({**place, "method": method, **{n: metrics[n] for n in SHOWN}})
    return pd.DataFrame(rows).drop_duplicates([*PLACE, "seed", "method"])


def summarise(records: Sequence[Record]) -> pd.DataFrame:
    """Mean over seeds by scenario and method, with the standard deviation of the bias."""
    groups = rows_of(records).groupby([*PLACE, "method"])
    table = groups[list(SHOWN)].mean()
    table.insert(1, "sd of relative bias", groups["relative bias, all"].std())
    table["seeds"] = groups.size()
    return table


def lambdas(records: Sequence[Record]) -> pd.DataFrame:
    """Estimates of lambda, their verdicts and tests, by scenario."""
    frame = pd.DataFrame([r for r in records if r["method"] == OURS])
    numbers = ["lambda", "standard error", "t", "strength"]
    frame[numbers] = frame[numbers].astype(float)
    rejected = frame["t"].abs() > 1.959964
    groups = frame.assign(rejects=rejected).groupby(PLACE)
    table = groups[["lambda", "standard error"]].median().add_prefix("median ")
    table["sd of lambda"] = groups["lambda"].std()
    table["strength"] = groups["strength"].median()
    for verdict in ("identified", "weak", "not identified"):
        table[verdict] = groups["verdict"].agg(
            lambda verdicts, v=verdict: int((verdicts == v).sum())
        )
    table["rejects"] = groups["rejects"].sum()
    table["seeds"] = groups.size()
    return table


def null_table(records: Sequence[Record]) -> pd.DataFrame:
    """Without a dependence: the shrunken form beside ESMM and its base."""
    rows = rows_of(records)
    rows = rows[rows["scenario"].isin(["dense", "cvr_blind"])]
    # The same seeds for all.
    methods = rows.groupby(["scenario", "seed"])["method"].transform("nunique")
    rows = rows[methods == methods.max()]
    rows = rows.assign(absolute=rows["relative bias, all"].abs())
    table = rows.groupby(["scenario", "method"])[["absolute", "log loss, all"]].mean()
    table["seeds"] = rows.groupby(["scenario", "method"]).size()
    return table


def places(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Scenario, rate and effect of a table, in the order of the page."""
    order = [
        (scenario, rate, effect)
        for rate in ("CTR 20%", "CTR 4%")
        for effect in ("full", "half", "quarter", "none")
        for scenario in ("mnar", "hidden", "dense", "cvr_blind")
    ]
    found = {at[:3] for at in table.index}
    return [place for place in order if place in found]
