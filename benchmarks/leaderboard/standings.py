"""Standings and conclusions of benchmarks/leaderboard/run.py."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from methods_table import SCALING
from scipy.stats import t as student

__all__ = ["CONTROL", "NOISE", "conclusions", "standings", "without_standing"]

CONTROL, NAIVE, ORACLE = "multitask", "click_space", "oracle"
NOISE = (
    "a difference is noise where the 95% t interval of its mean over the seeds holds 0; to change "
    "is advised only where the interval, widened for every method and scenario compared (Bonferroni), "
    "leaves out 0"
)
LOSS, BIAS = "log loss, all", "relative bias, all"


def standings(
    records: Sequence[Mapping[str, Any]], table: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Methods in the order of their mean regret, and every method in every scenario.

    The regret of a method in a scenario is its log loss over all impressions minus that of the best
    method there, in nats. Methods may have different seeds, and seeds are different scenarios: log
    losses are compared by way of the control, seed by seed. The oracle competes with nobody, nor do
    methods that move pCVR up or down in every scenario, so that where they are right is an accident. A
    method without probabilities, or with a scenario that it could not be fitted in, has no
    standing.

    Args:
        records: The cells.
        table: What `summarise` makes of them.
    """
    losses = _losses(records)
    rows = []
    for scenario in table.index.unique("scenario"):
        part = table.loc[scenario]
        gaps = {method: _paired(losses, scenario, method, CONTROL) for method in part.index}
        contest = pd.Series({method: gap for method, (gap, _) in gaps.items()}, dtype=float)
        contest = contest.drop([ORACLE, *SCALING], errors="ignore").dropna()
        best = contest.idxmin() if len(contest) else None
        for method in part.index:
            row = part.loc[method]
            gap, half = gaps[method]
            # Where the table says that naive and oracle are not told apart, there is no gap.
            closed = np.nan if pd.isna(row["gap closed"]) else 1.0
            closed *= _closed(losses, scenario, method)
            rows.append(
                {
                    "scenario": scenario,
                    "method": method,
                    "seeds": int(row["seeds"]),
                    "AUC": float(row["AUC, all"]),
                    "log loss": float(row[LOSS]),
                    "mean |relative bias|": float(row["|relative bias|, all"]),
                    "gap closed": float(closed),
                    "rank": float(contest.rank().get(method, np.nan)),
                    "regret": float(contest.get(method, np.nan) - contest.min()),
                    "best": method == best,
                    "minus control": gap,
                    "minus control, half width": half,
                    "seconds": float(row.get("seconds", np.nan)),
                }
            )
    by_scenario = pd.DataFrame(rows).set_index(["scenario", "method"])
    scenarios = by_scenario.index.unique("scenario")
    overall = []
    for method, part in by_scenario.drop(ORACLE, level="method", errors="ignore").groupby(
        "method", sort=False
    ):
        regrets = part["regret"].droplevel("method")
        if len(part) < len(scenarios) or regrets.isna().any():
            continue
        worse = part["minus control"] > part["minus control, half width"]
        overall.append(
            {
                "method": method,
                "mean regret": regrets.mean(),
                "worst regret": regrets.max(),
                "worst in": regrets.idxmax(),
                "mean rank": part["rank"].mean(),
                "mean |relative bias|": part["mean |relative bias|"].mean(),
                "best in": int(part["best"].sum()),
                "worse than the control in": int(worse.sum()),
                "seconds": part["seconds"].mean(),
            }
        )
    columns = list(overall[0]) if overall else ["method", "mean regret"]
    ordered = pd.DataFrame(overall, columns=columns).sort_values("mean regret", kind="stable")
    return ordered.set_index("method"), by_scenario


def without_standing(table: pd.DataFrame, standing: Iterable[str]) -> dict[str, str]:
    """Why a method has no standing, by its name; the oracle is no method.

    Args:
        table: What `summarise` makes of the cells.
        standing: The methods that have one.
    """
    found: dict[str, str] = {}
    for method in table.index.unique("method").drop([ORACLE, *standing], errors="ignore"):
        part = table.xs(method, level="method")
        failed = [scenario for scenario, row in part.iterrows() if row.get("errors")]
        if method in SCALING:
            found[method] = (
                "moves pCVR up or down in every scenario: where it is right is an accident"
            )
        elif part[LOSS].isna().all():
            found[method] = "an order and no probability"
        elif failed:
            found[method] = f"could not be fitted in {', '.join(failed)}"
        else:
            found[method] = "was not fitted in every scenario"
    return found


