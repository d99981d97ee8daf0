"""Mean CVR over all impressions by assumed odds ratio."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from mtl_seq.report.compute.sensitivity import Sensitivity
from mtl_seq.report.render.style import ACCENT, FAINT, GREY, INK, SIZE, WIDE, canvas, legend, styles

__all__ = ["curve_figure", "draw_sensitivity"]

_TICKS = {0.2: "1/5", 1 / 3: "1/3", 0.5: "1/2", 1.0: "1", 2.0: "2", 3.0: "3", 5.0: "5"}


def curve_figure(curve: Sensitivity) -> Figure:
    """Draw the curve, its ranges, and each model's mean pCVR."""
    figure, axes = canvas(WIDE, 4.2)
    draw_sensitivity(axes, curve)
    axes.set_title(
        f"Mean CVR over all impressions, from pCTR and pCTCVR of {curve.base}",
        loc="left",
        fontsize=SIZE + 1,
        pad=18,
    )
    legend(figure, axes, WIDE)
    return figure


def draw_sensitivity(
    axes: Axes, curve: Sensitivity, *, truth: tuple[float, float] | None = None
) -> None:
    """Draw one curve into a panel.

    Args:
        axes: The panel.
        curve: The curve, of at least one odds ratio.
        truth: In a simulation, the odds ratio and the mean CVR that are true.
    """
    low, high = float(curve.psi[0]), float(curve.psi[-1])
    for gamma in sorted(curve.ranges, reverse=True):
        axes.axvspan(1 / gamma, gamma, color=FAINT, alpha=0.22, lw=0, zorder=0)
        axes.text(
            gamma,
            1.01,
            f"G = {gamma:g}",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=SIZE - 2,
            color=GREY,
        )
    for style, row in zip(
        styles(list(curve.models["model"])), curve.models.itertuples(), strict=True
    ):
        axes.axhline(row.mean_pcvr, color=style.colour, lw=1.0, ls="--", alpha=0.7)
        psi = row.psi_unbiased
        inside = math.isfinite(psi) and low <= psi <= high
        text = f"unbiased at psi = {psi:.2f}" if math.isfinite(psi) else "unbiased at no psi"
        axes.plot(
            [psi] if inside else [],
            [row.mean_pcvr] if inside else [],
            color=style.colour,
            marker=style.marker,
            ms=7,
            ls="--",
            lw=1.2,
            label=f"{style.label}: {text}",
        )
    axes.plot(curve.psi, curve.mean, color=INK, lw=2.2, label="mean CVR at psi")
    if truth is not None:
        axes.plot(*truth, ls="", marker="*", ms=15, color=ACCENT, label="truth", zorder=5)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_minor_locator(NullLocator())
    shown = {tick: text for tick, text in _TICKS.items() if low * 0.999 <= tick <= high * 1.001}
    axes.set_xticks(list(shown), list(shown.values()))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("psi, assumed odds ratio of click and potential conversion")
    axes.set_ylabel("mean CVR, all impressions")
