"""The tables and the findings of benchmarks/papers/esmm.py.

    python benchmarks/papers/esmm_page.py

writes them anew between the marks of docs/esmm_paper.md; a test holds the page to them.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pages import bullets, fill, markdown
from study import Pair, compared, pair_of

RESULT = Path(__file__).parent / "results" / "esmm_paper.json"
PAGE = Path(__file__).parents[1] / "docs" / "esmm_paper.md"
BASE = "BASE"
CLICKS, COMMON, ALL = "AUC, clicks", "CTCVR AUC, common pCTR, all", "AUC, all"
OWN, LOSS, BIAS = "CTCVR AUC, all", "log loss, all", "relative bias, all"
# Ma et al. (2018), table 2, Ali-CCP: CVR AUC on clicks and CTCVR AUC on all impressions, times 100.
PAPER = {
    BASE: (66.00, 62.07),
    "AMAN": (65.21, 63.53),
    "OVERSAMPLING": (67.18, 63.05),
    "UNBIAS": (66.65, 63.56),
    "DIVISION": (67.56, 63.62),
    "ESMM-NS": (68.25, 64.44),
    "ESMM": (68.56, 65.32),
}
ORDER = (*PAPER, "control", "oracle")
WORLDS = ("sparse", "aliccp")
PAIRS = (("ESMM-NS", BASE), ("control", BASE), ("ESMM", BASE), ("ESMM", "ESMM-NS"))
PAIRS += (("ESMM", "control"),)
Records = Sequence[Mapping[str, Any]]


class Table:
    """Figures by scenario, method and seed; AUC in points, as the paper has them."""

    def __init__(self, records: Records) -> None:
        frame = pd.DataFrame(records)
        self.frame = frame.set_index(["scenario", "method", "seed"]).sort_index()
        self.scenarios = [name for name in WORLDS if name in set(frame["scenario"])]
        self.methods = [name for name in ORDER if name in set(frame["method"])]

    def of(self, scenario: str, figure: str) -> pd.Series:
        """By method and seed; AUC times 100."""
        values: pd.Series = self.frame.loc[scenario][figure].astype(float)
        return 100 * values if "AUC" in figure else values

    def mean(self, scenario: str, figure: str, method: str) -> Pair:
        """Over the seeds."""
        return pair_of(self.of(scenario, figure)[method])

    def gap(self, scenario: str, figure: str, method: str, other: str = BASE) -> Pair:
        """A method minus another, paired over the seeds."""
        return compared(self.of(scenario, figure), method, other)

    def seeds(self, scenario: str) -> int:
        """Seeds that every method has."""
        return int(self.frame.loc[scenario].groupby("method").size().min())

    def count(self, scenario: str, what: str) -> float:
        """Mean clicks or conversions of the training log."""
        return float(self.frame.loc[scenario][what].mean())


def published(method: str, place: int) -> float | None:
    """The paper's gap to BASE, in points."""
    return None if method not in PAPER else round(PAPER[method][place] - PAPER[BASE][place], 2)


def blocks(records: Records, content: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of its mark."""
    table = Table(records)
    found = {"setting": setting(table, content), "findings": findings(table)}
    for scenario in table.scenarios:
        found[f"clicks {scenario}"] = markdown(as_the_paper(table, scenario), f"`{scenario}`")
        found[f"truth {scenario}"] = markdown(the_truth(table, scenario), f"`{scenario}`")
    found["pairs"] = markdown(pairs(table), "AUC points")
    return found


def setting(table: Table, content: Mapping[str, Any]) -> str:
    """What was drawn."""
    parts = []
    for scenario in table.scenarios:
        rows = content["settings"]["rows"][scenario]
        parts.append(
            f"`{scenario}`: {table.seeds(scenario)} seeds of {rows:,} impressions, which hold about "
            f"{table.count(scenario, 'clicks'):,.0f} clicks and "
            f"{table.count(scenario, 'conversions'):,.0f} conversions"
        )
    test = content["settings"]["test_rows"]
    return f"{'; '.join(parts)}; {test:,} test impressions. {content['versions']}."


def findings(table: Table) -> str:
    """What came out, in words."""
    clicks = partial(_in_both, table, CLICKS)
    everywhere = partial(_in_both, table, ALL)
    common = partial(_in_both, table, COMMON)
    bias = partial(_levels_in_both, table, BIAS)
    on_clicks = partial(_levels_in_both, table, "relative bias, clicks")

    near = [w for w in table.scenarios if not table.gap(w, CLICKS, "ESMM").apart()]
    named = " and ".join(f"`{scenario}`" for scenario in near)
    caveat = f"; on clicks in {named} that is within two standard errors of 0" if near else ""

    def order(figure: str) -> str:
        return " and ".join(f"{at:.2f}" for at in agreement(table, figure))

    return bullets(
        f"""**Reproduced: ESMM ranks clicked impressions better than BASE**, by
        {clicks("ESMM")}; the
        paper has +2.56. Over all impressions, which no log can show, it does so too, by
        {everywhere("ESMM")}{caveat}.""",
        f"""**The control does no worse.** ESMM minus the control is {clicks("ESMM", "control")} on
        clicks and {everywhere("ESMM", "control")} over all impressions. What helps is the
        embeddings that CVR shares with CTR. The entire-space losses alone, ESMM-NS, give
        {clicks("ESMM-NS")} on clicks; the paper has +2.25.""",
        f"""**Not reproduced: CTCVR.** By the common pCTR ESMM gains {common("ESMM")}, in the paper
        +3.25. There is little to gain: the oracle's pCVR gains {common("oracle")}, since pCTR, the
        same for all, gives most of the order.""",
        f"""**Not reproduced: AMAN, UNBIAS and DIVISION.** On clicks AMAN gains {clicks("AMAN")}
        (paper -0.79), UNBIAS {clicks("UNBIAS")} (+0.65), DIVISION {clicks("DIVISION")} (+1.56).
        The paper states the best of several settings of each.""",
        f"""**Undecided: OVERSAMPLING.** On clicks it gains {clicks("OVERSAMPLING")} (paper +1.18):
        in neither scenario more than two standard errors from 0, and in `sparse` not more than two
        from the paper's.""",
        f"""**What clicks say of the order holds over all impressions.** The rank correlation of the
        methods' differences to BASE in CVR AUC, on clicks with over all impressions, is
        {order(CLICKS)}; of those in CTCVR AUC with those in CVR AUC over all
        impressions {order(COMMON)}.""",
        f"""**What clicks say of the level does not hold.** Relative bias of pCVR over all
        impressions is
        {bias(BASE)} for BASE, {bias("ESMM")} for ESMM, {bias("control")} for the control. On clicks
        the same models are too low, if anything:
        {on_clicks(BASE)}, {on_clicks("ESMM")}, {on_clicks("control")}.""",
        f"""**AUC says nothing of it.** AMAN, whose order over all impressions is better than that
        of BASE ({everywhere("AMAN")}), has a bias of {bias("AMAN")}; OVERSAMPLING of
        {bias("OVERSAMPLING")}.""",
    )


