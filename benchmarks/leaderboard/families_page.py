"""The tables of docs/families.md, from the kept result of benchmarks/leaderboard/families.py.

python benchmarks/leaderboard/families_page.py
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = [
    *("balance_lines", "calibration_lines", "kept_cells", "order_lines"),
    *("spread", "weighted_lines"),
]

RESULT = Path(__file__).parent / "results" / "families.json"
ORDERS = ("CTR AUC, all", "CTCVR AUC, all", "CTR AUC, within users", "CTCVR AUC, within users")
METHODS = {"none": "none", "shift": "shift", "platt": "Platt", "isotonic": "isotonic"}


def kept_cells(part: str) -> dict[tuple[str, ...], pd.DataFrame]:
    """The cells of a part in the order in which they ran, a row a seed."""
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in json.loads(RESULT.read_text(encoding="utf-8"))["cells"]:
        if row["part"] == part:
            found.setdefault(tuple(row["cell"]), []).append(row)
    return {cell: pd.DataFrame(rows).set_index("seed") for cell, rows in found.items()}


def spread(values: pd.Series, form: str) -> str:
    """Mean ± standard deviation over the seeds."""
    return f"{values.mean():{form}} ± {values.std():{form.lstrip('+')}}"


def calibration_lines() -> list[str]:
    """Relative bias and log loss over all impressions, PCOC on clicks."""
    lines = []
    for (scenario, model, method), seeds in kept_cells("calibration").items():
        weighted = ", weighted" if model == "multi_ipw" and method != "none" else ""
        first = f"{scenario}, `{model}`" if method == "none" else ""
        found = (
            spread(seeds["relative bias, all"], "+.1%"),
            f"{seeds['log loss, all'].mean():.4f}",
            spread(seeds["PCOC, clicks"], ".3f"),
        )
        lines.append(_line(first, METHODS[method] + weighted, *found))
    return lines


def order_lines() -> list[str]:
    """AUC of one score each against the true probabilities, and against labels within users."""
    lines = []
    for (scenario, model), seeds in kept_cells("ranking").items():
        name, comma, rest = model.partition(",")
        said = model if name == "fusion" else f"`{name}`{comma}{rest}"
        said += " (pCTCVR)" if model == "esmm" else ""
        lines.append(_line(f"{scenario}, {said}", *(spread(seeds[at], ".3f") for at in ORDERS)))
    return lines


def weighted_lines() -> list[str]:
    """PCOC of the sigmoid of the score over all impressions, by engagement and scale."""
    found: dict[str, Any] = {}
    for (_, beta, scale), seeds in kept_cells("weighted clicks").items():
        found.setdefault(beta.removeprefix("beta "), {})[scale] = seeds
    lines = []
    for beta, scales in found.items():
        pcoc = (spread(s["PCOC of the sigmoid, clicks"], ".2f") for s in scales.values())
        lines.append(_line(beta, f"{next(iter(scales.values()))['k'].mean():.2f}", *pcoc))
    return lines


def balance_lines() -> list[str]:
    """Relative bias and log loss over all impressions: a balance a line, a model a pair."""
    found: dict[str, list[str]] = {}
    for (_, _, balance), seeds in kept_cells("balance").items():
        pair = (
            spread(seeds["relative bias, all"], "+.1%"),
            spread(seeds["log loss, all"], ".4f"),
        )
        found.setdefault(balance, []).extend(pair)
    return [_line(balance, *pairs) for balance, pairs in found.items()]


def _line(*found: str) -> str:
    return "| " + " | ".join(found) + " |"


def main() -> None:
    """Print all tables."""
    for title, lines in (
        ("Calibration", calibration_lines()),
        ("Order", order_lines()),
        ("Weighted clicks", weighted_lines()),
        ("Balance", balance_lines()),
    ):
        print(f"## {title}\n", *lines, "", sep="\n")


if __name__ == "__main__":
    main()
