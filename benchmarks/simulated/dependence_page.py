"""The tables of docs/dependence.md from the kept results.

    python benchmarks/simulated/dependence_page.py    # puts them into the page

Each stands behind a line ``<!-- name -->`` and an empty one.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dependence_table import OURS, lambdas, null_table, summarise

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "dependence.md"
EFFECTS = ("full", "half", "quarter", "none")
SCENARIOS = ("mnar", "hidden", "dense", "cvr_blind")
METHODS = ("esmm", "multitask", "escm2_dr", OURS, "oracle")


def cells_of(name: str) -> list[dict[str, Any]]:
    """The cells of a kept result."""
    found: list[dict[str, Any]] = json.loads((RESULTS / name).read_text(encoding="utf-8"))["cells"]
    return found


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of the page."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def scenarios(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Scenarios there are figures of, in the page's order."""
    there = {at[:3] for at in table.index}
    return [
        (scenario, rate, effect)
        for rate in ("CTR 20%", "CTR 4%")
        for effect in EFFECTS
        for scenario in SCENARIOS
        if (scenario, rate, effect) in there
    ]


def by_method(table: pd.DataFrame, said: Callable[[pd.Series], str]) -> str:
    """A row a scenario, a column a method; nothing stands where a method was not run."""
    rows = []
    for scenario in scenarios(table):
        own = table.loc[scenario]
        told = [said(own.loc[method]) if method in own.index else "" for method in METHODS]
        rows.append([f"`{scenario[0]}`", scenario[1][4:], scenario[2], *told])
    return grid(["scenario", "CTR", "position", *(f"`{m}`" for m in METHODS)], rows)


def bias(cells: Sequence[Mapping[str, Any]]) -> str:
    """Relative bias by scenario and method, and how many seeds; ours with its spread."""

    def said(own: pd.Series) -> str:
        mean, spread = own["relative bias, all"], own.iloc[1]
        return (
            f"{mean:+.1%}"
            + ("" if np.isnan(spread) else f" ± {spread:.1%}")
            + f" ({int(own['seeds'])})"
        )

    return by_method(summarise(cells), said)


def quality(cells: Sequence[Mapping[str, Any]]) -> str:
    """Log loss and AUC over all impressions."""
    return by_method(
        summarise(cells), lambda own: f"{own['log loss, all']:.4f} / {own['AUC, all']:.4f}"
    )


def evidence(cells: Sequence[Mapping[str, Any]]) -> str:
    """lambda, its errors, the verdicts, and the test."""
    table = lambdas(cells)
    rows = []
    for scenario in scenarios(table):
        own = table.loc[scenario]
        found = f"{own['median lambda']:.2f}" if own["identified"] + own["weak"] else "none"
        verdicts = " / ".join(
            str(int(own[name])) for name in ("identified", "weak", "not identified")
        )
        rows.append(
            [
                f"`{scenario[0]}`",
                scenario[1][4:],
                scenario[2],
                found,
                f"{own['sd of lambda']:.2f}" if found != "none" and own["seeds"] > 1 else "",
                f"{own['median standard error']:.2f}",
                f"{own['strength']:.0f}",
                verdicts,
                f"{int(own['rejects'])} of {int(own['seeds'])}",
            ]
        )
    head = ["scenario", "CTR", "position", "lambda", "spread", "standard error", "strength"]
    return grid([*head, "identified / weak / not", "test rejects"], rows)


def nothing_hidden(cells: Sequence[Mapping[str, Any]]) -> str:
    """The shrunken form where nothing is hidden."""
    table = null_table(cells)
    rows = []
    for scenario in ("dense", "cvr_blind"):
        for method in ("esmm", "multitask", OURS, f"{OURS}, shrunk"):
            if (scenario, method) in table.index:
                own = table.loc[(scenario, method)]
                rows.append(
                    [
                        f"`{scenario}`",
                        f"`{method}`",
                        f"{own['absolute']:.3f}",
                        f"{own['log loss, all']:.4f}",
                        str(int(own["seeds"])),
                    ]
                )
    return grid(["scenario", "method", "mean of abs(bias)", "log loss", "seeds"], rows)


def coverage() -> str:
    """Intervals of lambda over replicates."""
    kept = json.loads((RESULTS / "dependence_coverage.json").read_text(encoding="utf-8"))
    rows = [
        [
            log_odds_ratio,
            str(int(own["replicates"])),
            f"{own['mean lambda']:.3f}",
            f"{own['sd of lambda']:.3f}",
            f"{own['mean standard error']:.3f}",
            f"{own['coverage of the 90% interval']:.1%}",
            f"{own['rejects lambda = 0 at 5%']:.1%}",
        ]
        for log_odds_ratio, own in kept["summary"].items()
    ]
    head = ["true lambda", "logs", "mean", "spread", "mean standard error"]
    return grid([*head, "90% interval covers", "test rejects"], rows)


def policy() -> str:
    """Positions at random and chosen, seen and unseen: enumerated."""
    kept = json.loads((RESULTS / "dependence_policy.json").read_text(encoding="utf-8"))
    rows = [
        [
            own["position"],
            "yes" if own["model sees the quality"] else "no",
            f"{own['lambda'] + 0.0:.2f}",
            f"{own['relative bias without'] + 0.0:+.1%}",
            f"{own['relative bias with'] + 0.0:+.1%}",
        ]
        for own in kept["cases"]
    ]
    return grid(["position", "the model sees it", "lambda", "bias without", "bias with"], rows)


def ways(cells: Sequence[Mapping[str, Any]], *, policies: bool) -> str:
    """How lambda is found, or how positions came about."""
    rows = []
    for own in cells:
        if (own["scenario"] == "policy") != policies:
            continue
        row = [own["way"]] if policies else [f"`{own['scenario']}`", own["way"]]
        row += [f"{own['lambda']:.2f} ({own['standard error']:.2f})", f"{own['t']:.1f}"]
        if policies:
            row += [f"{own['relative bias of the base, all']:+.1%}"]
        rows.append([*row, f"{own['relative bias, all']:+.1%}", f"{own['log loss, all']:.4f}"])
    first = ["positions"] if policies else ["scenario", "way"]
    middle = ["bias of the control"] if policies else []
    return grid([*first, "lambda (error)", "t", *middle, "bias", "log loss"], rows)


def tables() -> dict[str, str]:
    """Every table of the page by name."""
    cells, others = cells_of("dependence.json"), cells_of("dependence_ways.json")
    return {
        "bias": bias(cells),
        "quality": quality(cells),
        "evidence": evidence(cells),
        "nothing hidden": nothing_hidden(cells),
        "coverage": coverage(),
        "policy": policy(),
        "ways": ways(others, policies=False),
        "trained": ways(others, policies=True),
    }


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables().items():
        mark = f"<!-- {name} -->\n\n"
        text = re.sub(
            re.escape(mark) + r"(?:\|[^\n]+\n)*", lambda _, t=table, m=mark: f"{m}{t}\n", text
        )
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