def _in_both(table: Table, figure: str, method: str, other: str = BASE) -> str:
    said = [table.gap(scenario, figure, method, other).said("+.2f") for scenario in table.scenarios]
    return " and ".join(said)


def _levels_in_both(table: Table, figure: str, method: str) -> str:
    said = [table.mean(scenario, figure, method).said("+.0%") for scenario in table.scenarios]
    return " and ".join(said)


def agreement(table: Table, figure: str) -> list[float]:
    """By scenario: rank correlation of the gaps to BASE with those of CVR AUC over all impressions."""
    found = []
    for scenario in table.scenarios:
        methods = [method for method in table.methods if method != BASE]
        pairs = [
            pd.Series([table.gap(scenario, name, method).mean for method in methods])
            for name in (figure, ALL)
        ]
        # Spearman's, which pandas leaves to scipy.
        found.append(pairs[0].rank().corr(pairs[1].rank()))
    return found


def as_the_paper(table: Table, scenario: str) -> pd.DataFrame:
    """Both of the paper's figures, and the gap to BASE beside the published one."""
    rows = {}
    for method in table.methods:
        row = {}
        for place, (title, figure) in enumerate(
            (("CVR AUC, clicks", CLICKS), ("CTCVR AUC, all, common pCTR", COMMON))
        ):
            row[title] = f"{table.mean(scenario, figure, method).mean:.2f}"
            gap, theirs = table.gap(scenario, figure, method), published(method, place)
            row[f"minus BASE {'I' * (place + 1)}"] = "" if method == BASE else gap.said("+.2f")
            row[f"paper {'I' * (place + 1)}"] = (
                "" if theirs is None or method == BASE else f"{theirs:+.2f}"
            )
        rows[method] = row
    frame = pd.DataFrame(rows).T
    return frame.rename(columns=lambda name: name.removesuffix(" II").removesuffix(" I"))


def the_truth(table: Table, scenario: str) -> pd.DataFrame:
    """Of pCVR over all impressions, held to the true CVR."""
    rows = {}
    for method in table.methods:
        base = method == BASE
        loss = table.gap(scenario, LOSS, method)
        rows[method] = {
            "CVR AUC, all": f"{table.mean(scenario, ALL, method).mean:.2f}",
            "minus BASE": "" if base else table.gap(scenario, ALL, method).said("+.2f"),
            "log loss, all": f"{table.mean(scenario, LOSS, method).mean:.5f}",
            "minus BASE, nats / 1000": "" if base else loss.times(1000).said("+.2f"),
            "relative bias, all": table.mean(scenario, BIAS, method).said("+.1%"),
            "CTCVR AUC, all, own pCTR": f"{table.mean(scenario, OWN, method).mean:.2f}",
        }
    return pd.DataFrame(rows).T


def pairs(table: Table) -> pd.DataFrame:
    """What sharing and the entire-space losses are worth, one at a time."""
    rows = {}
    for method, other in PAIRS:
        row = {}
        for scenario in table.scenarios:
            for title, figure in (("clicks", CLICKS), ("all", ALL), ("CTCVR", COMMON)):
                row[f"`{scenario}`, {title}"] = table.gap(scenario, figure, method, other).said(
                    "+.2f"
                )
        rows[f"{method} - {other}"] = row
    return pd.DataFrame(rows).T


def print_tables(records: Records) -> None:
    """The paper's two figures, and the truth."""
    table = Table(records)
    for scenario in table.scenarios:
        print(
            f"\n{scenario}, {table.seeds(scenario)} seeds\n{as_the_paper(table, scenario).to_string()}"
        )
        print(the_truth(table, scenario).to_string())
    print(pairs(table).to_string())


def main() -> int:
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    fill(PAGE, blocks(content["cells"], content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
