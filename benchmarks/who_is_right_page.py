"""The tables and the map of benchmarks/who_is_right.py.

    python benchmarks/who_is_right_page.py

writes them anew between the marks of docs/who_is_right.md; a test holds the page to them.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pages import filled, markdown
from study import Pair, compared, pair_of

RESULT = Path(__file__).parent / "results" / "who_is_right.json"
PAGE = Path(__file__).parents[1] / "docs" / "who_is_right.md"
NAIVE, CONTROL, ORACLE = "click_space", "multitask", "oracle"
ORDER = (NAIVE, CONTROL, "esmm", "escm2_ips", "escm2_dr", "dcmt", "default", ORACLE)
BIAS, LOSS = "relative bias, all", "log loss, all"
CEILING = "relative bias of P(r | x, click), all"
TITLES = {
    "dense": "nothing wrong (dense)",
    "cvr_blind": "CVR tower blind",
    "ctr_blind": "CTR tower blind",
    "hidden": "hidden confounder",
    "mnar": "click depends on\nconversion (mnar)",
    "low_overlap": "little overlap",
}
Records = Sequence[Mapping[str, Any]]
Place = tuple[str, float]


class Map:
    """Figures of every method by world and correlation."""

    def __init__(self, records: Records) -> None:
        frame = pd.DataFrame(records)
        self.frame = frame.set_index(["world", "rho", "method", "seed"]).sort_index()
        self.worlds = [name for name in TITLES if name in set(frame["world"])]
        self.rhos = sorted(set(frame["rho"]))
        self.methods = [name for name in ORDER if name in set(frame["method"])]
        self.seeds = int(frame.groupby(["world", "rho", "method"]).size().min())

    @property
    def places(self) -> list[Place]:
        """World and correlation."""
        return [(world, rho) for world in self.worlds for rho in self.rhos]

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
    seeds = f"{found.seeds} seed" + ("s" if found.seeds > 1 else "")
    return {
        "setting": f"{seeds}; {said_of_rows(content)}.",
        "bias": grid(found, [NAIVE, *shown], lambda p, m: found.bias(p, m).said("+.1%"), True),
        "loss": grid(
            found, [NAIVE, *shown[:-1]], lambda p, m: thousandths(found.above(p, m)), False
        ),
        "leaders": markdown(
            pd.DataFrame(
                {
                    f"rho {rho:+g}": [
                        "all within noise"
                        if len(found.leaders((world, rho))) == len(found.methods) - 2
                        else ", ".join(found.leaders((world, rho)))
                        for world in found.worlds
                    ]
                    for rho in found.rhos
                },
                index=[f"`{world}`" for world in found.worlds],
            ),
            "",
        ),
    }


def said_of_rows(content: Mapping[str, Any]) -> str:
    """Rows and versions of a kept result."""
    settings = content["settings"]
    return (
        f"{settings['rows']:,} impressions to train on, {settings['test_rows']:,} to test on; "
        f"{content['versions']}"
    )


def thousandths(pair: Pair) -> str:
    """Nats over a thousand."""
    return Pair(1000 * pair.mean, 1000 * pair.error, pair.seeds).said("+.1f")


def grid(
    found: Map, methods: Sequence[str], say: Callable[[Place, str], str], ceiling: bool
) -> str:
    """A world and a correlation a line, a method a column."""
    rows = {}
    for place in found.places:
        row = {f"`{m}`": say(place, m) for m in methods}
        if ceiling:
            # A bias of 0 in exact arithmetic has no sign.
            at = round(found.of(place, CEILING).mean(), 6) + 0.0
            row["P(r \\| x, click)"] = f"{at:+.1%}"
        rows[f"`{place[0]}`, {place[1]:+g}"] = row
    return markdown(pd.DataFrame(rows).T, "world, rho")


def the_map(records: Records) -> Figure:
    """Relative bias, and the gap closed: a panel a method, a row a world, a column a rho."""
    found = Map(records)
    shown = [m for m in found.methods if m != NAIVE]
    figure = Figure(figsize=(2.0 + 2.05 * len(shown), 6.4), layout="constrained")
    axes = figure.subplots(2, len(shown), squeeze=False)
    for column, method in enumerate(shown):
        biases = _values(found, lambda p, m=method: found.bias(p, m).mean)
        _panel(axes[0, column], found, biases, "RdBu_r", (-0.6, 0.6))
        axes[0, column].set_title(method, fontsize=9)
        if method == ORACLE:  # all of it, by definition
            axes[1, column].set_axis_off()
            continue
        closed = _values(found, lambda p, m=method: found.closed(p, m))
        _panel(axes[1, column], found, closed, "RdYlBu", (-1.0, 1.0))
        axes[1, column].set_xlabel("rho", fontsize=8)
    for row, title in enumerate(("relative bias, %", "gap closed, %")):
        axes[row, 0].set_yticks(
            range(len(found.worlds)), [TITLES[w] for w in found.worlds], fontsize=8
        )
        axes[row, 0].set_ylabel(title, fontsize=10)
        for panel in axes[row, 1:]:
            panel.set_yticks([])
    figure.suptitle(
        "pCVR over all impressions, held to the true CVR. Above: relative bias. Below: share of "
        "the log loss between\nthe naive model and the oracle that is closed; grey: no gap beyond "
        f"two standard errors. Seeds: {found.seeds}",
        fontsize=10,
    )
    return figure


def _values(found: Map, value: Callable[[Place], float]) -> np.ndarray:
    return np.array([[value((w, r)) for r in found.rhos] for w in found.worlds])


def _panel(
    axes: Axes, found: Map, values: np.ndarray, colours: str, bounds: tuple[float, float]
) -> None:
    axes.set_facecolor("#DDDDDD")
    low, high = bounds
    axes.imshow(
        np.ma.masked_invalid(values), cmap=colours, vmin=low, vmax=high, aspect="auto"
    )  # fmt: skip
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = abs(value) > 0.75 * high
            text = f"{100 * value:+.0f}" if abs(value) < 9.995 else "<-999" if value < 0 else ">999"
            axes.text(
                column, row, text, ha="center", va="center", fontsize=7.5,
                color="white" if dark else "#222222",
            )  # fmt: skip
    axes.set_xticks(range(len(found.rhos)), [f"{rho:g}" for rho in found.rhos], fontsize=7)
    axes.tick_params(length=0)


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
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page, blocks(content["cells"], content)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
