"""Plot of a simulation summary: five panels and its table."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mtl_seq.records import FloatArray
from mtl_seq.report.render.style import INK, Layout, panels, write_empty
from mtl_seq.report.simulation.summary_tables import SimulationResult

__all__ = ["simulation_figure"]

# Okabe and Ito's colours: all, clicks, non-clicks or conversions.
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"
_MOST_BARS = 48
_TOP = 0.97
_MOST_USER_BARS = 14
# In order of priority where not all fit.
_TICKS = (1e-6, 1e-5, 1e-4, 0.001, 0.01, 0.1, 0.9, 0.99, 0.5, 0.999, 0.3, 0.03, 0.003, 0.7, 0.97)


def simulation_figure(summary: SimulationResult) -> Figure:
    """Draw a simulation summary."""
    drawings = {
        "Propensity, all impressions": _histogram,
        "Overlap (expected under the truth)": _overlap,
        "CVR by propensity": _deciles,
        "Lorenz curve of items": _lorenz,
        "Conversions per user, in the log": _users,
        "Table; p = P(click | x)": _table,
    }
    figure, grid = panels(Layout(15, 3), len(drawings), 4.2)
    for axes, (title, draw) in zip(grid, drawings.items(), strict=True):
        axes.set_title(title, loc="left", fontsize=11)
        draw(axes, summary)
    return figure


def _histogram(axes: Axes, summary: SimulationResult) -> None:
    middle, width, shares = _coarse(summary.propensity, ["all"])
    axes.bar(middle, shares["all"], width, color=_BLUE, alpha=0.75)
    quantiles = [
        summary.table.loc[f"propensity, {q} quantile", "expected"] for q in ("1%", "50%", "99%")
    ]
    for value in quantiles:
        inside = np.clip(value, 1e-9, 1 - 1e-9)
        at = float(np.clip(np.log(inside) - np.log1p(-inside), middle[0], middle[-1]))
        axes.axvline(at, color=INK, lw=1, ls=":")
    text = " / ".join(f"{value:.2g}" for value in quantiles)
    axes.plot([], [], color=INK, lw=1, ls=":", label=f"1% / median / 99%: {text}")
    _legend_above(axes)
    _logit_axis(axes, middle)
    axes.set_ylabel("share of all impressions")


def _overlap(axes: Axes, summary: SimulationResult) -> None:
    middle, width, shares = _coarse(summary.propensity, ["clicks", "non-clicks"])
    for name, colour in (("clicks", _ORANGE), ("non-clicks", _GREEN)):
        axes.bar(middle, shares[name], width, color=colour, alpha=0.35)
        axes.step(middle, shares[name], where="mid", color=colour, lw=1.4, label=name)
    common = summary.table.loc["overlap of clicks and non-clicks", "expected"]
    axes.plot([], [], " ", label=f"overlap: {common:.0%}")
    _legend_above(axes)
    _logit_axis(axes, middle)
    axes.set_ylabel("share of clicks, and of non-clicks")


def _deciles(axes: Axes, summary: SimulationResult) -> None:
    deciles = summary.deciles
    place = deciles.index.to_numpy()
    for name, colour, marker in (
        ("all", _BLUE, "o"),
        ("non-clicks", _GREEN, "v"),
        ("clicks", _ORANGE, "s"),
    ):
        label = "all impressions" if name == "all" else name
        axes.plot(place, deciles[name], color=colour, marker=marker, ms=4, label=f"{label}, true")
    low, high = _wilson(deciles["drawn"].to_numpy(), deciles["drawn_clicks"].to_numpy())
    axes.vlines(
        place + 0.15, low, high, color=_ORANGE, alpha=0.5, lw=3, label="clicks, drawn: 90% CI"
    )
    labels = [f"{k}\n{_rate(p)}" for k, p in deciles["propensity"].items()]
    axes.set_xticks(place, labels, fontsize=7.5)
    # Wide intervals of few clicks are cut off.
    axes.set_ylim(0, 1.5 * float(deciles[["all", "clicks", "non-clicks"]].max().max()))
    axes.set(xlabel="decile of the propensity, with its mean", ylabel="CVR")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _lorenz(axes: Axes, summary: SimulationResult) -> None:
    if summary.items.empty:
        write_empty(axes, "no item column")
        return
    styles = (("impressions", _BLUE, "-"), ("clicks", _ORANGE, "--"), ("conversions", _GREEN, ":"))
    for name, colour, style in styles:
        if summary.items[name].notna().all():
            axes.plot(summary.items.index, summary.items[name], color=colour, ls=style, label=name)
    axes.plot([0, 1], [0, 1], color=INK, lw=0.8, label="all items equal")
    gini = summary.table.loc["Gini of items' impressions", "drawn"]
    axes.plot([], [], " ", label=f"Gini of impressions: {gini:.2f}")
    axes.set(xlabel="share of the items shown, least first", xlim=(0, 1), ylim=(0, 1))
    axes.set_ylabel("share of all impressions, clicks, conversions")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(frameon=False, fontsize=9)


def _users(axes: Axes, summary: SimulationResult) -> None:
    users = summary.users
    if users.empty:
        write_empty(axes, "no user column")
        return
    counts, share = users.index.to_numpy(), users.to_numpy() / users.sum()
    # The last bar holds the 0.5% of the users with the most conversions.
    most = max(1, int(counts[np.searchsorted(np.cumsum(share), 0.995)]))
    width = -(-most // (_MOST_USER_BARS - 2))
    bars = -(-most // width)
    bar = np.where(counts == 0, 0, np.minimum((counts - 1) // width, bars) + 1)
    heights = np.bincount(bar, share, minlength=bars + 2)
    starts = 1 + width * np.arange(bars)
    names = [f"{k}" if width == 1 else f"{k}-{k + width - 1}" for k in starts]
    last = starts[-1] + width
    names, heights = ["0", *names, f"{last}+"], heights[: bars + 2]
    axes.bar(range(len(names)), heights, color=_BLUE, alpha=0.75)
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=45 if width > 1 else 0)
    axes.set(xlabel="conversions in the log", ylabel="share of the users in the log")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _table(axes: Axes, summary: SimulationResult) -> None:
    axes.axis("off")
    heads = ((0.0, "left", ""), (0.78, "right", "drawn"), (1.0, "right", "expected"))
    for x, side, text in heads:
        axes.text(x, _TOP, text, ha=side, va="top", fontsize=9, weight="bold")
    for row, name in enumerate(map(str, summary.table.index), start=1):
        y = _TOP * (1 - row / (len(summary.table) + 1))
        axes.text(0, y, name, va="top", fontsize=9)
        for x, column in ((0.78, "drawn"), (1.0, "expected")):
            axes.text(x, y, summary.formatted(name, column), ha="right", va="top", fontsize=9)


def _coarse(
    steps: pd.DataFrame, names: list[str]
) -> tuple[FloatArray, FloatArray, dict[str, FloatArray]]:
    """Wider bars from the steps, without the outermost thousandths."""
    reached = np.cumsum(sum(steps[name].to_numpy() for name in names) / len(names))
    inner = steps[(reached > 0.0005) & (np.append(0, reached[:-1]) < 0.9995)]
    together = max(1, -(-len(inner) // _MOST_BARS))
    starts = np.arange(0, len(inner), together)
    low = inner["low"].to_numpy()[starts]
    high = np.append(low[1:], inner["high"].to_numpy()[-1])
    shares = {name: np.add.reduceat(inner[name].to_numpy(), starts) for name in names}
    return (low + high) / 2, high - low, shares


def _rate(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-") if value < 0.001 else f"{value:.3g}"[:6]


def _legend_above(axes: Axes) -> None:
    """Legend above the bars, whose heights are shares."""
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(top=axes.get_ylim()[1] * 1.3)
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _logit_axis(axes: Axes, middle: FloatArray) -> None:
    first, last = middle[0] - 0.5, middle[-1] + 0.5
    kept: list[float] = []
    for tick in _TICKS:
        place = float(np.log(tick) - np.log1p(-tick))
        apart = min((abs(place - other) for other in kept), default=np.inf)
        if first < place < last and apart > (last - first) / 11:
            kept.append(place)
    axes.set_xticks(kept, [_rate(1 / (1 + np.exp(-place))) for place in kept])
    axes.set_xlabel("propensity P(click | x), on a logit scale")


def _wilson(rate: FloatArray, count: FloatArray, z: float = 1.645) -> tuple[FloatArray, FloatArray]:
    count = np.maximum(count, 1)
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count)
    half = half * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return np.maximum(middle - half, 0), middle + half
