"""The table and the figure of benchmarks/leaderboard/methods.py."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mtl_seq._files import atomic_path

__all__ = ["draw", "print_table", "summarise"]

NAIVE, ORACLE = "click_space", "oracle"
# Up or down by design, where nothing is wrong too.
SCALING = ("aman", "oversampling", "nise", "ddpo", "dcmt, prior 1")
_INK, _FAINT, _COLOUR, _CONTROL = "#222222", "#BBBBBB", "#0072B2", "#D55E00"
_LOW, _HIGH = -1.0, 1.0


def summarise(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per scenario and method: means over seeds, the spread of the bias, the gap closed.

    `gap closed` is the share of the entire-space log loss between the naive model and the oracle
    that a method closes; NaN where the two lie within two standard errors over the seeds, paired.
    """
    every = pd.DataFrame(records).set_index(["scenario", "method", "seed"])
    figures = every.select_dtypes("number")
    for name in ("relative bias, all", "log loss, all"):
        if name not in figures:  # rankers alone
            figures = figures.assign(**{name: np.nan})
    by = figures.groupby(["scenario", "method"], sort=False)
    table = by.mean()
    table["sd of relative bias"] = by["relative bias, all"].std()
    table["|relative bias|, all"] = (
        figures["relative bias, all"].abs().groupby(["scenario", "method"], sort=False).mean()
    )
    table["biases"] = by["relative bias, all"].agg(list)
    table["seeds"] = by.size()
    if "error" in every:
        table["errors"] = every.groupby(["scenario", "method"], sort=False)["error"].agg(
            lambda found: list(found.dropna())
        )
    table["gap closed"] = np.nan
    for scenario in table.index.unique("scenario"):
        losses = figures.loc[scenario]["log loss, all"]
        methods = losses.index.unique("method")
        if NAIVE not in methods or ORACLE not in methods:
            continue
        width = (losses[NAIVE] - losses[ORACLE]).dropna()
        if len(width) > 1 and width.mean() < 2 * width.sem():
            continue
        closed = (losses[NAIVE].mean() - losses.groupby("method").mean()) / width.mean()
        for method in methods:
            table.loc[(scenario, method), "gap closed"] = closed[method]
    return table


def print_table(table: pd.DataFrame, settings: Mapping[str, int]) -> None:
    """The table by scenario, and what it says of the claims."""
    shown = [
        "AUC, all",
        "log loss, all",
        "relative bias, all",
        "sd of relative bias",
        "gap closed",
        "AUC, clicks",
        "relative bias, clicks",
        "effective_size",
        "clipped_share",
        "largest_share",
    ]
    for scenario in table.index.unique("scenario"):
        part = table.loc[scenario]
        print(f"\n{scenario}: {settings['rows']:,} impressions, {int(part['seeds'].max())} seeds")
        columns = [column for column in shown if column in part]
        print(part[columns].to_string(float_format=lambda x: f"{x:.4f}", na_rep="n/a"))
    print()
    for line in (*verdicts(table), *failures(table)):
        print(line)


def verdicts(table: pd.DataFrame) -> list[str]:
    """What the literature and this package say, held to the table."""
    return [*_ordering(table), *_repair(table), *_hidden(table)]


def _ordering(table: pd.DataFrame) -> list[str]:
    order = [("sparse", name) for name in ("click_space", "esmm_ns", "esmm")]
    if not all(place in table.index for place in order):
        return []
    found = [float(table.loc[place, "AUC, clicks"]) for place in order]
    said = ", ".join(f"{name} {value:.4f}" for (_, name), value in zip(order, found, strict=True))
    verdict = "holds" if found == sorted(found) else "does not hold"
    return [f"sparse: naive < ESMM-NS < ESMM in AUC on clicks {verdict}: {said}"]


