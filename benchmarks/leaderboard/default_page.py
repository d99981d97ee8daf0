"""The figures of docs/default.md, from what benchmarks/leaderboard/default.py and leaderboard.py have kept.

    python benchmarks/leaderboard/default_page.py

writes the tables anew between the page's marks and draws docs/default.png; a test holds the page to
them.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from default import FIRST_SEED, GOALS, METHODS
from leaderboard_table import standings
from methods_table import draw, summarise
from pages import fill, markdown
from scipy.stats import t as student

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "default.md"
FIGURE = FOLDER.parent / "docs" / "default.png"
RESULTS = {
    "default": FOLDER / "results" / "default.json",
    "leaderboard": FOLDER / "results" / "leaderboard_cells.json",
}
OURS, CONTROL = "default", "multitask"
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
    """Cells under the names of benchmarks/leaderboard/methods.py; those that could not be fitted are left."""
    return [
        {**{k: v for k, v in cell.items() if k != "scenario"}, "scenario": cell["scenario"]}
        for cell in kept["cells"]
        if "error" not in cell
    ]


def figures(kept: Mapping[str, Mapping[str, Any] | None]) -> dict[str, str]:
    """Markdown by the name of its mark; what was not measured is said to be so."""
    own, every = kept["default"], kept["leaderboard"]
    if own is None or every is None:
        names = ("setting", "goals", "measured", "regret", "control")
        return dict.fromkeys(
            names, "*Not measured yet: `python benchmarks/leaderboard/default.py`.*"
        )
    records, cells = records_of(own), fitted(every)
    trained, tested = own["settings"]["rows"], own["settings"]["test_rows"]
    rows = f"{trained:,} impressions trained on, {tested:,} measured on"
    said = [
        {"goal": goal, "found": found, "reached": "yes" if reached else "**no**"}
        for goal, found, reached in [*_of_all(cells, records), *_of_scenarios(records)]
    ]
    return {
        "setting": f"`{own['command']}`: {rows}; seeds {own['seeds']}.",
        "goals": markdown(pd.DataFrame(said).set_index("goal"), "goal"),
        "measured": measured(records),
        "regret": regret_table(regrets(unseen(cells))),
        "control": against_table(unseen(cells), records),
    }


def fitted(every: Mapping[str, Any]) -> list[Record]:
    """The leaderboard's cells; those that could not be fitted are left."""
    return [cell for cell in every["cells"] if "error" not in cell]


def unseen(cells: Sequence[Record]) -> list[Record]:
    """Cells of seeds that the recipe was not chosen on, of methods that have all of those seeds."""
    later = pd.DataFrame([cell for cell in cells if cell["seed"] >= FIRST_SEED])
    seeds = later.groupby("method")["seed"].nunique()
    whole = set(seeds.index[seeds == seeds.max()])
    return [cell for cell in cells if cell["seed"] >= FIRST_SEED and cell["method"] in whole]


def regrets(cells: Sequence[Record]) -> pd.DataFrame:
    """Standings of the methods of some cells."""
    overall, _ = standings(cells, summarise(cells))
    return overall


def rival(cells: Sequence[Record]) -> str:
    """The method of least mean regret but for the default."""
    return str(regrets(cells).index.drop(OURS)[0])


def regret_table(ranks: pd.DataFrame) -> str:
    """Mean and worst regret of every method."""
    table = pd.DataFrame(
        {
            "mean regret": ranks["mean regret"].map("{:.5f}".format),
            "worst regret": ranks["worst regret"].map("{:.5f}".format),
            "in": ranks["worst in"].map("`{}`".format),
        }
    )
    return markdown(table.rename("`{}`".format), "method")


def measured(records: Sequence[Record]) -> str:
    """A table a scenario that has a goal: means over the seeds."""
    table = summarise(records)
    blocks = []
    for scenario in GOALS:
        part = table.loc[scenario].reindex(METHODS)
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
        blocks.append(markdown(shown.rename("`{}`".format), scenario))
    return "\n\n".join(blocks)


