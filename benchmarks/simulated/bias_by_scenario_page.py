"""The tables and the findings of benchmarks/simulated/bias_by_scenario.py.

    python benchmarks/simulated/bias_by_scenario_page.py

writes them anew between the marks of docs/who_is_right.md; a test holds the page to them.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pages import bullets, fill, markdown
from study import Pair, compared, pair_of

RESULT = Path(__file__).parent / "results" / "who_is_right.json"
PAGE = Path(__file__).parents[1] / "docs" / "who_is_right.md"
NAIVE, CONTROL, DEFAULT, ORACLE = "click_space", "multitask", "default", "oracle"
ORDER = (NAIVE, CONTROL, "esmm", "escm2_ips", "escm2_dr", "dcmt", DEFAULT, ORACLE)
BIAS, LOSS = "relative bias, all", "log loss, all"
CEILING = "relative bias of P(r | x, click), all"
# In the order of the page.
WORLDS = ("dense", "cvr_blind", "ctr_blind", "hidden", "mnar", "low_overlap")
Records = Sequence[Mapping[str, Any]]
Place = tuple[str, float]


class Map:
    """Figures of every method by scenario and correlation."""

    def __init__(self, records: Records) -> None:
        frame = pd.DataFrame(records)
        self.frame = frame.set_index(["scenario", "rho", "method", "seed"]).sort_index()
        self.scenarios = [name for name in WORLDS if name in set(frame["scenario"])]
        self.rhos = sorted(set(frame["rho"]))
        self.methods = [name for name in ORDER if name in set(frame["method"])]
        self.seeds = int(frame.groupby(["scenario", "rho", "method"]).size().min())

    @property
    def places(self) -> list[Place]:
        """Scenario and correlation."""
        return [(scenario, rho) for scenario in self.scenarios for rho in self.rhos]

    def of(self, place: Place, figure: str) -> pd.Series:
        """By method and seed."""
        values: pd.Series = self.frame.loc[place][figure].astype(float)
        return values

    def bias(self, place: Place, method: str) -> Pair:
        """Relative bias over all impressions."""
        return pair_of(self.of(place, BIAS)[method])

    def above(self, place: Place, method: str, other: str = ORACLE) -> Pair:
        """Log loss over all impressions, above that of another, in nats."""
        return compared(self.of(place, LOSS), method, other)

    def closed(self, place: Place, method: str) -> float:
        """Share of the gap between naive and oracle; NaN where that is within two errors."""
        width = self.above(place, NAIVE)
        if width.mean <= 0 or (width.seeds > 1 and not width.apart()):
            return float("nan")
        return 1 - self.above(place, method).mean / width.mean

    def over_rhos(self, scenario: str, figure: str, method: str, other: str | None = None) -> Pair:
        """Mean over the correlations, by seed: of its size, or of how far above another's."""
        values = self.frame.loc[scenario][figure].astype(float)
        found = values.xs(method, level="method")
        found = found.abs() if other is None else found - values.xs(other, level="method")
        return pair_of(found.unstack("rho").dropna().mean(axis=1))

    def leaders(self, place: Place) -> list[str]:
        """The method of least log loss, then those within two standard errors of it."""
        contest = [m for m in self.methods if m not in (NAIVE, ORACLE)]
        first = min(contest, key=lambda m: self.above(place, m).mean)
        behind = [m for m in contest if m != first and not self.above(place, m, first).apart()]
        return [first, *sorted(behind, key=lambda m: self.above(place, m).mean)]


