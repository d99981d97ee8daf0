"""Standings of the leaderboard: regret by scenario, paired intervals, and conclusions."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.leaderboard.summary import NAIVE, ORACLE, SCALING, summarise
from benchmarks.lib.metrics import Pair, pair_of
from benchmarks.lib.results_store import read

__all__ = ["CONTROL", "NOISE", "Board", "board", "kept_board"]

CONTROL, TARGETED = "multitask", "targeted"
NOISE = (
    "A difference is noise where its 95% t interval over the seeds contains 0; a change is advised "
    "only where the interval, with the Bonferroni correction for every method and scenario "
    "compared, excludes 0"
)
LOSS = "log loss, all"
Records = Sequence[Mapping[str, Any]]


class Board(NamedTuple):
    """The leaderboard.

    Attributes:
        overall: Methods in the order of their mean regret.
        by_scenario: Every method in every scenario.
        absent: Why a method has no standing, by its name.
        conclusions: Where to start, and when to change.
    """

    overall: pd.DataFrame
    by_scenario: pd.DataFrame
    absent: dict[str, str]
    conclusions: list[str]

    @property
    def scenarios(self) -> list[str]:
        """In the order of the cells."""
        return list(self.by_scenario.index.unique("scenario"))

    @property
    def methods(self) -> list[str]:
        """Those with a standing first."""
        return list(dict.fromkeys([*self.overall.index, *self.by_scenario.index.unique("method")]))

    @property
    def seeds(self) -> pd.Series:
        """Least number of seeds of each method."""
        return self.by_scenario.groupby("method", sort=False)["seeds"].min()

    @property
    def seeds_text(self) -> str:
        """How many seeds the methods have."""
        least = self.seeds
        parts = [
            f"{n} seeds ({', '.join(part.index) if n != least.min() else 'every other method'})"
            for n, part in sorted(least.groupby(least), reverse=True)
        ]
        return "; ".join(parts) if len(parts) > 1 else f"{least.min()} seeds"

    @property
    def leading(self) -> list[str]:
        """The six methods of least mean regret and those to compare with."""
        others = (TARGETED, CONTROL, NAIVE, "esmm")
        return list(dict.fromkeys([*self.overall.index[:6], *others]))

    def rivals(self, count: int) -> list[str]:
        """The best methods but for `targeted`, the control and ESMM."""
        return [m for m in self.overall.index if m not in (TARGETED, CONTROL, "esmm")][:count]


@functools.cache
def kept_board() -> Board:
    """Of the kept leaderboard."""
    return board(read("leaderboard").cells)


def board(records: Records) -> Board:
    """Compute the standings of some cells.

    The regret of a method in a scenario is its log loss over all impressions minus that of the best
    method there, in nats. Methods may have different seeds, and seeds are different scenarios: log
    losses are compared through the control, seed by seed. The oracle is no contestant, and methods
    that only rescale pCVR are excluded. A method without probabilities, or with a scenario that it
    could not be fitted in, has no standing.
    """
    table = summarise(records)
    losses = _losses(records)
    by_scenario = pd.concat(
        [_in_scenario(losses[s], table.loc[[s]]) for s in table.index.unique("scenario")]
    )
    overall = _overall(by_scenario)
    return Board(
        overall.round(5),
        by_scenario.round(5),
        _absent(table, overall.index),
        _conclusions(losses, overall, by_scenario),
    )


def _in_scenario(losses: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Every method of one scenario."""
    gaps = {m: _gap(losses, m, CONTROL) for _, m in table.index}
    contest = pd.Series({method: gap.mean for method, gap in gaps.items()}, dtype=float)
    contest = contest.drop([ORACLE, *SCALING], errors="ignore").dropna()
    best = contest.idxmin() if len(contest) else None
    rows = {}
    for at, row in table.iterrows():
        method = at[1]
        # Without a gap between naive and oracle beyond noise, there is nothing to close.
        closed = np.nan if pd.isna(row["gap closed"]) else _closed(losses, method)
        rows[at] = {
            "seeds": int(row["seeds"]),
            "AUC": float(row["AUC, all"]),
            "log loss": float(row[LOSS]),
            "mean |relative bias|": float(row["|relative bias|, all"]),
            "gap closed": closed,
            "rank": contest.rank().get(method, np.nan),
            "regret": contest.get(method, np.nan) - contest.min(),
            "best": method == best,
            "minus control": gaps[method].mean,
            "minus control, half width": gaps[method].half_width(),
            "seconds": row.get("seconds", np.nan),
        }
    found = pd.DataFrame.from_dict(rows, orient="index")
    found.index = table.index
    return found


