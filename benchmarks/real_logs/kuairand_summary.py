"""Tables and the figure of the KuaiRand study."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.lib.markdown import table
from benchmarks.lib.results_store import Result
from benchmarks.real_logs.kuairand_models import CONTROL, CONVERSIONS, INNER, MODELS, TEST, TRIED
from benchmarks.real_logs.kuairand_peers import PEERS
from mtl_seq.report.render.plot_bias import save

SPACES = {"CTR": "all", "CVR": "clicks", "CTCVR": "all"}
AUCS = [f"{name} AUC, {space}" for name, space in SPACES.items()]
LOSSES = [f"{name} log loss, {space}" for name, space in SPACES.items()]
PCOCS = [f"{name} PCOC, {space}" for name, space in SPACES.items()]
SHOWN = ("targeted", "targeted, one epoch", "targeted, tuned", f"{CONTROL}, tuned", "esmm, tuned")
IN_README = (CONTROL, "esmm", *SHOWN)
# To exceed by one recipe for both: the best AUC of CTR, CVR on clicks and CTCVR measured before
# with other systems and networks written by hand; then the largest distance of PCOC from 1.
GOALS = {"long_view": ((0.7236, 0.6352, 0.7224), 0.05), "is_like": ((0.7236, 0.7431, 0.7647), 0.15)}
MOST_SPREAD = 0.1


class Summary:
    """Test cells of one conversion in the order of the study, mean and deviation over seeds."""

    def __init__(self, result: Result, conversion: str) -> None:
        frame = pd.DataFrame(result.where(part=TEST, conversion=conversion))
        order = {name: place for place, name in enumerate((*MODELS, *PEERS))}
        frame = frame.sort_values("seed").sort_values(
            "model", key=lambda names: names.map(order), kind="stable"
        )
        self.result, self.conversion = result, conversion
        self.cells = frame.set_index(["model", "seed"])
        groups = self.cells[[*AUCS, *LOSSES, *PCOCS]].groupby("model", sort=False)
        self.mean, self.spread = groups.mean(), groups.std()

    def text(self, columns: Sequence[str], digits: int, spread: bool = True) -> pd.DataFrame:
        """Mean ± deviation; the mean alone for one fit."""
        return _text(self.mean[columns], self.spread[columns] if spread else None, digits)

    def areas(self) -> pd.DataFrame:
        """AUC of every model; the best of a column in bold."""
        shown = self.text(AUCS, 4)
        for column in AUCS:
            best = self.mean[column].idxmax()
            shown.loc[best, column] = f"**{shown.loc[best, column]}**"
        return named(shown)

    def calibration(self) -> pd.DataFrame:
        """Log loss, and PCOC: the mean prediction over the mean label."""
        return named(pd.concat([self.text(LOSSES, 4, spread=False), self.text(PCOCS, 2)], axis=1))

    def in_short(self) -> pd.DataFrame:
        """Our models, and of every other package the best by CTCVR."""
        peers = self.mean[self.mean.index.isin(PEERS)]
        packages = peers.index.map(lambda name: name.split(",")[0])
        best = peers.groupby(packages, sort=False)[AUCS[2]].idxmax()
        shown = self.text(AUCS, 4).loc[[*IN_README, *best]]
        shown["PCOC"] = self.mean[PCOCS].map("{:.2f}".format).agg(", ".join, axis=1)
        return named(shown)

    def goals(self, model: str) -> pd.DataFrame:
        """Every goal, its measured value, and whether it was reached."""
        aims, near = GOALS[self.conversion]
        mean, spread = self.mean.loc[model], self.spread.loc[model]
        rows = [
            (f"{name} above {aim:.4f}", f"{mean[name]:.4f}", mean[name] > aim)
            for name, aim in zip(AUCS, aims, strict=True)
        ]
        for name in PCOCS:
            reached = abs(mean[name] - 1) <= near, spread[name] < MOST_SPREAD
            rows += [
                (f"{name} within {near:.0%} of 1", f"{mean[name]:.3f}", reached[0]),
                (f"{name}, spread over seeds under {MOST_SPREAD}", f"{spread[name]:.3f}",
                 reached[1]),
            ]  # fmt: skip
        return pd.DataFrame(rows, columns=["goal", "value", "reached"]).set_index("goal")

    def sampling_errors(self) -> list[str]:
        """Standard errors of the control's AUCs from the number of test rows."""
        counts = self.result.metadata["rows, clicks, conversions"][f"{self.conversion}, test"]
        rows, clicks, conversions = counts
        cells = (
            (clicks, rows - clicks), (conversions, clicks - conversions),
            (conversions, rows - conversions),
        )  # fmt: skip
        return [
            f"{sampling_error(self.mean.loc[CONTROL, column], *pair):.4f}"
            for column, pair in zip(AUCS, cells, strict=True)
        ]


