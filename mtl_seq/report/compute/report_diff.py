"""Changes of a report against an older one."""

from mtl_seq.report.compute.metrics import KEY_COLUMNS, Estimate
from mtl_seq.report.compute.result import (
    CHANGE_COLUMNS,
    METADATA_COLUMNS,
    Changes,
    ReportResult,
)
from mtl_seq.report.compute.serialise import make_frame

__all__ = ["changes_between"]


def changes_between(older: ReportResult, newer: ReportResult) -> Changes:
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
