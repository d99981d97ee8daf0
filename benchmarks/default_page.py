"""The figures of docs/default.md, from the kept results of benchmarks/default.py and methods.py.

    python benchmarks/default_page.py

writes the tables anew between the page's marks and draws docs/default.png; a test holds the page to
them.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from default import GOALS, METHODS
from leaderboard_table import standings
from methods_table import draw, summarise
from pages import fill, markdown
from scipy.stats import t as student

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "default.md"
FIGURE = FOLDER.parent / "docs" / "default.png"
RESULTS = {name: FOLDER / "results" / f"{name}.json" for name in ("default", "methods")}
OURS, CONTROL, PUBLISHED = "default", "multitask", "ips"
SHOWN = 5
BIAS, LOSS = "relative bias, all", "log loss, all"
Record = Mapping[str, Any]


def read_kept() -> dict[str, Mapping[str, Any] | None]:
    """What RESULTS hold."""
    return {
        name: json.loads(path.read_text("utf-8")) if path.exists() else None
        for name, path in RESULTS.items()
    }


def records_of(kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cells under the names of benchmarks/methods.py; those that could not be fitted are left."""
    return [
        {**{k: v for k, v in cell.items() if k != "world"}, "scenario": cell["world"]}
        for cell in kept["cells"]
        if "error" not in cell
    ]


def figures(kept: Mapping[str, Mapping[str, Any] | None]) -> dict[str, str]:
    """Markdown by the name of its mark; what was not measured is said to be so."""
    own, every = kept["default"], kept["methods"]
    if own is None or every is None:
        names = ("setting", "goals", "measured", "regret", "control")
        return dict.fromkeys(names, "*Not measured yet: `python benchmarks/default.py`.*")
    records, ranks = records_of(own), regrets(every)
    trained, tested = own["settings"]["rows"], own["settings"]["test_rows"]
    rows = f"{trained:,} impressions trained on, {tested:,} measured on"
    said = [
        {"goal": goal, "found": found, "reached": "yes" if reached else "**no**"}
        for goal, found, reached in [*_of_all(ranks, records), *_of_worlds(records)]
    ]
    return {
        "setting": f"`{own['command']}`: {rows}; seeds {own['seeds']}.",
        "goals": markdown(pd.DataFrame(said).set_index("goal"), "goal"),
        "measured": measured(records),
        "regret": regret_table(ranks),
        "control": against_table(records),
    }


def regrets(every: Mapping[str, Any]) -> pd.DataFrame:
    """Standings of all methods in the five worlds of docs/methods.md."""
    cells = [cell for cell in every["cells"] if "error" not in cell]
    overall, _ = standings(cells, summarise(cells))
    return overall


def regret_table(ranks: pd.DataFrame) -> str:
    """The default, the best published methods, the control and ESMM."""
    published = [name for name in ranks.index if name != OURS][:SHOWN]
    names = list(dict.fromkeys([OURS, *published, CONTROL, "esmm"]))
    part = ranks.loc[names]
    table = pd.DataFrame(
        {
            "mean regret": part["mean regret"].map("{:.5f}".format),
            "worst regret": part["worst regret"].map("{:.5f}".format),
            "in": part["worst in"].map("`{}`".format),
        }
    )
    return markdown(table.rename("`{}`".format), "method")


def measured(records: Sequence[Record]) -> str:
    """A table a world that has a goal: means over the seeds."""
    table = summarise(records)
    blocks = []
    for world in GOALS:
        part = table.loc[world].reindex(METHODS)
        shown = pd.DataFrame(
            {
                "relative bias": [
                    f"{mean:+.1%} ± {sd:.1%}"
                    for mean, sd in zip(part[BIAS], part["sd of relative bias"], strict=True)
                ],
                "mean abs. bias": part["|relative bias|, all"].map("{:.1%}".format),
                "log loss": part[LOSS].map("{:.5f}".format),
                "gap closed": [f"{round(gap, 2) + 0.0:.0%}" for gap in part["gap closed"]],
                "AUC": part["AUC, all"].map("{:.4f}".format),
                "CTCVR AUC": part["CTCVR AUC, all"].map("{:.4f}".format),
            },
            index=part.index,
        )
        blocks.append(markdown(shown.rename("`{}`".format), world))
    return "\n\n".join(blocks)


