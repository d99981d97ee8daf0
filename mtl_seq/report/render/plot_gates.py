"""Use of the experts as a heat map."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

__all__ = ["gate_figure"]


def gate_figure(summary: pd.DataFrame) -> Figure:
    """Mean share of each expert by tower, one panel per segment.

    Args:
        summary: Output of `gate_summary`.
    """
    segments = list(dict.fromkeys(summary.index.get_level_values("segment")))[:7]
    experts = [column for column in summary if str(column).startswith("expert ")]
    towers = list(summary.loc[segments[0]].index)
    height = 0.9 + 0.42 * len(towers)
    figure = Figure(figsize=(2.4 + 0.75 * len(experts), height * len(segments)))
    panels = figure.subplots(len(segments), 1, squeeze=False)[:, 0]
    for panel, segment in zip(panels, segments, strict=True):
        values = summary.loc[segment, experts].to_numpy(dtype=np.float64)
        panel.imshow(values, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        for row, column in np.ndindex(*values.shape):
            colour = "white" if values[row, column] > 0.55 else "#222222"
            text = f"{values[row, column]:.0%}"
            panel.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        panel.set_yticks(range(len(towers)), towers)
        panel.set_xticks(range(len(experts)), experts if panel is panels[-1] else [])
        count = int(summary.loc[segment, "rows"].iloc[0])
        panel.set_title(f"{segment} ({count:,} rows)", loc="left", fontsize=10)
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0)
    figure.suptitle("Mean share of each expert, by tower", x=0.02, ha="left", fontsize=11)
    figure.tight_layout()
    return figure
