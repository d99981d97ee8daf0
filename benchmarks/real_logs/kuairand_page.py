"""The figures of docs/kuairand.md, its picture, and the README's table, from the kept result.

    python benchmarks/real_logs/kuairand_page.py

writes them anew between the pages' marks; a test holds the pages to them.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kuairand import CONTROL, CONVERSIONS, INNER, MODELS, TEST, TRIED
from kuairand_peers import PEERS
from matplotlib.figure import Figure
from pages import fill, markdown

from mtl_seq.report.render.plot_bias import save

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "kuairand.md"
README = FOLDER.parent / "README.md"
FIGURE = FOLDER.parent / "docs" / "kuairand.png"
RESULT = FOLDER / "results" / "kuairand.json"
SPACES = {"CTR": "all", "CVR": "clicks", "CTCVR": "all"}
AUCS = [f"{name} AUC, {space}" for name, space in SPACES.items()]
LOSSES = [f"{name} log loss, {space}" for name, space in SPACES.items()]
PCOCS = [f"{name} PCOC, {space}" for name, space in SPACES.items()]
SHOWN = ("default", "default, one epoch", "default, tuned", f"{CONTROL}, tuned", "esmm, tuned")
IN_SHORT = (CONTROL, "esmm", *SHOWN)
# To be surpassed by one recipe for both: the best that was measured before with other systems and
# networks written by hand, CTR, CVR on clicks and CTCVR; then how near to 1 PCOC is to be.
GOALS = {"long_view": ((0.7236, 0.6352, 0.7224), 0.05), "is_like": ((0.7236, 0.7431, 0.7647), 0.15)}
MOST_SPREAD = 0.1
Content = Mapping[str, Any]


def tested(content: Content, conversion: str) -> pd.DataFrame:
    """Cells of the test part in the order of the study: a row a model and seed."""
    frame = pd.DataFrame(content["cells"])
    own = frame[(frame["part"] == TEST) & (frame["conversion"] == conversion)]
    order = {name: place for place, name in enumerate((*MODELS, *PEERS))}
    place = own["model"].map(order)
    return own.assign(place=place).sort_values(["place", "seed"]).set_index(["model", "seed"])


def summary(content: Content, conversion: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean and standard deviation over seeds."""
    groups = tested(content, conversion)[[*AUCS, *LOSSES, *PCOCS]].groupby("model", sort=False)
    return groups.mean(), groups.std()


def said(mean: pd.DataFrame, spread: pd.DataFrame, digits: int) -> pd.DataFrame:
    """Mean ± deviation; a mean alone where there is one fit."""
    form = f"{{:.{digits}f}}".format
    return mean.map(form) + spread.map(lambda x: "" if pd.isna(x) else f" ± {form(x)}")


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Our models' names as code."""
    return frame.rename(index={name: re.sub(r"^\w+", r"`\g<0>`", name) for name in MODELS})


def areas(content: Content, conversion: str) -> str:
    """AUC of every model; the best of a column in bold."""
    mean, spread = summary(content, conversion)
    shown = said(mean[AUCS], spread[AUCS], 4)
    for column in AUCS:
        best = mean[column].idxmax()
        shown.loc[best, column] = f"**{shown.loc[best, column]}**"
    return markdown(named(shown), f"`{conversion}`")


def calibration(content: Content, conversion: str) -> str:
    """Log loss, and the mean prediction over the mean label."""
    mean, spread = summary(content, conversion)
    shown = pd.concat([said(mean[LOSSES], spread[LOSSES] * np.nan, 4),
                       said(mean[PCOCS], spread[PCOCS], 2)], axis=1)  # fmt: skip
    return markdown(named(shown), f"`{conversion}`")


def goals(content: Content, model: str) -> pd.DataFrame | None:
    """Every goal, what was found, and whether it was reached; None where the model was not run."""
    lines = []
    for conversion, (aims, near) in GOALS.items():
        mean, spread = summary(content, conversion)
        if model not in mean.index:
            return None
        for column, aim in zip(AUCS, aims, strict=True):
            found = mean.loc[model, column]
            lines.append((conversion, f"{column} above {aim:.4f}", f"{found:.4f}", found > aim))
        for column in PCOCS:
            found = mean.loc[model, column]
            lines.append((conversion, f"{column} within {near:.0%} of 1", f"{found:.3f}",
                          abs(found - 1) <= near))  # fmt: skip
            found = spread.loc[model, column]
            lines.append((conversion, f"{column}, spread over seeds under {MOST_SPREAD}",
                          f"{found:.3f}", found < MOST_SPREAD))  # fmt: skip
    return pd.DataFrame(lines, columns=["conversion", "goal", "found", "reached"])