def blocks(records: Records, content: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of its mark."""
    found = Map(records)
    shown = [m for m in found.methods if m != NAIVE]
    return {
        "setting": f"{said_of_seeds(found)}; {said_of_rows(content)}.",
        "findings": findings(found),
        "summary": summary(found, [NAIVE, *shown]),
        "bias": grid(found, [NAIVE, *shown], lambda p, m: found.bias(p, m).said("+.1%"), True),
        "loss": grid(
            found, [NAIVE, *shown[:-1]], lambda p, m: thousandths(found.above(p, m)), False
        ),
        "leaders": markdown(
            pd.DataFrame(
                {
                    f"rho {rho:+g}": [
                        first_of(found, (scenario, rho)) for scenario in found.scenarios
                    ]
                    for rho in found.rhos
                },
                index=[f"`{scenario}`" for scenario in found.scenarios],
            ),
            "",
        ),
    }


def first_of(found: Map, place: Place) -> str:
    """Who is right at a place, as far as its seeds tell."""
    leaders = found.leaders(place)
    if found.above(place, leaders[0]).seeds < 2:
        return f"{leaders[0]} (one seed)"
    return "all" if len(leaders) == len(found.methods) - 2 else ", ".join(leaders)


def findings(found: Map) -> str:
    """What came out, in words."""

    def bias(scenario: str, *methods: str) -> str:
        said = [f"`{m}` {found.over_rhos(scenario, BIAS, m).mean:.0%}" for m in methods]
        return ", ".join(said)

    def loss(scenario: str, *methods: str) -> str:
        above = [1000 * found.over_rhos(scenario, LOSS, m, ORACLE).mean for m in methods]
        return ", ".join(f"`{m}` {at:.0f}" for m, at in zip(methods, above, strict=True))

    def ends(scenario: str, method: str) -> str:
        first, last = found.rhos[0], found.rhos[-1]
        low, high = (found.bias((scenario, rho), method).mean for rho in (first, last))
        return f"{low:+.0%} at rho {first:+g} and {high:+.0%} at rho {last:+g}"

    def ceiling(scenario: str) -> str:
        return f"{found.frame.loc[scenario][CEILING].abs().mean():.0%}"

    def gained(scenario: str) -> str:
        return found.over_rhos(scenario, LOSS, DEFAULT, NAIVE).times(1000).said("+.1f")

    plain, corrected = (NAIVE, CONTROL, "esmm"), ("escm2_ips", "escm2_dr", "dcmt", DEFAULT)
    return bullets(
        f"""**Nothing wrong (`dense`): little to correct.** Bias: {bias("dense", *plain)};
        {bias("dense", *corrected)}.""",
        f"""**The CVR tower blind (`cvr_blind`): the papers' claim holds, and their cure works.**
        ESMM
        is off by {ends("cvr_blind", "esmm")}. So is the control, whose CVR is fitted to clicks
        alone: {ends("cvr_blind", CONTROL)}. Bias: {bias("cvr_blind", *plain)};
        {bias("cvr_blind", *corrected)}.""",
        f"""**The CTR tower blind (`ctr_blind`): ESMM's pCVR learns the click.** pCTCVR has to
        follow the user, pCTR cannot, so pCVR does. Log loss: {loss("ctr_blind", "esmm")};
        {loss("ctr_blind", NAIVE, CONTROL, *corrected)}. There is nothing here for a correction to
        mend.""",
        f"""**A hidden confounder (`hidden`): nobody is right.** Bias: {bias("hidden", *plain)};
        {bias("hidden", *corrected)}. A method that assumes nothing hidden is off by
        {ceiling("hidden")} at best. See [dependence](dependence.md) for what can be done.""",
        f"""**Clicks depend on the conversion (`mnar`): nobody is right.** Bias:
        {bias("mnar", *plain)}; {bias("mnar", *corrected)}; at best {ceiling("mnar")}.""",
        f"""**Little overlap (`low_overlap`): ESCM2's weights cost more than they mend.** Log loss:
        {loss("low_overlap", *plain)}; {loss("low_overlap", *corrected)}.""",
        f"""**`default`** has log loss above that of the naive model by {gained("dense")} in
        `dense`, {gained("cvr_blind")} in `cvr_blind`, {gained("ctr_blind")} in `ctr_blind`,
        {gained("hidden")} in `hidden`, {gained("mnar")} in `mnar` and {gained("low_overlap")} in
        `low_overlap`.""",
    )


def summary(found: Map, methods: Sequence[str]) -> str:
    """A line a scenario: absolute bias and log loss above the oracle's, both averaged over rho."""
    rows = {}
    for scenario in found.scenarios:
        rows[f"`{scenario}`, bias"] = {
            f"`{m}`": found.over_rhos(scenario, BIAS, m).said(".1%") for m in methods
        }
        rows[f"`{scenario}`, log loss"] = {
            f"`{m}`": found.over_rhos(scenario, LOSS, m, ORACLE).times(1000).said("+.1f")
            for m in methods
            if m != ORACLE
        }
    return markdown(pd.DataFrame(rows).T[[f"`{m}`" for m in methods]], "scenario")


def said_of_seeds(found: Map) -> str:
    """How many, and where there are fewer."""
    counts = found.frame.groupby(["scenario", "rho", "method"]).size()
    by_scenario = counts.groupby("scenario").min()
    most = int(by_scenario.max())
    fewer = [
        f"{by_scenario[scenario]} in `{scenario}`"
        for scenario in found.scenarios
        if by_scenario[scenario] < most
    ]
    said = f"{most} seed" + ("s" if most > 1 else "")
    return f"{said} ({', '.join(fewer)})" if fewer else said


def said_of_rows(content: Mapping[str, Any]) -> str:
    """Rows and versions of a kept result."""
    settings = content["settings"]
    return (
        f"{settings['rows']:,} impressions to train on, {settings['test_rows']:,} to test on; "
        f"{content['versions']}"
    )


def thousandths(pair: Pair) -> str:
    """Nats over a thousand."""
    return pair.times(1000).said("+.1f")


def grid(
    found: Map, methods: Sequence[str], say: Callable[[Place, str], str], ceiling: bool
) -> str:
    """A scenario and a correlation a line, a method a column."""
    rows = {}
    for place in found.places:
        row = {f"`{m}`": say(place, m) for m in methods}
        if ceiling:
            # A bias of 0 in exact arithmetic has no sign.
            at = round(found.of(place, CEILING).mean(), 6) + 0.0
            row["P(r \\| x, click)"] = f"{at:+.1%}"
        rows[f"`{place[0]}`, {place[1]:+g}"] = row
    return markdown(pd.DataFrame(rows).T, "scenario, rho")


def print_tables(records: Records) -> None:
    """Bias, and log loss above that of the oracle."""
    found = Map(records)
    for title, say in (
        ("relative bias, all impressions", lambda p, m: found.bias(p, m).said("+.3f")),
        ("log loss above the oracle's, nats / 1000", lambda p, m: thousandths(found.above(p, m))),
        ("gap closed", lambda p, m: f"{found.closed(p, m):+.2f}"),
    ):
        table = {p: {m: say(p, m) for m in found.methods} for p in found.places}
        print(f"\n{title}\n{pd.DataFrame(table).T.to_string()}")


def main() -> int:
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    fill(PAGE, blocks(content["cells"], content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