def _repair(table: pd.DataFrame) -> list[str]:
    lines = []
    for method, share in (("escm2_dr", 1 / 3), ("escm2_ips", 1 / 2)):
        places = [("cvr_blind", method), ("cvr_blind", "esmm")]
        if all(place in table.index for place in places):
            one, other = (table.loc[place, "|relative bias|, all"] for place in places)
            verdict = "holds" if one <= share * other else "does not hold"
            lines.append(
                f"cvr_blind: {method} has at most {share:.2f} of ESMM's mean |relative bias| over "
                f"all impressions {verdict}: {one / other:.2f}"
            )
    return lines


def _hidden(table: pd.DataFrame) -> list[str]:
    """Methods that scale pCVR, whatever the scenario, are right there by accident, and left out."""
    if "hidden" not in table.index:
        return []
    part = table.loc["hidden"].drop([ORACLE, *SCALING], errors="ignore")
    bias = part["|relative bias|, all"].dropna()
    if bias.empty:
        return []
    ceiling = float(part["relative bias of P(r | x, click), all"].mean())
    verdict = "holds" if bias.min() >= ceiling / 2 else "does not hold"
    return [
        f"hidden: no method has less than half the bias of P(r | x, click), {ceiling:+.1%}, over "
        f"all impressions, those left out that scale pCVR in every scenario, {verdict}: least has "
        f"{bias.idxmin()}, {bias.min():.1%}"
    ]


def failures(table: pd.DataFrame) -> list[str]:
    """Cells that had too little to train on."""
    if "errors" not in table:
        return []
    return [
        f"{scenario}, {method}: {error}"
        for (scenario, method), errors in table["errors"].items()
        for error in errors
    ]


def draw(table: pd.DataFrame, path: Path, settings: Mapping[str, int]) -> None:
    """Relative bias over all impressions: a panel a scenario, a row a method, a dot a seed."""
    scenarios = list(table.index.unique("scenario"))
    probable = table.dropna(subset=["relative bias, all"])
    methods = list(dict.fromkeys(probable.index.get_level_values("method")))
    figure = Figure(figsize=(2.2 + 2.3 * len(scenarios), 1.5 + 0.24 * len(methods)))
    every = figure.subplots(1, len(scenarios), sharey=True, squeeze=False)[0]
    for axes, scenario in zip(every, scenarios, strict=True):
        _panel(axes, probable.loc[scenario], methods)
        axes.set_title(scenario, loc="left")
        axes.set_xlabel("relative bias of pCVR")
    every[0].set_yticks(range(len(methods)), methods)
    every[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.suptitle(
        f"Bias of predicted CVR over all impressions; {settings['rows']:,} impressions trained on. "
        "Dot: a seed, bar: their mean; orange: naive and ESMM",
        x=0.01, ha="left", fontsize=10,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    with atomic_path(path) as aside:
        figure.savefig(aside, dpi=130, bbox_inches="tight")


def _panel(axes: Axes, part: pd.DataFrame, methods: Sequence[str]) -> None:
    for row, method in enumerate(methods):
        if method not in part.index:
            continue
        biases = np.array(part.loc[method, "biases"], dtype=float)
        colour = _CONTROL if method in (NAIVE, "esmm") else _COLOUR
        shown = np.clip(biases, _LOW, _HIGH)
        axes.plot(shown, [row] * len(shown), "o", ms=3.5, color=colour, alpha=0.55, mew=0)
        mean = biases.mean()
        axes.plot([np.clip(mean, _LOW, _HIGH)], [row], "|", ms=9, mew=2, color=colour)
        if mean > _HIGH:
            axes.annotate(
                f"{mean:+.0%} ▸", (_HIGH, row), xytext=(-5, 0), textcoords="offset points",
                ha="right", va="center", fontsize=7, color=_INK,
            )  # fmt: skip
    axes.axvline(0, color=_INK, lw=1)
    axes.set_xlim(_LOW * 1.06, _HIGH * 1.06)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color=_FAINT, lw=0.4)
    axes.set_axisbelow(True)
