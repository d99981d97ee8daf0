"""What is new in a report against an older one."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

__all__ = ["CHANGE_COLUMNS", "FACT_COLUMNS", "Changes", "changes_between"]

CHANGE_COLUMNS = ("model", "figure", "before", "after", "change", "apart")
FACT_COLUMNS = ("fact", "before", "after")


class Changes(NamedTuple):
    """What is new; the two reports may be of other rows, so no change has a paired interval.

    Attributes:
        figures: A row per model of both reports and figure of the table: ``before``, ``after``,
            their difference ``change``, and ``apart``: whether their intervals do not overlap
            (None where one has none).
        metadata: Facts that differ: ``fact``, ``before``, ``after`` as text; ``""`` where absent.
        added: Models that are new.
        removed: Models that are gone.
    """

    figures: pd.DataFrame
    metadata: pd.DataFrame
    added: tuple[str, ...]
    removed: tuple[str, ...]


def changes_between(
    before: tuple[pd.DataFrame, Sequence[str], Mapping[str, Any]],
    after: tuple[pd.DataFrame, Sequence[str], Mapping[str, Any]],
    columns: Mapping[str, tuple[str, str, str]],
) -> Changes:
    """Compare two reports.

    Args:
        before: Metrics (long form), models and metadata of the older one.
        after: Those of the newer one.
        columns: By figure of the table, its quantity, space and metric.

    Returns:
        The changes.
    """
    keys = ["model", "quantity", "space", "metric"]
    old, new = (metrics.set_index(keys) for metrics, *_ in (before, after))
    shared = [name for name in after[1] if name in before[1]]
    records = []
    for figure, at in columns.items():
        for model in shared:
            if (model, *at) not in old.index or (model, *at) not in new.index:
                continue
            one, two = (
                table.loc[(model, *at), ["value", "low", "high"]].astype(float)
                for table in (old, new)
            )
            apart = None
            if one.notna().all() and two.notna().all():
                apart = bool(one["high"] < two["low"] or two["high"] < one["low"])
            values = (one["value"], two["value"], two["value"] - one["value"])
            records.append((model, figure, *values, apart))
    metadata = [
        (fact, _text(before[2].get(fact)), _text(after[2].get(fact)))
        for fact in dict.fromkeys((*after[2], *before[2]))
        if before[2].get(fact) != after[2].get(fact)
    ]
    return Changes(
        pd.DataFrame(records, columns=list(CHANGE_COLUMNS)),
        pd.DataFrame(metadata, columns=list(FACT_COLUMNS)),
        tuple(name for name in after[1] if name not in before[1]),
        tuple(name for name in before[1] if name not in after[1]),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)