def _overall(by_scenario: pd.DataFrame) -> pd.DataFrame:
    scenarios = by_scenario.index.unique("scenario")
    rows = {}
    contestants = by_scenario.drop(ORACLE, level="method", errors="ignore")
    for method, part in contestants.groupby("method", sort=False):
        regrets = part["regret"].droplevel("method")
        if len(part) < len(scenarios) or regrets.isna().any():
            continue
        rows[method] = {
            "mean regret": regrets.mean(),
            "worst regret": regrets.max(),
            "worst in": regrets.idxmax(),
            "mean rank": part["rank"].mean(),
            "mean |relative bias|": part["mean |relative bias|"].mean(),
            "best in": int(part["best"].sum()),
            "worse than the control in": int(
                (part["minus control"] > part["minus control, half width"]).sum()
            ),
            "seconds": part["seconds"].mean(),
        }
    overall = pd.DataFrame.from_dict(rows, orient="index")
    return overall.sort_values("mean regret", kind="stable") if rows else overall


def _absent(table: pd.DataFrame, standing: Iterable[str]) -> dict[str, str]:
    """Why a method has no standing; the oracle is not listed."""
    found: dict[str, str] = {}
    for method in table.index.unique("method").drop([ORACLE, *standing], errors="ignore"):
        part = table.xs(method, level="method")
        failed = [scenario for scenario, row in part.iterrows() if row.get("errors")]
        if method in SCALING:
            found[method] = "only rescales pCVR: where it is right is an accident"
        elif part[LOSS].isna().all():
            found[method] = "an order and no probability"
        elif failed:
            found[method] = f"could not be fitted in {', '.join(failed)}"
        else:
            found[method] = "was not fitted in every scenario"
    return found


def _conclusions(
    losses: Mapping[str, pd.DataFrame], overall: pd.DataFrame, by_scenario: pd.DataFrame
) -> list[str]:
    if overall.empty:
        return ["No method was fitted in every scenario: nothing can be concluded."]
    start, scenarios = overall.index[0], by_scenario.index.unique("scenario")
    lead, others = overall.loc[start], overall.index[1:]
    lines = [
        f"Start with {start}: its mean regret in log loss, {_nats(lead['mean regret'])}, is the "
        f"least; its worst, {_nats(lead['worst regret'])}, is in {lead['worst in']}."
    ]
    if CONTROL in others:
        lines.append(f"The control has {_nats(overall.loc[CONTROL, 'mean regret'])}.")
    gaps = {(s, m): _gap(losses[s], start, m) for s in scenarios for m in others}
    level = (m for m in others if all(_within(gaps[s, m], 0.05) for s in scenarios))
    lines.append(f"Within noise of it in every scenario: {_named(level)}.")
    led, error = [], 0.05 / max(len(others) * len(scenarios), 1)
    for scenario in scenarios:
        ahead = {
            method: gaps[scenario, method].mean
            for method in others
            if gaps[scenario, method].mean > max(gaps[scenario, method].half_width(error), 0)
        }
        if not ahead:
            led.append(scenario)
            continue
        best = max(ahead, key=lambda method: ahead[method])
        closed = by_scenario.loc[scenario, "gap closed"]
        lines.append(
            f"{scenario}: change to {best}, which is ahead of it by {_nats(ahead[best])} and "
            f"closes {_share(closed[best])} of the gap between naive and oracle to "
            f"{_share(closed[start])}."
        )
    lines.append(f"No method is significantly ahead of it (Bonferroni) in: {_named(led)}.")
    never = overall.index[overall["worse than the control in"] == 0].drop(CONTROL, errors="ignore")
    lines.append(f"Nowhere worse than the control by more than noise: {_named(never)}.")
    return lines


def _losses(records: Records) -> dict[str, pd.DataFrame]:
    """Log loss by scenario: a row per seed, a column per method."""
    every = pd.DataFrame(records).pivot(index=["scenario", "seed"], columns="method", values=LOSS)
    return {scenario: every.loc[scenario] for scenario in every.index.unique("scenario")}


def _gap(losses: pd.DataFrame, method: str, other: str) -> Pair:
    """A method minus another, paired over the seeds that both have."""
    if not {method, other} <= set(losses):
        return Pair(float("nan"), float("nan"), 0)
    return pair_of(losses[method] - losses[other])


def _within(gap: Pair, error: float) -> bool:
    return abs(gap.mean) <= gap.half_width(error)


def _closed(losses: pd.DataFrame, method: str) -> float:
    """Fraction of the gap between naive and oracle that is closed, over the method's seeds."""
    part = losses.reindex(columns=[NAIVE, method, ORACLE]).to_numpy(float)
    naive, model, oracle = part[~np.isnan(part).any(axis=1)].T
    return float((naive - model).mean() / (naive - oracle).mean()) if len(part) else float("nan")


def _named(methods: Iterable[str]) -> str:
    return "; ".join(methods) or "none"  # a name may hold a comma


def _nats(value: float) -> str:
    return f"{1e3 * value:.2f} thousandths of a nat"


def _share(value: float) -> str:
    return "n/a" if pd.isna(value) else f"{value:.0%}"


def regret_shade(value: float) -> float:
    """Colour of a regret in thousandths of a nat: logarithmic from .5 (noise) to 30."""
    return math.log1p(max(value, 0) / 0.5) / math.log1p(30 / 0.5)
