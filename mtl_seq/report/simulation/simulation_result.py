"""What a description of a scenario holds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["Description"]


@dataclass(frozen=True)
class Description:
    """What a scenario's log and truth are like.

    Attributes:
        table: By figure: the space it is on, what the draws came to (``drawn``) and what the truth
            expects (``expected``); NaN where one of them does not apply. p is P(click | x).
        deciles: By tenth of the impressions in order of their propensity P(click | x), the lowest
            first: ``impressions``, mean ``propensity``, true CVR over ``all``, ``clicks`` and
            ``non-clicks``, ``seen`` (conversions a click, drawn) and ``clicked`` (how many clicks).
            Tenths are cut at steps of 1/64 in the logit, so that they are near-equal; fewer than
            ten where many impressions share one propensity.
        propensity: Share of all impressions, of expected clicks and of expected non-clicks by step
            of the propensity's logit (``low``, ``high``).
        items: Lorenz curve: by share of items, least shown first, their share of ``impressions``,
            ``clicks`` and ``conversions``, each in its own order. Empty without an item column.
        users: How many users had 0, 1, 2, ... conversions. Empty without a user column.
    """

    table: pd.DataFrame
    deciles: pd.DataFrame
    propensity: pd.DataFrame
    items: pd.DataFrame
    users: "pd.Series[int]"

    def shown(self, figure: str, column: str) -> str:
        """A cell of the table as it is read: counts with commas, rates in percent, NaN empty."""
        value = float(self.table.loc[figure, column])
        if np.isnan(value):
            return ""
        if figure.startswith("CVR on clicks /"):
            return f"{value:.2f}"
        if figure.startswith(("CTR", "CVR", "users", "the same")):
            return f"{value:.3%}"
        if figure.startswith(("propensity", "Gini", "overlap")):
            return f"{value:.3g}"
        return f"{value:,.0f}"

    def to_dict(self) -> dict[str, Any]:
        """The table and the deciles, ready for JSON; what does not apply is None."""
        return {
            "table": _records(self.table.reset_index()),
            "deciles": _records(self.deciles.reset_index()),
        }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object)
    records: list[dict[str, Any]] = plain.where(frame.notna(), None).to_dict("records")
    return records
