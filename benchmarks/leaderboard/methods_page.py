"""The tables of docs/methods.md, from the kept result of benchmarks/leaderboard/methods.py.

python benchmarks/leaderboard/methods_page.py
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from methods import ORDER, SCENARIOS
from methods_table import summarise

__all__ = ["auc_lines", "bias_lines", "kept_table", "loss_lines", "weight_lines"]

RESULT = Path(__file__).parent / "results" / "methods.json"
WEIGHED = ("escm2_ips", "escm2_ips, floor .1", "multi_ipw, moving average", "dcmt")


def kept_table() -> pd.DataFrame:
    """A row per scenario and method."""
    cells = json.loads(RESULT.read_text(encoding="utf-8"))["cells"]
    return summarise(cells)


def bias_lines(table: pd.DataFrame) -> list[str]:
    """Relative bias over all impressions, mean ± standard deviation over the seeds."""

    def cell(row: pd.Series) -> str:
        return f"{row['relative bias, all']:+.1%} ± {row['sd of relative bias']:.1%}"

    return [*_lines(table, "relative bias, all", cell), _ceiling(table)]


def loss_lines(table: pd.DataFrame) -> list[str]:
    """Log loss against the true CVR over all impressions, and the share of the gap closed."""

    def cell(row: pd.Series) -> str:
        gap = row["gap closed"]
        closed = "n/a" if np.isnan(gap) else "below -10" if gap < -10 else f"{gap:+.2f}"
        return f"{row['log loss, all']:.4f}, {closed}"

    return _lines(table, "log loss, all", cell)


def auc_lines(table: pd.DataFrame) -> list[str]:
    """AUC against the true CVR over all impressions, and on clicks."""

    def cell(row: pd.Series) -> str:
        clicks = row["AUC, clicks"]
        return f"{row['AUC, all']:.4f}, " + ("n/a" if np.isnan(clicks) else f"{clicks:.4f}")

    return _lines(table, "AUC, all", cell)


def weight_lines(table: pd.DataFrame) -> list[str]:
    """Effective sample size of the clicks, share of them below the floor, largest share."""

    def cell(row: pd.Series) -> str:
        return (
            f"{row['effective_size']:,.0f}, {row['clipped_share']:.1%}, {row['largest_share']:.2%}"
        )

    return [line for line in _lines(table, "effective_size", cell) if line.split("`")[1] in WEIGHED]


def _lines(table: pd.DataFrame, needed: str, cell: Callable[[pd.Series], str]) -> list[str]:
    shown = table.dropna(subset=[needed])
    lines = []
    for method in (name for name in ORDER if name in shown.index.unique("method")):
        cells = [cell(shown.loc[(scenario, method)]) for scenario in SCENARIOS]
        lines.append(f"| `{method}` | " + " | ".join(cells) + " |")
    return lines


def _ceiling(table: pd.DataFrame) -> str:
    at = table["relative bias of P(r | x, click), all"].groupby("scenario").mean()
    # A bias of 0 in exact arithmetic has no sign.
    cells = [f"{round(at[scenario], 6) + 0.0:+.1%}" for scenario in SCENARIOS]
    return "| P(r \\| x, click) itself | " + " | ".join(cells) + " |"


def main() -> None:
    """Print all tables."""
    table = kept_table()
    for title, lines in (
        ("Bias", bias_lines(table)),
        ("Log loss", loss_lines(table)),
        ("AUC", auc_lines(table)),
        ("Weights", weight_lines(table)),
    ):
        print(f"## {title}\n\n| | " + " | ".join(f"`{scenario}`" for scenario in SCENARIOS) + " |")
        print("|" + "---|" * (len(SCENARIOS) + 1))
        print(*lines, "", sep="\n")


if __name__ == "__main__":
    main()
