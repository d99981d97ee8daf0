"""Summary of a simulated log and its truth."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pandas as pd

from mtl_seq.records import FunnelTruth
from mtl_seq.report.simulation.accumulate import sum_chunks
from mtl_seq.report.simulation.summary_tables import (
    SimulationResult,
    decile_table,
    lorenz_table,
    main_table,
    propensity_table,
)
from mtl_seq.schema import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SimulationSummary"]


class SimulationSummary(SimulationResult):
    """Rates, propensities, overlap and concentration of a simulated log and its truth.

    Created by `from_log` or `from_chunks`; the attributes are those of `SimulationResult`.
    """

    @classmethod
    def from_log(
        cls, log: pd.DataFrame, truth: FunnelTruth, schema: Schema, *, item: str | None = "item_id"
    ) -> Self:
        """Summarise a log and its truth.

        Args:
            log: The log.
            truth: The truth of the same rows.
            schema: The roles of the log's columns; ``group`` is the user.
            item: Column of the item shown; None for none.

        Raises:
            DataError: No rows, or a truth of another length.

        >>> import numpy as np
        >>> from mtl_seq import simulate
        >>> simulator = simulate.scenario("clean")
        >>> log, truth = simulator.sample(5000, np.random.default_rng(0))
        >>> summary = SimulationSummary.from_log(log, truth, simulator.schema)
        >>> summary.table.loc["CVR over all impressions", "space"]
        'all'
        """
        return cls.from_chunks([(log, truth)], schema, item=item)

    @classmethod
    def from_chunks(
        cls,
        chunks: Iterable[tuple[pd.DataFrame, FunnelTruth]],
        schema: Schema,
        *,
        item: str | None = "item_id",
    ) -> Self:
        """Summarise a log of any size, such as ``simulate.read_shards`` yields it.

        Memory holds one chunk, and a row for each user and item.

        Args:
            chunks: Rows of the log, with their truth.
            schema: The roles of the log's columns; ``group`` is the user.
            item: Column of the item shown; None for none.

        Raises:
            DataError: No rows, or a truth of another length.
        """
        sums = sum_chunks(chunks, schema, item)
        return cls(
            table=main_table(sums, schema),
            deciles=decile_table(sums.steps),
            propensity=propensity_table(sums.steps),
            items=lorenz_table(sums.items),
            users=sums.users["conversions"].astype(int).value_counts().sort_index(),
        )

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Draw five panels and the table.

        Args:
            path: PNG or SVG file to write too; None for none.

        Returns:
            The Matplotlib figure.
        """
        from mtl_seq.report.render.plot_bias import save
        from mtl_seq.report.simulation.simulation_plot import simulation_figure

        return save(simulation_figure(self), path)
