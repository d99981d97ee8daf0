"""Figures of the MMoE paper's synthetic study."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.papers.mmoe_training import COSINES, EVERY
from mtl_seq.report.render.plot_bias import save

__all__ = ["draw"]


def draw(curves: dict[str, np.ndarray], distance: dict[str, np.ndarray], folder: Path) -> None:
    """Draw final losses, convergence and gate distances."""
    colours = dict(zip(curves, ("#5B5B5B", "#E69F00", "#56B4E9", "#0072B2"), strict=True))
    figure = Figure(figsize=(9, 3.6))
    axes = figure.subplots(1, len(COSINES), sharey=True)
    for index, (panel, p) in enumerate(zip(axes, COSINES, strict=True)):
        data = [curve[-1, index] for curve in curves.values()]
        boxes = panel.boxplot(data, whis=(0, 100), widths=0.6, patch_artist=True)
        for patch, name in zip(boxes["boxes"], curves, strict=True):
            patch.set(facecolor=colours[name], alpha=0.6)
        for line in boxes["medians"]:
            line.set_color("#222222")
        panel.set_xticks(range(1, len(curves) + 1), list(curves), rotation=40, ha="right")
        panel.set_title(f"p = {p:g}", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("final test loss\n(squared error, mean of two tasks)")
    figure.suptitle("Final loss over seeds: quartiles, whiskers to best and worst", fontsize=11)
    save(figure, folder / "mmoe_study_loss.png")
    figure = Figure(figsize=(9, 3.2))
    axes = figure.subplots(1, len(COSINES), sharey=True)
    steps = np.arange(len(next(iter(curves.values())))) * EVERY
    for index, (panel, p) in enumerate(zip(axes, COSINES, strict=True)):
        for name, curve in curves.items():
            panel.plot(steps, np.median(curve[:, index], 1), color=colours[name], label=name)
        panel.set_title(f"p = {p:g}", fontsize=10)
        panel.set_yscale("log")
        panel.set_xlabel("steps")
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("median test loss (log scale)")
    axes[-1].legend(frameon=False, fontsize=8)
    figure.suptitle("Test loss on the way", fontsize=11)
    save(figure, folder / "mmoe_study_convergence.png")
    figure = Figure(figsize=(5, 3.4))
    panel = figure.subplots()
    boxes = panel.boxplot(list(distance["end"]), whis=(0, 100), widths=0.5, patch_artist=True)
    for patch in boxes["boxes"]:
        patch.set(facecolor=colours["MMoE"], alpha=0.6)
    panel.axhline(float(distance["start"].mean()), color="#222222", ls=":", label="at the start")
    panel.set_xticks(range(1, len(COSINES) + 1), [f"{p:g}" for p in COSINES])
    panel.set_xlabel("cosine of the tasks' weights, p")
    panel.set_ylabel("distance of the two gates\n(Jensen-Shannon, 0 alike to 1 apart)")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    save(figure, folder / "mmoe_study_gates.png")