def verdicts(content: Content, shown: Sequence[str]) -> str:
    """The goals as a table: what each of some models came to, and where it fell short."""
    columns = {}
    for model in shown:
        table = goals(content, model)
        if table is not None:
            table = table.set_index(["conversion", "goal"])
            missed = table["reached"].map({True: "", False: " **missed**"})
            columns[model] = table["found"] + missed
    if not columns:
        return f"*Not run yet: {', '.join(shown)}.*"
    table = named(pd.DataFrame(columns).T).T
    table.index = table.index.map(": ".join)
    return markdown(table, "goal")


def by_epochs(content: Content) -> str:
    """The control on the inner split, by how many passes it makes."""
    frame = pd.DataFrame(content["cells"])
    own = frame[(frame["part"] == INNER) & (frame["model"] == CONTROL)]
    order = [(conversion, name) for conversion in CONVERSIONS for name in TRIED]
    groups = own.groupby(["conversion", "settings"])
    columns = [*AUCS, *LOSSES[:2]]
    shown = said(groups[columns].mean(), groups[columns].std(), 4)
    kept = groups["epoch kept"].agg(lambda x: ", ".join(map(str, x.astype(int))))
    table = shown.assign(**{"epoch kept": kept}).loc[order]
    table.index = table.index.map(", ".join)
    return markdown(table, "`multitask`, inner split")


def settings(content: Content) -> str:
    """What was chosen for other packages."""
    found = {
        conversion: tested(content, conversion)["settings"].groupby("model", sort=False).first()
        for conversion in CONVERSIONS
    }
    table = pd.DataFrame(found)
    return markdown(table[table.index.isin(PEERS)], "settings chosen on the inner split")


def rows(content: Content) -> str:
    """Rows, clicks and conversions of every part."""
    table = pd.DataFrame(content["rows, clicks, conversions"]).T
    table.columns = ["rows", "clicks", "conversions"]
    return markdown(table.map("{:,}".format), "part")


def sampling_error(area: float, positives: int, negatives: int) -> float:
    """Standard error of an AUC by its rows alone (Hanley and McNeil, 1982)."""
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (one - area**2)
    variance += (negatives - 1) * (two - area**2)
    return float(np.sqrt(variance / positives / negatives))


def errors(content: Content) -> str:
    """Standard errors of the control's AUCs from the number of test rows."""
    lines = {}
    for conversion in CONVERSIONS:
        mean, _ = summary(content, conversion)
        count, clicks, conversions = content["rows, clicks, conversions"][f"{conversion}, test"]
        cells = ((clicks, count - clicks), (conversions, clicks - conversions),
                 (conversions, count - conversions))  # fmt: skip
        lines[f"`{conversion}`"] = [
            f"{sampling_error(mean.loc[CONTROL, column], *pair):.4f}"
            for column, pair in zip(AUCS, cells, strict=True)
        ]
    table = pd.DataFrame(lines, index=AUCS).T
    return markdown(table, "standard error of a test AUC")


def figures(content: Content) -> dict[str, str]:
    """Markdown by the name of its mark."""
    blocks = {
        f"{name}_{conversion}": make(content, conversion)
        for conversion in CONVERSIONS
        for name, make in (("areas", areas), ("calibration", calibration))
    }
    return blocks | {
        "rows": rows(content),
        "errors": errors(content),
        "goals": verdicts(content, SHOWN),
        "epochs": by_epochs(content),
        "settings": settings(content),
    }


def in_short(content: Content) -> dict[str, str]:
    """The README's table: by conversion ours, and of every other package the best by CTCVR."""
    blocks = []
    for conversion in CONVERSIONS:
        mean, spread = summary(content, conversion)
        best: dict[str, str] = {}
        for name in mean.index[mean.index.isin(PEERS)]:
            package = name.split(",")[0]
            if package not in best or mean.loc[name, AUCS[2]] > mean.loc[best[package], AUCS[2]]:
                best[package] = name
        shown = said(mean[AUCS], spread[AUCS], 4).loc[[*IN_SHORT, *best.values()]]
        shown["PCOC"] = mean[PCOCS].map("{:.2f}".format).agg(", ".join, axis=1)
        blocks.append(markdown(named(shown), f"`{conversion}`"))
    return {"kuairand": "\n\n".join(blocks)}


def draw(content: Content, path: Path) -> None:
    """AUC of every model, a point a seed; bars of two standard errors around the control."""
    figure = Figure(figsize=(11, 9.5))
    grid = figure.subplots(2, 3, sharey=True)
    for line, conversion in zip(grid, CONVERSIONS, strict=True):
        frame = tested(content, conversion)
        names = list(dict.fromkeys(frame.index.get_level_values("model")))
        for panel, column, aim in zip(line, AUCS, GOALS[conversion][0], strict=True):
            # A fit that failed would squeeze all others: it is drawn at the edge.
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


def main() -> int:
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    fill(PAGE, figures(content))
    fill(README, in_short(content))
    draw(content, FIGURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
