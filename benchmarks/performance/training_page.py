"""The figures of docs/speed.md, from the kept results of benchmarks/performance/training.py and speed_quality.py.

    python benchmarks/performance/training_page.py

writes them anew between the page's marks; a test holds the page to them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pages import fill, markdown
from speed_page import goals, wide

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[0] / "docs" / "speed.md"
RESULTS = {name: FOLDER / "results" / f"{name}.json" for name in ("speed", "speed_quality")}
COMMANDS = {
    "speed": "python benchmarks/performance/training.py",
    "speed_quality": "python benchmarks/performance/training_quality.py --raw RAW",
}
Content = Mapping[str, Any]


def figures(kept: Mapping[str, Content | None]) -> dict[str, str]:
    """Markdown by the name of its mark; what was not measured is said to be so.

    Args:
        kept: By name of RESULTS, what the file holds; None where there is none.
    """
    unknown = {name: f"*Not measured yet: `{COMMANDS[name]}`.*" for name in RESULTS}
    quality, speed = kept["speed_quality"], kept["speed"]
    found = {"quality": compared(quality) if quality else unknown["speed_quality"]}
    if speed is None:
        names = ("setting", "chart", "milliseconds", "goals", "parts", "memory")
        return found | dict.fromkeys(names, unknown["speed"])
    threads = list(dict.fromkeys(row["threads"] for row in speed["measured"]))
    return found | {
        "setting": f"`{speed['command']}` on {speed['processor']}; {speed['versions']}.",
        "chart": "![Rows a second of training end to end, by model and package](speed.png)",
        "milliseconds": "\n\n".join(milliseconds(speed, n) for n in threads),
        "goals": "\n\n".join(reached(speed, n) for n in threads),
        "parts": parts(speed),
        "memory": markdown(pd.DataFrame(speed["memory, MB"]).T, "model"),
    }


def read_kept() -> dict[str, Content | None]:
    """What RESULTS hold."""
    return {
        name: json.loads(path.read_text("utf-8")) if path.exists() else None
        for name, path in RESULTS.items()
    }


def milliseconds(speed: Content, threads: int) -> str:
    """A table a model: median milliseconds of every contestant at every task."""
    lines = [f"{threads} thread{'s' if threads > 1 else ''}, milliseconds:"]
    for model, part in wide(speed, threads).T.groupby(level=0, sort=False):
        lines += ["", markdown(part.droplevel(0).T.dropna(how="all"), str(model))]
    return "\n".join(lines)


def reached(speed: Content, threads: int) -> str:
    """Every goal and what became of it."""
    frame = pd.DataFrame(goals(speed, threads)).rename(columns={"goal": f"{threads} thread(s)"})
    frame["reached"] = frame["reached"].map({True: "yes", False: "**no**"})
    return markdown(frame.set_index(frame.columns[0]), frame.columns[0])


def parts(speed: Content) -> str:
    """Where a step's time goes."""
    frame = 1000 * pd.DataFrame(speed["parts, seconds"])
    frame.loc["together"] = frame.sum()
    return markdown(frame.round(1), "milliseconds of one thread")


def compared(quality: Content) -> str:
    """Differences to dense Adam in float32, seed by seed."""
    frame = pd.DataFrame(quality["compared"])
    frame = frame[(frame["optimiser"] != "dense Adam") | (frame["precision"] != "float32")]
    said = frame["better by"].map("{:+.5f}".format) + frame["standard error"].map(
        " ± {:.5f}".format
    )
    said += frame["as good"].map({True: "", False: " **worse**"})
    how = frame["optimiser"] + ", " + frame["precision"]
    frame = frame.assign(how=how, said=said)
    # In the order they were compared in: a pivot would sort them.
    order = list(dict.fromkeys(zip(frame["scenario"], frame["how"], strict=True)))
    columns = list(dict.fromkeys(frame["figure"]))
    table = frame.set_index(["scenario", "how", "figure"])["said"].unstack().loc[order, columns]
    blocks = []
    for scenario, part in table.groupby(level=0, sort=False):
        blocks.append(markdown(part.droplevel(0).dropna(axis=1, how="all"), f"`{scenario}`"))
    return "\n\n".join(blocks)


def main() -> int:
    fill(PAGE, figures(read_kept()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
