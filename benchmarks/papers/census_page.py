"""The tables of docs/census.md, from the kept result of benchmarks/papers/census.py.

    python benchmarks/papers/census_page.py

writes them anew between the page's marks; a test holds the page to them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from census import FEATURE_SETS, FLOOR, STRUCTURES, TASKS, TUNING_SEED
from pages import fill, markdown

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "census.md"
RESULT = FOLDER / "results" / "census.json"
Content = Mapping[str, Any]


def figures(content: Content) -> dict[str, str]:
    """Markdown by the name of its mark."""
    found = {name.replace(" ", "_"): table(content, name) for name in FEATURE_SETS}
    return found | {"sizes": sizes(content), "floors": floors(content)}


def table(content: Content, features: str) -> str:
    """AUC of both tasks by structure, and what differs from the shared bottom, seed by seed."""
    rows = pd.DataFrame(content["rows"])
    own = rows[rows["features"] == features].set_index("structure")
    shown = pd.DataFrame(index=own.index)
    for task in TASKS:
        column = f"AUC, {task}"
        shown[column] = _pairs(own[column], own[f"{column}, deviation"], "{:.4f}", " ± {:.4f}")
        gap = f"{column}, minus shared bottom"
        shown[f"{task}, minus shared bottom"] = _pairs(
            own[gap], own[f"{gap}, error"], "{:+.4f}", " ± {:.4f}"
        )
    shown.loc["shared bottom", [f"{task}, minus shared bottom" for task in TASKS]] = ""
    return markdown(shown, "structure")


def sizes(content: Content) -> str:
    """Parameters, the learning rate and the epochs kept, by structure."""
    kept = pd.DataFrame(content["cells"])
    epochs = kept[(kept["features"] == "all") & (kept["seed"] != TUNING_SEED)]
    table = pd.DataFrame(
        {
            "parameters of bottom and towers": content["parameters of bottom and towers"],
            "learning rate": content["rates"],
            "epochs kept": {
                name: ", ".join(
                    str(int(epoch) + 1) for epoch in epochs[epochs["structure"] == name]["epoch"]
                )
                for name in STRUCTURES
            },
        }
    )
    return markdown(table.loc[list(STRUCTURES)], "structure")


def floors(content: Content) -> str:
    """Whether MMoE passes what a plain one reached before."""
    rows = pd.DataFrame(content["rows"]).set_index(["features", "structure"])
    lines = {}
    for task, floor in FLOOR.items():
        found = rows.loc[("all", "MMoE"), f"AUC, {task}"]
        lines[task] = {
            "floor": floor,
            "MMoE": f"{found:.4f}",
            "reached": "yes" if found >= floor else "**no**",
        }
    return markdown(pd.DataFrame(lines).T, "AUC")


def _pairs(values: pd.Series, errors: pd.Series, form: str, error_form: str) -> list[str]:
    return [
        ("" if pd.isna(value) else form.format(value))
        + ("" if pd.isna(error) else error_form.format(error))
        for value, error in zip(values, errors, strict=True)
    ]


def main() -> int:
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    fill(PAGE, figures(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