def against(other: str, records: Sequence[Record]) -> pd.DataFrame:
    """Log loss of the default minus another's, by world, with half its 95% interval, paired."""
    every = pd.DataFrame(records).set_index(["scenario", "method", "seed"])[LOSS].sort_index()
    rows = {}
    worlds = dict.fromkeys(r["scenario"] for r in records if r["method"] == other)
    for world in worlds:
        gap = (every[world, OURS] - every[world, other]).dropna()
        half = student.ppf(0.975, len(gap) - 1) * gap.sem()
        rows[world] = {"gap": gap.mean(), "half": half, "seeds": len(gap)}
    return pd.DataFrame(rows).T


def unseen(records: Sequence[Record]) -> tuple[float, int]:
    """Mean over five worlds of the default's log loss minus `PUBLISHED`'s, on unseen seeds."""
    found = against(PUBLISHED, records)
    return float(found["gap"].mean()), int(found["seeds"].min())


def against_table(records: Sequence[Record]) -> str:
    """`against` the control and the published method, as a table."""
    columns = {}
    for other in (CONTROL, PUBLISHED):
        found = against(other, records)
        gaps = zip(found["gap"], found["half"], found["seeds"], strict=True)
        said = [f"{gap:+.5f} ± {half:.5f} ({seeds:.0f} seeds)" for gap, half, seeds in gaps]
        columns[f"minus `{other}`"] = pd.Series(said, index=found.index)
    return markdown(pd.DataFrame(columns), "log loss of the default")


def _of_all(ranks: pd.DataFrame, records: Sequence[Record]) -> list[tuple[str, str, bool]]:
    ours, others = ranks.loc[OURS, "mean regret"], ranks["mean regret"].drop(OURS)
    gaps = against(CONTROL, records)
    later, seeds = unseen(records)
    worlds, worse = len(gaps), gaps.index[gaps["gap"] > gaps["half"]]
    return [
        (
            "mean regret in five worlds below that of every other method (seeds 0 to 2)",
            f"{ours:.5f}; the best other, `{others.idxmin()}`, has {others.min():.5f}",
            bool(ours < others.min()),
        ),
        (
            f"the same on {seeds} seeds that it was not chosen on: below `{PUBLISHED}`",
            f"{later:+.5f} on average",
            later < 0,
        ),
        (
            "nowhere worse than the control by more than noise",
            f"{worlds - len(worse)} of {worlds} worlds" + "".join(f"; not in {w}" for w in worse),
            worse.empty,
        ),
    ]


def _of_worlds(records: Sequence[Record]) -> list[tuple[str, str, bool]]:
    table = summarise(records)
    limits = {
        "cvr_blind, rho .8": (0.05, 0.75),
        "cvr_blind, rho -.8": (0.05, 0.75),
        "sparse, rho .8": (0.15, 0.70),
        "low_overlap": (0.20, None),
    }
    found = []
    for world, (bias, gap) in limits.items():
        row = table.loc[(world, OURS)]
        off = row["|relative bias|, all"]
        found.append(
            (f"{world}: mean abs. bias at most {bias:.0%}", f"{off:.1%}", bool(off <= bias))
        )
        if gap is not None:
            closed = row["gap closed"]
            said = f"{closed:.0%}"
            found.append((f"{world}: at least {gap:.0%} of the gap", said, bool(closed >= gap)))
    for world in limits:
        ours, theirs = (table.loc[(world, m), "sd of relative bias"] for m in (OURS, "esmm"))
        found.append(
            (
                f"{world}: spread of the bias half of ESMM's",
                f"{ours:.1%} against {theirs:.1%}",
                bool(ours <= theirs / 2),
            )
        )
    return found


def main() -> int:
    kept = read_kept()
    fill(PAGE, figures(kept))
    own = kept["default"]
    if own is not None:
        shown = [r for r in records_of(own) if r["scenario"] in GOALS and r["method"] in METHODS]
        draw(summarise(shown), FIGURE, own["settings"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
