"""Use of the experts by each tower: summary, warnings, plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError
from mtl_seq.records import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["gate_summary", "gate_warnings", "plot_gates"]

_ALL = "all"
_DEAD, _ALONE = 0.01, 0.95


def gate_summary(
    towers: Sequence[str], share: FloatArray, segment: pd.Series | None = None
) -> pd.DataFrame:
    """Mean gate weight of each expert by tower, and how even the weights are.

    Args:
        towers: Names of the T towers.
        share: ``(N, T, E)`` gate weights; they sum to 1 over the experts.
        segment: ``(N,)`` a column to group the rows by.

    Returns:
        A row per segment and tower, all impressions (``"all"``) first: the mean share of each
        expert, ``entropy`` (mean over rows of the share's entropy over that of an even spread, 0 to
        1; NaN with one expert), ``busiest`` (the largest mean share) and ``rows``.

    Raises:
        DataError: Shares of another shape, that do not sum to 1, or no rows.
    """
    _check(towers, share, segment)
    segments: dict[str, NDArray[np.bool_]] = {_ALL: np.ones(len(share), dtype=bool)}
    if segment is not None:
        for value in segment.value_counts().index:
            segments[f"{segment.name}={value}"] = (segment == value).to_numpy()
    records = []
    for name, rows in segments.items():
        for index, tower in enumerate(towers):
            weights = share[rows, index]
            mean = weights.mean(0)
            experts = {f"expert {e}": float(value) for e, value in enumerate(mean)}
            spread = {"entropy": _entropy(weights), "busiest": float(mean.max())}
            records.append(
                {"segment": name, "tower": tower, **experts, **spread, "rows": int(rows.sum())}
            )
    return pd.DataFrame(records).set_index(["segment", "tower"])


def gate_warnings(summary: pd.DataFrame) -> list[str]:
    """Warnings on the use of the experts over all impressions.

    Returns:
        A sentence for each expert whose share is below 1% in every tower, and for each tower that
        gives one expert more than 95%.
    """
    rows = summary.loc[_ALL]
    experts = _experts(rows)
    dead = [
        f"{expert} is dead: no tower gives it more than {rows[expert].max():.1%}; fewer experts, "
        "gate dropout or a higher temperature may help"
        for expert in experts
        if rows[expert].max() < _DEAD
    ]
    return dead + [
        f"tower {tower!r} gives {max(experts, key=lambda e: row[e])} {row['busiest']:.1%}: the "
        "other experts are not used by this tower"
        for tower, row in rows.iterrows()
        if row["busiest"] > _ALONE and len(experts) > 1
    ]


def plot_gates(summary: pd.DataFrame, path: str | Path | None = None) -> "Figure":
    """Draw a heat map, tower by expert, one panel per segment.

    Args:
        summary: Output of `gate_summary`.
        path: PNG or SVG file to write too; None for none.

    Returns:
        The Matplotlib figure.
    """
    from matplotlib.figure import Figure

    from mtl_seq.report.render.plot_bias import save

    segments = list(dict.fromkeys(summary.index.get_level_values("segment")))[:7]
    experts = _experts(summary)
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
    return save(figure, path)


def _experts(summary: pd.DataFrame) -> list[str]:
    return [column for column in summary if str(column).startswith("expert ")]


def _entropy(share: FloatArray) -> float:
    if share.shape[1] < 2:
        return float("nan")
    terms = np.where(share > 0, -share * np.log(np.maximum(share, 1e-300)), 0.0)
    return float(terms.sum(1).mean() / np.log(share.shape[1]))


def _check(towers: Sequence[str], share: FloatArray, segment: pd.Series | None) -> None:
    if share.ndim != 3 or share.shape[1] != len(towers) or len(share) == 0:
        raise DataError(
            f"`share` must be (rows, {len(towers)} towers, experts) with at least one row, found "
            f"{share.shape}"
        )
    if not np.allclose(share.sum(2), 1, atol=1e-4):
        raise DataError("`share` must add up to 1 over the experts of each row and tower")
    if segment is not None and len(segment) != len(share):
        raise DataError(
            f"`segment` must have one value per row, {len(share):,}, found {len(segment):,}"
        )
