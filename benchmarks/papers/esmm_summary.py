"""Means and paired differences of the ESMM paper's comparison, beside the published ones."""

import pandas as pd

from benchmarks.lib.metrics import Pair, pair_of, paired
from benchmarks.lib.results_store import Result

__all__ = ["BASE", "SCENARIOS", "Summary", "published"]

BASE = "BASE"
SCENARIOS = ("sparse", "aliccp")
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
CLICKS, COMMON, ALL = "AUC, clicks", "CTCVR AUC, common pCTR, all", "AUC, all"
PAIRS = (
    ("ESMM-NS", BASE), ("control", BASE), ("ESMM", BASE), ("ESMM", "ESMM-NS"), ("ESMM", "control")
)  # fmt: skip


def published(method: str, column: int) -> float | None:
    """The paper's difference to BASE in points: CVR AUC on clicks, CTCVR AUC."""
    return None if method not in PAPER else round(PAPER[method][column] - PAPER[BASE][column], 2)


class Summary:
    """Metrics by scenario, method and seed; AUC in points, as in the paper."""

    def __init__(self, result: Result) -> None:
        self.settings, self.versions = result.metadata["settings"], result.metadata["versions"]
        self.frame = result.frame("scenario", "method", "seed").sort_index()
        self.scenarios = [s for s in SCENARIOS if s in self.frame.index.levels[0]]
        methods = (*PAPER, "control", "oracle")
        self.methods = [name for name in methods if name in self.frame.index.levels[1]]

    def values(self, scenario: str, metric: str) -> pd.Series:
        """Values by method and seed."""
        values: pd.Series = self.frame.loc[scenario][metric].astype(float)
        return 100 * values if "AUC" in metric else values

    def mean(self, scenario: str, metric: str, method: str) -> Pair:
        """Mean over the seeds."""
        return pair_of(self.values(scenario, metric)[method])

    def gap(self, scenario: str, metric: str, method: str, other: str = BASE) -> Pair:
        """A method minus another, paired over the seeds."""
        return paired(self.values(scenario, metric), method, other)

    def gaps(self, metric: str, method: str, other: str = BASE) -> str:
        """The difference in every scenario."""
        return " and ".join(
            self.gap(scenario, metric, method, other).text("+.2f") for scenario in self.scenarios
        )

    def biases(self, method: str, space: str = "all") -> str:
        """Relative bias in every scenario."""
        metric = f"relative bias, {space}"
        return " and ".join(self.mean(s, metric, method).text("+.0%") for s in self.scenarios)

    def seeds(self, scenario: str) -> int:
        """Seeds that every method has."""
        return int(self.frame.loc[scenario].groupby("method").size().min())

    def agreement(self, metric: str) -> str:
        """Rank correlation of differences to BASE with those of CVR AUC over all impressions."""
        correlations = []
        for scenario in self.scenarios:
            gaps = pd.DataFrame(
                [
                    [self.gap(scenario, name, method).mean for name in (metric, ALL)]
                    for method in self.methods
                    if method != BASE
                ]
            )
            correlations.append(f"{gaps.corr('spearman').loc[0, 1]:.2f}")
        return " and ".join(correlations)

    def as_in_the_paper(self, scenario: str) -> pd.DataFrame:
        """Both metrics of the paper, and the difference to BASE beside the published one."""
        titles = {"CVR AUC, clicks": CLICKS, "CTCVR AUC, all, common pCTR": COMMON}
        rows = []
        for method in self.methods:
            row = []
            for column, metric in enumerate(titles.values()):
                theirs = published(method, column)
                row += [
                    f"{self.mean(scenario, metric, method).mean:.2f}",
                    "" if method == BASE else self.gap(scenario, metric, method).text("+.2f"),
                    "" if theirs is None or method == BASE else f"{theirs:+.2f}",
                ]
            rows.append(row)
        columns = [name for title in titles for name in (title, "minus BASE", "paper")]
        return pd.DataFrame(rows, self.methods, columns)

    def against_the_truth(self, scenario: str) -> pd.DataFrame:
        """Metrics of pCVR against the true CVR over all impressions."""
        rows = {}
        for method in self.methods:
            area, loss = (self.gap(scenario, name, method) for name in (ALL, "log loss, all"))
            rows[method] = {
                "CVR AUC, all": f"{self.mean(scenario, ALL, method).mean:.2f}",
                "minus BASE": "" if method == BASE else area.text("+.2f"),
                "log loss, all": f"{self.mean(scenario, 'log loss, all', method).mean:.5f}",
                "minus BASE, nats / 1000": "" if method == BASE else loss.times(1000).text("+.2f"),
                "relative bias, all": self.mean(scenario, "relative bias, all", method).text(
                    "+.1%"
                ),
                "CTCVR AUC, all, own pCTR": (
                    f"{self.mean(scenario, 'CTCVR AUC, all', method).mean:.2f}"
                ),
            }
        return pd.DataFrame(rows).T

    def pairs(self) -> pd.DataFrame:
        """Differences of AUC from sharing embeddings and from the entire-space losses."""
        metrics = {"clicks": CLICKS, "all": ALL, "CTCVR": COMMON}
        rows = {
            f"{method} - {other}": {
                f"`{scenario}`, {title}": self.gap(scenario, metric, method, other).text("+.2f")
                for scenario in self.scenarios
                for title, metric in metrics.items()
            }
            for method, other in PAIRS
        }
        return pd.DataFrame(rows).T
