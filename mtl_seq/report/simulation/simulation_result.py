"""Values of a simulation summary."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mtl_seq.report.compute.serialise import to_json

__all__ = ["SimulationResult"]


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """The tables of a simulation summary.

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

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form of the table and the deciles; NaN becomes null."""
        frames = {"table": self.table.reset_index(), "deciles": self.deciles.reset_index()}
        return {name: to_json(frame) for name, frame in frames.items()}
