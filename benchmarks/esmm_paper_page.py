"""The tables and the figure of benchmarks/esmm_paper.py.

    python benchmarks/esmm_paper_page.py

writes them anew between the marks of docs/esmm_paper.md; a test holds the page to them.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pages import filled, markdown
from study import Pair, compared, pair_of

RESULT = Path(__file__).parent / "results" / "esmm_paper.json"
PAGE = Path(__file__).parents[1] / "docs" / "esmm_paper.md"
BASE = "BASE"
CLICKS, COMMON, ALL = "AUC, clicks", "CTCVR AUC, common pCTR, all", "AUC, all"
OWN, LOSS, BIAS = "CTCVR AUC, all", "log loss, all", "relative bias, all"
# Ma et al. (2018), table 2, Ali-CCP: CVR AUC on clicks and CTCVR AUC on all impressions, times 100.
PAPER = {
    BASE: (66.00, 62.07),
    "AMAN": (65.21, 63.53),
    "OVERSAMPLING": (67.18, 63.05),
    "UNBIAS": (66.65, 63.56),
    "DIVISION": (67.56, 63.62),
    "ESMM-NS": (68.25, 64.44),
    "ESMM": (68.56, 65.32),
}
ORDER = (*PAPER, "control", "oracle")
WORLDS = ("sparse", "aliccp")
PAIRS = (("ESMM-NS", BASE), ("control", BASE), ("ESMM", BASE), ("ESMM", "ESMM-NS"))
PAIRS += (("ESMM", "control"),)
Records = Sequence[Mapping[str, Any]]


class Table:
    """Figures by world, method and seed; AUC in points, as the paper has them."""

    def __init__(self, records: Records) -> None:
        frame = pd.DataFrame(records)
        self.frame = frame.set_index(["world", "method", "seed"]).sort_index()
        self.worlds = [name for name in WORLDS if name in set(frame["world"])]
        self.methods = [name for name in ORDER if name in set(frame["method"])]

    def of(self, world: str, figure: str) -> pd.Series:
        """By method and seed; AUC times 100."""
        values: pd.Series = self.frame.loc[world][figure].astype(float)
        return 100 * values if "AUC" in figure else values

    def mean(self, world: str, figure: str, method: str) -> Pair:
        """Over the seeds."""
        return pair_of(self.of(world, figure)[method])

    def gap(self, world: str, figure: str, method: str, other: str = BASE) -> Pair:
        """A method minus another, paired over the seeds."""
        return compared(self.of(world, figure), method, other)

    def seeds(self, world: str) -> int:
        """Seeds that every method has."""
        return int(self.frame.loc[world].groupby("method").size().min())

    def count(self, world: str, what: str) -> float:
        """Mean clicks or conversions of the training log."""
        return float(self.frame.loc[world][what].mean())


def published(method: str, place: int) -> float | None:
    """The paper's gap to BASE, in points."""
    return None if method not in PAPER else round(PAPER[method][place] - PAPER[BASE][place], 2)


