"""The tables of docs/coat.md, from the kept result of benchmarks/real_logs/coat.py.

    python benchmarks/real_logs/coat_page.py

writes them anew between the page's marks; a test holds the page to them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from coat import CONSTANT, SHOWN
from pages import fill, markdown

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "coat.md"
RESULT = FOLDER / "results" / "coat.json"
Content = Mapping[str, Any]


def figures(content: Content) -> dict[str, str]:
    """Markdown by the name of its mark."""
    return {"models": table(content), "gaps": gaps(content), "means": means(content)}


def table(content: Content) -> str:
    """Means over seeds."""
    rows = pd.DataFrame(content["rows"]).set_index("model")
    shown = rows[[*SHOWN, "mean pCVR, all"]].map("{:.4f}".format)
    return markdown(_named(shown), "model")


def gaps(content: Content) -> str:
    """What differs from the naive model, seed by seed, with its standard error."""
    rows = pd.DataFrame(content["rows"]).set_index("model")
    rows = rows.drop(index=[CONSTANT, "click_space"])
    shown = pd.DataFrame(
        {
            column: [
                f"{gap:+.4f} ± {error:.4f}"
                for gap, error in zip(
                    rows[f"{column}, minus naive"],
                    rows[f"{column}, minus naive, error"],
                    strict=True,
                )
            ]
            for column in SHOWN
        },
        index=rows.index,
    )
    return markdown(_named(shown), "minus `click_space`")


def means(content: Content) -> str:
    """The observed CVR of held-out ratings, as they are and weighted."""
    cells = pd.DataFrame(content["cells"]).drop_duplicates("seed").set_index("seed")
    columns = ["mean CVR, clicks", "mean CVR, weighted"]
    return markdown(cells[columns].map("{:.4f}".format), "seed")


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Models as code, with what they were given behind."""

    def code(name: str) -> str:
        head, comma, rest = name.partition(",")
        return name if name == CONSTANT else f"`{head}`{comma}{rest}"

    return frame.rename(index=code)


def main() -> int:
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    fill(PAGE, figures(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