def _text(mean: pd.DataFrame, spread: pd.DataFrame | None, digits: int) -> pd.DataFrame:
    form = f"{{:.{digits}f}}".format
    text = mean.map(form)
    return text if spread is None else text + spread.map(
        lambda x: "" if pd.isna(x) else f" ± {form(x)}"
    )  # fmt: skip


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Our models' names as code."""
    return frame.rename(index={name: re.sub(r"^\w+", r"`\g<0>`", name) for name in MODELS})


def verdicts(result: Result, models: Sequence[str] = SHOWN) -> pd.DataFrame:
    """The goals of both conversions by model, with what was missed."""
    columns = {}
    for model in models:
        goals = pd.concat({name: Summary(result, name).goals(model) for name in GOALS})
        missed = goals["reached"].map({True: "", False: " **missed**"})
        columns[model] = goals["value"] + missed
    frame = named(pd.DataFrame(columns).T).T
    return frame.set_axis(frame.index.map(": ".join))


def by_epochs(result: Result) -> pd.DataFrame:
    """The control on the inner split, by the number of epochs and the smoothing."""
    groups = pd.DataFrame(result.where(part=INNER, model=CONTROL)).groupby(
        ["conversion", "settings"]
    )
    columns = [*AUCS, *LOSSES[:2]]
    shown = _text(groups[columns].mean(), groups[columns].std(), 4)
    best = groups["epoch kept"].agg(lambda x: ", ".join(map(str, x.astype(int))))
    frame = shown.assign(**{"epoch kept": best})
    frame = frame.loc[[(conversion, name) for conversion in CONVERSIONS for name in TRIED]]
    return frame.set_axis(frame.index.map(", ".join))


def settings(result: Result) -> pd.DataFrame:
    """Chosen settings of other packages."""
    columns = {
        name: Summary(result, name).cells["settings"].groupby("model", sort=False).first()
        for name in CONVERSIONS
    }
    frame = pd.DataFrame(columns)
    return frame[frame.index.isin(PEERS)]


def rows(result: Result) -> pd.DataFrame:
    """Rows, clicks and conversions of every part."""
    frame = pd.DataFrame(result.metadata["rows, clicks, conversions"]).T
    return frame.set_axis(["rows", "clicks", "conversions"], axis=1).map("{:,}".format)


def errors(result: Result) -> pd.DataFrame:
    """Sampling errors of both conversions."""
    lines = {f"`{name}`": Summary(result, name).sampling_errors() for name in CONVERSIONS}
    return pd.DataFrame(lines, index=AUCS).T


def sampling_error(area: float, positives: int, negatives: int) -> float:
    """Standard error of an AUC by its rows alone (Hanley and McNeil, 1982)."""
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (one - area**2)
    variance += (negatives - 1) * (two - area**2)
    return float(np.sqrt(variance / positives / negatives))


def in_readme(result: Result) -> str:
    """The README's tables."""
    return "\n\n".join(table(Summary(result, c).in_short(), f"`{c}`") for c in CONVERSIONS)


def draw(result: Result, path: Path) -> None:
    """Draw the AUC of every model, a point per seed and a line at the mean."""
    figure = Figure(figsize=(11, 9.5))
    grid = figure.subplots(2, 3, sharey=True)
    for line, conversion in zip(grid, CONVERSIONS, strict=True):
        frame = Summary(result, conversion).cells
        names = list(dict.fromkeys(frame.index.get_level_values("model")))
        for panel, column, aim in zip(line, AUCS, GOALS[conversion][0], strict=True):
            # A failed fit would squeeze all others: it is drawn at the edge.
            edge, most = frame[column].quantile(0.02), frame[column].max()
            margin = 0.05 * (most - edge)
            panel.set_xlim(edge - margin, most + margin)
            for place, name in enumerate(names):
                values = frame.loc[name, column]
                color = "#0072B2" if name in MODELS else "#E69F00"
                for marker, shown in (("o", values[values >= edge]), ("<", values[values < edge])):
                    panel.scatter(shown.clip(lower=edge), [place] * len(shown), color=color, s=16,
                                  alpha=0.6, marker=marker)  # fmt: skip
                if values.mean() >= edge:
                    panel.plot([values.mean()] * 2, [place - 0.3, place + 0.3], color="#222222")
            panel.axvline(aim, color="#5B5B5B", ls=":")
            panel.set_title(f"{conversion}: {column.replace(' AUC', '')}", fontsize=10)
            panel.spines[["top", "right"]].set_visible(False)
            panel.grid(axis="y", lw=0.3)
        line[0].set_yticks(range(len(names)), names, fontsize=8)
    grid[0, 0].invert_yaxis()  # shared by all
    for panel in grid[1]:
        panel.set_xlabel("AUC on the test days")
    figure.suptitle(
        "KuaiRand-Pure, test days: a point a seed, a line the mean; blue ours, orange others, "
        "dotted the goal\nall: all impressions; clicks: clicked ones; a triangle lies further left",
        y=0.95,
        fontsize=10,
    )
    save(figure, path)
