"""Changes of a report against an older one."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, Self

import pandas as pd

from mtl_seq.report.compute.metrics import KEY_COLUMNS, Estimate, MetricKey
from mtl_seq.report.compute.serialise import NUMBER, TEXT, make_frame

__all__ = ["CHANGE_COLUMNS", "METADATA_COLUMNS", "Changes", "changes_between"]

CHANGE_COLUMNS = {
    **dict.fromkeys(KEY_COLUMNS, TEXT),
    **dict.fromkeys(("before", "after", "change"), NUMBER),
    "disjoint": object,
}
METADATA_COLUMNS = dict.fromkeys(("name", "before", "after"), TEXT)


class Report(Protocol):
    """What of a report is compared."""

    @property
    def metrics(self) -> pd.DataFrame:
        """Metrics in long form."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the report was made from."""

    @property
    def columns(self) -> Mapping[Any, MetricKey]:
        """Main metrics by column of the table."""


class Changes(NamedTuple):
    """Changes; the two reports may be of other rows, so no change has a paired interval.

    Attributes:
        metrics: A row per model of both reports and metric of the table: ``before``, ``after``,
            their difference ``change``, and ``disjoint``: whether their intervals do not overlap
            (None where one has none).
        metadata: Metadata that differ: ``name``, ``before``, ``after`` as text, ``""`` if absent.
        added: Models that only the newer report has.
        removed: Models that only the older report has.
    """

    metrics: pd.DataFrame
    metadata: pd.DataFrame
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read the JSON form."""
        return cls(
            make_frame(content["metrics"], CHANGE_COLUMNS),
            make_frame(content["metadata"], METADATA_COLUMNS),
            tuple(content["added"]),
            tuple(content["removed"]),
        )


def changes_between(older: Report, newer: Report) -> Changes:
    """Compare two reports.

    Args:
        older: The older report.
        newer: The newer one, whose main metrics are compared.

    Returns:
        The changes.
    """
    before, after = (report.metrics.set_index(KEY_COLUMNS) for report in (older, newer))
    shared = [name for name in newer.models if name in older.models]
    columns = list(Estimate._fields)
    records = []
    for key in newer.columns.values():
        for model in shared:
            if (model, *key) not in before.index or (model, *key) not in after.index:
                continue
            old, new = (
                table.loc[(model, *key), columns].astype(float) for table in (before, after)
            )
            disjoint = None
            if old.notna().all() and new.notna().all():
                disjoint = bool(old["high"] < new["low"] or new["high"] < old["low"])
            values = (old["value"], new["value"], new["value"] - old["value"])
            records.append((model, *key, *values, disjoint))
    metadata = [
        (name, _text(older.metadata.get(name)), _text(newer.metadata.get(name)))
        for name in dict.fromkeys((*newer.metadata, *older.metadata))
        if older.metadata.get(name) != newer.metadata.get(name)
    ]
    return Changes(
        make_frame(records, CHANGE_COLUMNS),
        make_frame(metadata, METADATA_COLUMNS),
        tuple(name for name in newer.models if name not in older.models),
        tuple(name for name in older.models if name not in newer.models),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)