def conclusions(
    records: Sequence[Mapping[str, Any]], overall: pd.DataFrame, by_scenario: pd.DataFrame
) -> list[str]:
    """What a practitioner needs: where to start, and when to change."""
    if overall.empty:
        return ["No method was fitted in every scenario: nothing can be concluded."]
    start = overall.index[0]
    lead = overall.loc[start]
    lines = [
        f"Start with {start}: its mean regret in log loss, {_nats(lead['mean regret'])}, is the "
        f"least; its worst, {_nats(lead['worst regret'])}, is in {lead['worst in']}."
    ]
    if CONTROL in overall.index and start != CONTROL:
        lines.append(f"The control has {_nats(overall.loc[CONTROL, 'mean regret'])}.")
    losses, scenarios = _losses(records), by_scenario.index.unique("scenario")
    level = {s: _not_behind(losses, s, start, overall.index) for s in scenarios}
    lines.append(
        "Within noise of it in every scenario: "
        f"{_named(m for m in overall.index[1:] if all(m in level[s] for s in scenarios))}."
    )
    others, led = overall.index.drop(start), []
    error = 0.05 / max(len(others) * len(scenarios), 1)
    for scenario in scenarios:
        part = by_scenario.loc[scenario]
        ahead = {method: _paired(losses, scenario, start, method, error) for method in others}
        ahead = {m: gap for m, (gap, half) in ahead.items() if gap > half and gap > 0}
        if not ahead:
            led.append(scenario)
            continue
        best = max(ahead, key=lambda method: ahead[method])
        lines.append(
            f"{scenario}: change to {best}, which is ahead of it by {_nats(ahead[best])} and "
            f"closes {_share(part.loc[best, 'gap closed'])} of the gap between naive and "
            f"oracle to {_share(part.loc[start, 'gap closed'])}."
        )
    lines.append(
        f"Nobody is ahead of it by more than noise, all comparisons counted, in: {_named(led)}."
    )
    never = overall.index[overall["worse than the control in"] == 0].drop(CONTROL, errors="ignore")
    lines.append(f"Nowhere worse than the control by more than noise: {_named(never)}.")
    return lines


def _losses(records: Sequence[Mapping[str, Any]]) -> pd.Series:
    every = pd.DataFrame(records).set_index(["scenario", "method", "seed"])
    return every[LOSS].dropna().astype(float).sort_index()


def _paired(
    losses: pd.Series, scenario: str, method: str, other: str, error: float = 0.05
) -> tuple[float, float]:
    """Mean difference of two methods over the seeds they share, and half its t interval."""
    known = losses.index.droplevel("seed")
    if (scenario, method) not in known or (scenario, other) not in known:
        return float("nan"), float("nan")
    gap = (losses[scenario, method] - losses[scenario, other]).dropna()
    return float(gap.mean()), float(student.ppf(1 - error / 2, len(gap) - 1) * gap.sem())


def _closed(losses: pd.Series, scenario: str, method: str) -> float:
    """Share of the gap between naive and oracle that is closed, over the seeds of the method."""
    if not {(scenario, m) for m in (NAIVE, ORACLE, method)} <= set(losses.index.droplevel("seed")):
        return float("nan")
    naive, own, oracle = (losses[scenario, m] for m in (NAIVE, method, ORACLE))
    seeds = own.index.intersection(naive.index).intersection(oracle.index)
    return float((naive - own)[seeds].mean() / (naive - oracle)[seeds].mean())


def _not_behind(losses: pd.Series, scenario: str, start: str, methods: Iterable[str]) -> set[str]:
    """Methods whose log loss is within the noise of that of one of them."""
    gaps = {method: _paired(losses, scenario, method, start) for method in methods}
    return {method for method, (gap, half) in gaps.items() if abs(gap) <= half}


def _named(methods: Iterable[str]) -> str:
    return "; ".join(methods) or "none"  # a name may hold a comma


def _nats(value: float) -> str:
    return f"{1e3 * value:.2f} thousandths of a nat"


def _share(value: float) -> str:
    return "n/a" if pd.isna(value) else f"{value:.0%}"
