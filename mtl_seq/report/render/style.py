"""Style and layout of figures; pyplot and its global state are not used."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    *("ACCENT", "BAND", "FAINT", "GREY", "INK", "NARROW", "SIZE", "WIDE"),
    *("Layout", "Style", "canvas", "legend", "legend_height", "panels", "signed_percent", "styles"),
    "write_empty",
]

INK, GREY, FAINT, BAND = "#222222", "#6B6B6B", "#C4C4C4", "#F4F4F4"
ACCENT = "#B45309"
SIZE = 9
"""Size of all text in points, at the width of the layout."""

_LINE, _LETTER, _MARK = 0.19, 0.078, 0.55
"""Inches of a text line, a letter, and a line sample in a legend."""

# Okabe and Ito's colours, which colour-blind readers can distinguish.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D1F", "#5B5B5B")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


class Layout(NamedTuple):
    """Layout of a figure.

    Attributes:
        width: Inches; scaled to the width of the page, text stays legible.
        columns: Panels side by side.
    """

    width: float
    columns: int


WIDE = Layout(9.2, 3)
NARROW = Layout(3.9, 1)


class Style(NamedTuple):
    """Label, colour and marker of a model."""

    name: str
    label: str
    colour: str
    marker: str


def styles(models: Sequence[str]) -> list[Style]:
    """Style of each model."""
    return [
        # A label that begins with an underscore would be left out of the legend.
        Style(
            name,
            f" {name}" if name.startswith("_") else name,
            _COLOURS[i % len(_COLOURS)],
            # Shifted each time the colours repeat, so that no two models look alike.
            _MARKERS[(i + i // len(_COLOURS)) % len(_MARKERS)],
        )
        for i, name in enumerate(models)
    ]


def canvas(layout: Layout, height: float) -> tuple[Figure, Axes]:
    """A figure with one panel; height in inches."""
    figure, grid = panels(layout, 1, height)
    return figure, grid[0]


def panels(
    layout: Layout, count: int, height: float, *, columns: int | None = None, rows: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of some panels, each of a height in inches.

    `columns` side by side, by default all that fit; `rows`: the panels of a row share their axis.
    """
    beside = min(count, layout.columns if columns is None else min(columns, layout.columns))
    stacked = -(-count // beside)
    figure = Figure(figsize=(layout.width, height * stacked), layout="constrained")
    share: Any = "row" if rows else False
    grid = list(figure.subplots(stacked, beside, squeeze=False, sharey=share).ravel())
    for spare in grid[count:]:
        spare.set_visible(False)
    for axes in grid[:count]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
        axes.tick_params(labelsize=SIZE, color=GREY, labelcolor=INK)
        axes.grid(axis="y", color=FAINT, lw=0.5)
        axes.set_axisbelow(True)
        for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
            label.set_fontsize(SIZE)
    return figure, grid[:count]


def write_empty(axes: Axes, why: str) -> None:
    """Write why a panel holds nothing, instead of its ticks."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", color=GREY)
    axes.set(xticks=[], yticks=[])


def signed_percent(value: float) -> str:
    """A tick of an axis of relative bias."""
    return f"{100 * value:+.3g}%" if abs(value) > 1e-9 else "0%"


def legend_height(labels: Sequence[str], layout: Layout) -> float:
    """Inches of a legend below the panels; 0 where it stands beside them."""
    if layout.columns > 1:
        return 0.0
    return _LINE * -(-len(labels) // _beside(labels, layout))


def legend(figure: Figure, axes: Axes, layout: Layout, *, below: bool = False) -> None:
    """Legend beside the panels, or below them: always on a phone."""
    handles, labels = axes.get_legend_handles_labels()
    settings: dict[str, Any] = {"frameon": False, "fontsize": SIZE}
    if layout.columns == 1 or below:
        columns = _beside(labels, layout)
        figure.legend(handles, labels, loc="outside lower left", ncols=columns, **settings)
    else:
        figure.legend(handles, labels, loc="outside right upper", **settings)


def _beside(labels: Sequence[str], layout: Layout) -> int:
    """Number of legend entries that fit side by side."""
    width = _MARK + _LETTER * max(map(len, labels), default=1)
    return max(1, min(len(labels), int(layout.width / width)))