def blocks(records: Records, content: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of its mark."""
    table = Table(records)
    found = {"setting": setting(table, content)}
    for world in table.worlds:
        found[f"clicks {world}"] = markdown(as_the_paper(table, world), f"`{world}`")
        found[f"truth {world}"] = markdown(the_truth(table, world), f"`{world}`")
    found["pairs"] = markdown(pairs(table), "AUC points")
    return found


def setting(table: Table, content: Mapping[str, Any]) -> str:
    """What was drawn."""
    parts = []
    for world in table.worlds:
        rows = content["settings"]["rows"][world]
        parts.append(
            f"`{world}`: {table.seeds(world)} seeds of {rows:,} impressions, which hold about "
            f"{table.count(world, 'clicks'):,.0f} clicks and "
            f"{table.count(world, 'conversions'):,.0f} conversions"
        )
    test = content["settings"]["test_rows"]
    return f"{'; '.join(parts)}; {test:,} test impressions. {content['versions']}."


def as_the_paper(table: Table, world: str) -> pd.DataFrame:
    """Both of the paper's figures, and the gap to BASE beside the published one."""
    rows = {}
    for method in table.methods:
        row = {}
        for place, (title, figure) in enumerate(
            (("CVR AUC, clicks", CLICKS), ("CTCVR AUC, all, common pCTR", COMMON))
        ):
            row[title] = f"{table.mean(world, figure, method).mean:.2f}"
            gap, theirs = table.gap(world, figure, method), published(method, place)
            row[f"minus BASE {'I' * (place + 1)}"] = "" if method == BASE else gap.said("+.2f")
            row[f"paper {'I' * (place + 1)}"] = (
                "" if theirs is None or method == BASE else f"{theirs:+.2f}"
            )
        rows[method] = row
    frame = pd.DataFrame(rows).T
    return frame.rename(columns=lambda name: name.removesuffix(" II").removesuffix(" I"))


def the_truth(table: Table, world: str) -> pd.DataFrame:
    """Of pCVR over all impressions, held to the true CVR."""
    rows = {}
    for method in table.methods:
        base = method == BASE
        loss = table.gap(world, LOSS, method)
        thousandths = Pair(1000 * loss.mean, 1000 * loss.error, loss.seeds)
        rows[method] = {
            "CVR AUC, all": f"{table.mean(world, ALL, method).mean:.2f}",
            "minus BASE": "" if base else table.gap(world, ALL, method).said("+.2f"),
            "log loss, all": f"{table.mean(world, LOSS, method).mean:.5f}",
            "minus BASE, nats / 1000": "" if base else thousandths.said("+.2f"),
            "relative bias, all": table.mean(world, BIAS, method).said("+.1%"),
            "CTCVR AUC, all, own pCTR": f"{table.mean(world, OWN, method).mean:.2f}",
        }
    return pd.DataFrame(rows).T


def pairs(table: Table) -> pd.DataFrame:
    """What sharing and the entire-space losses are worth, one at a time."""
    rows = {}
    for method, other in PAIRS:
        row = {}
        for world in table.worlds:
            for title, figure in (("clicks", CLICKS), ("all", ALL), ("CTCVR", COMMON)):
                row[f"`{world}`, {title}"] = table.gap(world, figure, method, other).said("+.2f")
        rows[f"{method} - {other}"] = row
    return pd.DataFrame(rows).T


def gaps_figure(records: Records) -> Figure:
    """Gaps to BASE: the paper's two figures with the published gaps, and what is true."""
    table = Table(records)
    methods = [method for method in table.methods if method != BASE]
    columns = (
        ("CVR AUC on clicks,\npoints above BASE", CLICKS, 0),
        ("CTCVR AUC, all impressions,\ncommon pCTR, points above BASE", COMMON, 1),
        ("CVR AUC, all impressions,\npoints above BASE", ALL, None),
        ("log loss of pCVR, all impressions,\nminus that of BASE (left is better)", LOSS, None),
    )
    figure = Figure(figsize=(12.5, 1.2 + 2.9 * len(table.worlds)), layout="constrained")
    axes = figure.subplots(len(table.worlds), len(columns), sharey=True, squeeze=False)
    for row, world in enumerate(table.worlds):
        for column, (title, name, place) in enumerate(columns):
            panel = axes[row, column]
            gaps = [table.gap(world, name, method) for method in methods]
            theirs = [None if place is None else published(m, place) for m in methods]
            _panel(panel, methods, gaps, theirs)
            panel.set_xlabel(title, fontsize=8.5)
        axes[row, 0].set_ylabel(f"{world}, {table.seeds(world)} seeds", fontsize=10)
        axes[row, 0].set_yticks(range(len(methods)), methods, fontsize=9)
    axes[0, 0].set_ylim(len(methods) - 0.5, -0.5)
    figure.suptitle(
        "The ESMM paper's comparison where the true CVR is known. Dot and line: mean paired "
        "difference to BASE, two standard errors; cross: the paper's",
        fontsize=10.5,
    )
    return figure


def _panel(
    axes: Axes, methods: Sequence[str], gaps: Sequence[Pair], theirs: Sequence[float | None]
) -> None:
    for place, (method, gap, paper) in enumerate(zip(methods, gaps, theirs, strict=True)):
        colour = "#D55E00" if method in ("control", "oracle") else "#0072B2"
        if gap.seeds > 1:
            axes.plot(
                [gap.mean - 2 * gap.error, gap.mean + 2 * gap.error], [place, place],
                color=colour, lw=1.6,
            )  # fmt: skip
        axes.plot(gap.mean, place, "o", color=colour, ms=5)
        if paper is not None:
            axes.plot(paper, place, "x", color="#222222", ms=6, mew=1.6)
    axes.axvline(0, color="#222222", lw=1)
    axes.grid(axis="x", color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def print_tables(records: Records) -> None:
    """The paper's two figures, and the truth."""
    table = Table(records)
    for world in table.worlds:
        print(f"\n{world}, {table.seeds(world)} seeds\n{as_the_paper(table, world).to_string()}")
        print(the_truth(table, world).to_string())
    print(pairs(table).to_string())


def main() -> int:
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page, blocks(content["cells"], content)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
