"""Standings, conclusions and page of benchmarks/leaderboard.py."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from methods_table import SCALING
from scipy.stats import t as student

__all__ = ["CONTROL", "NOISE", "conclusions", "page", "standings"]

CONTROL, NAIVE, ORACLE = "multitask", "click_space", "oracle"
NOISE = "a difference is noise where the 95% t interval of its mean over the seeds holds 0"
LOSS, BIAS = "log loss, all", "relative bias, all"


def standings(
    records: Sequence[Mapping[str, Any]], table: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Methods in the order of their mean regret, and every method in every scenario.

    The regret of a method in a scenario is its log loss over all impressions minus that of the best
    method there, in nats. Methods may have different seeds, and seeds are different worlds: log
    losses are compared by way of the control, seed by seed. The oracle competes with nobody, nor do
    methods that move pCVR up or down in every world, so that where they are right is an accident. A
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
        width, _ = _paired(losses, scenario, NAIVE, ORACLE)
        for method in part.index:
            row = part.loc[method]
            gap, half = gaps[method]
            # Where the table says that naive and oracle are not told apart, there is no gap.
            closed = np.nan if pd.isna(row["gap closed"]) else 1.0
            closed *= _paired(losses, scenario, NAIVE, method)[0] / width
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


def conclusions(
    records: Sequence[Mapping[str, Any]], overall: pd.DataFrame, by_scenario: pd.DataFrame
) -> list[str]:
    """What a practitioner needs: where to start, and when to change."""
    if overall.empty:
        return ["No method was fitted in every scenario: nothing can be concluded."]
    start = overall.index[0]
    lead = overall.loc[start]
    lines = [
        f"Start with {start}: its mean regret in log loss, {lead['mean regret']:.4f}, is the "
        f"least; its worst, {lead['worst regret']:.4f}, is in {lead['worst in']}."
    ]
    if CONTROL in overall.index and start != CONTROL:
        lines.append(f"The control has {overall.loc[CONTROL, 'mean regret']:.4f}.")
    losses, scenarios = _losses(records), by_scenario.index.unique("scenario")
    level = {s: _not_behind(losses, s, start, overall.index) for s in scenarios}
    lines.append(
        "Within noise of it in every world: "
        f"{_named(m for m in overall.index[1:] if all(m in level[s] for s in scenarios))}."
    )
    for scenario in scenarios:
        part = by_scenario.loc[scenario]
        ahead = {
            method: _paired(losses, scenario, start, method) for method in overall.index.drop(start)
        }
        ahead = {m: gap for m, (gap, half) in ahead.items() if gap > half and gap > 0}
        if ahead:
            best = max(ahead, key=lambda method: ahead[method])
            lines.append(
                f"{scenario}: change to {best}, which is ahead of it by {ahead[best]:.4f} and "
                f"closes {_share(part.loc[best, 'gap closed'])} of the gap between naive and "
                f"oracle to {_share(part.loc[start, 'gap closed'])}."
            )
        else:
            lines.append(
                f"{scenario}: nobody is ahead of it by more than noise; it closes "
                f"{_share(part.loc[start, 'gap closed'])} of the gap."
            )
    never = overall.index[overall["worse than the control in"] == 0].drop(CONTROL, errors="ignore")
    lines.append(f"Nowhere worse than the control by more than noise: {_named(never)}.")
    return lines


def page(made: Mapping[str, Any]) -> str:
    """One HTML file that needs nothing else."""
    overall = pd.DataFrame(made["standings"])
    every = pd.DataFrame(made["by scenario"])
    scenarios = list(dict.fromkeys(every["scenario"]))
    grids = "".join(
        f"<h2>{escape(title)}</h2>{_grid(every, column, scenarios, form)}"
        for title, column, form in (
            ("Log loss over all impressions, above the best of the scenario", "regret", "{:.4f}"),
            ("Mean |relative bias| over all impressions", "mean |relative bias|", "{:.0%}"),
            ("Share of the gap between naive and oracle that is closed", "gap closed", "{:.0%}"),
            ("AUC against the true CVR, over all impressions", "AUC", "{:.4f}"),
        )
    )
    said = "".join(f"<li>{escape(line)}</li>" for line in made["conclusions"])
    facts = (
        f"{made['scenarios']} named scenarios; {made['settings']['rows']:,} impressions trained "
        f"on. Checkpoint rule: {made['checkpoint_rule']}. {made['noise'].capitalize()}. Made by "
        f"{made['command']}; {made['cells left']} cells left."
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Leaderboard</title>"
        f"<style>{_STYLE}</style><h1>Leaderboard</h1><ul>{said}</ul><h2>Standings</h2>"
        f"{overall.to_html(index=False, float_format='{:.4f}'.format, na_rep='n/a', border=0)}"
        f"{grids}<p>{escape(facts)}</p></html>\n"
    )


_STYLE = (
    "body{font:14px sans-serif;margin:2em auto;max-width:80em;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2em .6em;text-align:right}"
    "th:first-child,td:first-child{text-align:left}tr:nth-child(even){background:#f5f5f5}"
)


def _grid(every: pd.DataFrame, column: str, scenarios: Sequence[str], form: str) -> str:
    methods = list(dict.fromkeys(every["method"]))
    values = every.pivot(index="method", columns="scenario", values=column)
    values = values.astype(float).reindex(index=methods, columns=list(scenarios))
    shown = values.rename_axis(index=None, columns=None)
    return str(shown.to_html(float_format=form.format, na_rep="n/a", border=0))


def _losses(records: Sequence[Mapping[str, Any]]) -> pd.Series:
    every = pd.DataFrame(records).set_index(["scenario", "method", "seed"])
    return every[LOSS].dropna().astype(float).sort_index()


def _paired(losses: pd.Series, scenario: str, method: str, other: str) -> tuple[float, float]:
    """Mean difference of two methods over the seeds they share, and half its 95% t interval."""
    known = losses.index.droplevel("seed")
    if (scenario, method) not in known or (scenario, other) not in known:
        return float("nan"), float("nan")
    gap = (losses[scenario, method] - losses[scenario, other]).dropna()
    return float(gap.mean()), float(student.ppf(0.975, len(gap) - 1) * gap.sem())


def _not_behind(losses: pd.Series, scenario: str, start: str, methods: Iterable[str]) -> set[str]:
    """Methods whose log loss is within the noise of that of one of them."""
    gaps = {method: _paired(losses, scenario, method, start) for method in methods}
    return {method for method, (gap, half) in gaps.items() if abs(gap) <= half}


def _named(methods: Iterable[str]) -> str:
    return "; ".join(methods) or "none"  # a name may hold a comma


def _share(value: float) -> str:
    return "n/a" if pd.isna(value) else f"{value:.0%}"
