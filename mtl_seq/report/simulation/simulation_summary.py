"""Summary of a simulated log and its truth."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from mtl_seq.records import FunnelTruth
from mtl_seq.report.compute.serialise import to_json
from mtl_seq.report.simulation.accumulate import sum_chunks
from mtl_seq.report.simulation.summary_tables import (
    decile_table,
    lorenz_table,
    main_table,
    propensity_table,
)
from mtl_seq.schema import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SimulationSummary"]


@dataclass(frozen=True, eq=False)
class SimulationSummary:
    """Rates, propensities, overlap and concentration of a simulated log and its truth.

    Attributes:
        table: By name: the space, the value in the drawn log (``drawn``) and its expectation under
            the truth (``expected``); NaN where one of them does not apply. p is P(click | x). Rows
            with ``mature`` count conversions that the log does not yet hold.
        deciles: By tenth of the impressions in order of their propensity P(click | x), the lowest
            first: ``impressions``, mean ``propensity``, true CVR over ``all``, ``clicks`` and
            ``non-clicks``, ``drawn`` (CVR of the drawn clicks) and ``drawn_clicks`` (their number).
            Tenths are cut at steps of 1/64 in the logit, so that they are near-equal; fewer than
            ten where many impressions share one propensity.
        propensity: Share of all impressions, of expected clicks and of expected non-clicks by step
            of the propensity's logit (``low``, ``high``).
        items: Lorenz curve: by share of items, least shown first, their share of ``impressions``,
            ``clicks`` and ``conversions``, each in its own order. Empty without an item column.
        users: Number of users with 0, 1, 2, ... conversions. Empty without a user column.
    """

    table: pd.DataFrame
    deciles: pd.DataFrame
    propensity: pd.DataFrame
    items: pd.DataFrame
    users: "pd.Series[int]"

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

    def formatted(self, name: str, column: str) -> str:
        """A cell of the table as text: counts with commas, rates in per cent, NaN empty."""
        value = float(self.table.loc[name, column])
        if np.isnan(value):
            return ""
        if name.startswith("CVR on clicks /"):
            return f"{value:.2f}"
        if name.startswith(("CTR", "CVR", "users", "effective sample size /")):
            return f"{value:.3%}"
        if name.startswith(("propensity", "Gini", "overlap")):
            return f"{value:.3g}"
        return f"{value:,.0f}"

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

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form of the table and the deciles; NaN becomes null."""
        frames = {"table": self.table.reset_index(), "deciles": self.deciles.reset_index()}
        return {name: to_json(frame) for name, frame in frames.items()}