def against(other: str, records: Sequence[Record]) -> pd.DataFrame:
    """Log loss of the default minus another's, by scenario, with half its 95% interval, paired."""
    every = pd.DataFrame(records).set_index(["scenario", "method", "seed"])[LOSS].sort_index()
    rows = {}
    scenarios = dict.fromkeys(r["scenario"] for r in records if r["method"] == other)
    for scenario in scenarios:
        gap = (every[scenario, OURS] - every[scenario, other]).dropna()
        half = student.ppf(0.975, len(gap) - 1) * gap.sem()
        rows[scenario] = {"gap": gap.mean(), "half": half, "seeds": len(gap)}
    return pd.DataFrame(rows).T


def against_table(cells: Sequence[Record], records: Sequence[Record]) -> str:
    """`against` the control and the rival in every scenario, as a table.

    Args:
        cells: The leaderboard's, of unseen seeds.
        records: Of benchmarks/leaderboard/default.py, for scenarios that the leaderboard has not.
    """
    columns = {}
    for other in (CONTROL, rival(cells)):
        found = against(other, [*cells, *_beside(records)])
        gaps = zip(found["gap"], found["half"], found["seeds"], strict=True)
        said = [f"{gap:+.5f} ± {half:.5f} ({seeds:.0f} seeds)" for gap, half, seeds in gaps]
        columns[f"minus `{other}`"] = pd.Series(said, index=found.index)
    return markdown(pd.DataFrame(columns), "log loss of the default")


def _beside(records: Sequence[Record]) -> list[Record]:
    """Records of scenarios that no named scenario is as it stands."""
    return [record for record in records if record["scenario"] == "cvr_blind, rho -.8"]


def _of_all(cells: Sequence[Record], records: Sequence[Record]) -> list[tuple[str, str, bool]]:
    found = []
    for ranks, which in ((regrets(cells), ""), (regrets(unseen(cells)), "; unseen seeds alone")):
        ours, others = ranks.loc[OURS, "mean regret"], ranks["mean regret"].drop(OURS)
        found.append(
            (
                f"mean regret in all named scenarios below that of every other method{which}",
                f"{ours:.5f}; the best other, `{others.idxmin()}`, has {others.min():.5f}",
                bool(ours < others.min()),
            )
        )
    gaps = against(CONTROL, [*cells, *_beside(records)])
    scenarios, worse = len(gaps), gaps.index[gaps["gap"] > gaps["half"]]
    found.append(
        (
            "nowhere worse than the control by more than noise",
            f"{scenarios - len(worse)} of {scenarios} scenarios"
            + "".join(f"; not in {w}" for w in worse),
            worse.empty,
        )
    )
    return found


def _of_scenarios(records: Sequence[Record]) -> list[tuple[str, str, bool]]:
    table = summarise(records)
    limits = {
        "cvr_blind, rho .8": (0.05, 0.75),
        "cvr_blind, rho -.8": (0.05, 0.75),
        "sparse, rho .8": (0.15, 0.70),
        "low_overlap": (0.20, None),
    }
    found = []
    for scenario, (bias, gap) in limits.items():
        row = table.loc[(scenario, OURS)]
        off = row["|relative bias|, all"]
        found.append(
            (f"{scenario}: mean abs. bias at most {bias:.0%}", f"{off:.1%}", bool(off <= bias))
        )
        if gap is not None:
            closed = row["gap closed"]
            said = f"{closed:.0%}"
            found.append((f"{scenario}: at least {gap:.0%} of the gap", said, bool(closed >= gap)))
    for scenario in limits:
        ours, theirs = (table.loc[(scenario, m), "sd of relative bias"] for m in (OURS, "esmm"))
        found.append(
            (
                f"{scenario}: spread of the bias half of ESMM's",
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
