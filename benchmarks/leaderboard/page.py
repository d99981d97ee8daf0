"""The leaderboard's tables in docs/choosing.md and the README, from the kept result.

    python benchmarks/leaderboard/page.py

writes them anew between the pages' marks; a test holds the pages to them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from leaderboard_table import CONTROL
from pages import bullets, fill, markdown

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "leaderboard.json"
SHOWN = 6
DEFAULT, NAIVE, ESMM = "default", "click_space", "esmm"


def read_kept() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8"))
    return content


def figures(kept: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Markdown by the page and the name of its mark."""
    return {
        "docs/choosing.md": {
            "standings": standings(kept),
            "scenarios": scenarios(kept),
            "conclusions": bullets(*kept["conclusions"]),
        },
        "README.md": {"leaderboard": standings(kept)},
    }


def standings(kept: Mapping[str, Any]) -> str:
    """The methods of least mean regret, the control, the naive model and ESMM."""
    every = pd.DataFrame(kept["standings"]).set_index("method")
    part = every.loc[list(dict.fromkeys([*every.index[:SHOWN], DEFAULT, CONTROL, NAIVE, ESMM]))]
    seeds = pd.DataFrame(kept["by scenario"]).groupby("method")["seeds"].min()
    scenarios = len(kept["scenarios"])
    table = pd.DataFrame(
        {
            "mean regret": (1e3 * part["mean regret"]).map("{:.2f}".format),
            "worst regret": (1e3 * part["worst regret"]).map("{:.1f}".format),
            "in": part["worst in"].map("`{}`".format),
            "mean abs. bias": part["mean |relative bias|"].map("{:.0%}".format),
            "worse than the control": [
                "" if name == CONTROL else f"in {count} of {scenarios} scenarios"
                for name, count in part["worse than the control in"].items()
            ],
            "seeds": seeds.loc[part.index].astype(str),
        }
    )
    return markdown(table.rename("`{}`".format), "method")


def scenarios(kept: Mapping[str, Any]) -> str:
    """Scenario by scenario: log loss minus that of the control, in thousandths of a nat."""
    every = pd.DataFrame(kept["by scenario"]).set_index(["scenario", "method"])
    names = [row["method"] for row in kept["standings"]]
    others = [name for name in names if name not in (DEFAULT, CONTROL, ESMM)]
    shown = [DEFAULT, *others[:2], ESMM, "oracle"]
    lines = {}
    for scenario in kept["scenarios"]:
        part = every.loc[scenario]
        line = {f"`{name}`": gap_of(part.loc[name]) for name in shown}
        for name in (CONTROL, DEFAULT):
            line[f"bias of `{name}`"] = f"{part.loc[name, 'mean |relative bias|']:.0%}"
        lines[f"`{scenario}`"] = line
    return markdown(pd.DataFrame(lines).T, "scenario")


def gap_of(row: pd.Series) -> str:
    """A mean difference and half its interval; in bold where it is told apart from 0."""
    gap, half = 1e3 * float(row["minus control"]), 1e3 * float(row["minus control, half width"])
    said = f"{gap:+.1f} ± {half:.1f}"
    return f"**{said}**" if abs(gap) > half else said


def main() -> int:
    for page, blocks in figures(read_kept()).items():
        fill(ROOT / page, blocks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
