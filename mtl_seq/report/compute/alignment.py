"""Predictions of any source: read, with mapped columns, aligned to the rows of the log."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import read_frame
from mtl_seq.errors import DataError, rows_text

__all__ = [
    *("QUANTITIES", "Columns", "Source", "align_rows", "checkpoint_rules", "column_names"),
    "prediction_frame",
]

QUANTITIES = ("pctr", "pcvr", "pctcvr")

Source: TypeAlias = "pd.DataFrame | str | Path"
Columns: TypeAlias = Mapping[str, str] | Mapping[str, Mapping[str, str]]


def column_names(columns: Columns | None, models: list[str]) -> dict[str, dict[str, str]]:
    """By model, the column of all three quantities; `columns` as documented at `BiasReport`."""
    mapping = dict(columns or {})
    nested = any(isinstance(value, Mapping) for value in mapping.values())
    names = {name: {quantity: quantity for quantity in QUANTITIES} for name in models}
    for name, value in mapping.items():
        if nested != isinstance(value, Mapping):
            raise DataError(
                "`columns` must map quantities to columns, or models to such mappings, found both: "
                '{"pcvr": "my_cvr"} or {"my model": {"pcvr": "my_cvr"}}'
            )
        if nested and name not in names:
            raise DataError(f"`columns` must name models {models}, found {name!r}")
    by_model = mapping if nested else dict.fromkeys(models, mapping)
    for name, own in by_model.items():
        for quantity, column in cast("Mapping[str, str]", own).items():
            if quantity not in QUANTITIES:
                raise DataError(
                    f"`columns` must map {QUANTITIES} to columns, found {quantity!r}: "
                    f"write the quantity first, {{'pcvr': {quantity!r}}}"
                )
            names[name][quantity] = column
    return names


def prediction_frame(name: str, source: Source, columns: Mapping[str, str]) -> pd.DataFrame:
    """One model's predictions as a checked frame; one of pCVR and pCTCVR may be absent."""
    if not isinstance(source, pd.DataFrame | str | Path):
        raise DataError(
            f"predictions of {name!r} must be a DataFrame with columns {QUANTITIES}, or the path "
            f"of a parquet file, found {type(source).__name__}"
        )
    frame = read_frame(source)
    absent = [column for column in columns.values() if column not in frame.columns]
    derived = len(absent) == 1 and columns["pctr"] not in absent
    if absent and (not derived or _is_truth(frame)):
        hint = (
            "this is a truth, not predictions"
            if _is_truth(frame)
            else f"found {list(frame.columns)}; name them, columns={{'pcvr': 'my_cvr'}}"
        )
        raise DataError(f"predictions of {name!r} must have the columns {absent}: {hint}")
    if frame.columns.duplicated().any():
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"predictions of {name!r} hold column {twice!r} twice: drop one")
    return frame


def align_rows(
    name: str, frame: pd.DataFrame, log: pd.DataFrame, row_id: str | None
) -> NDArray[np.int64]:
    """Row of the predictions for each row of the log, ``(N,)``.

    By `row_id`, a column of both, in any order; without it by the index, in the log's order.
    """
    if row_id is not None:
        for what, table in (("the log", log), (f"predictions of {name!r}", frame)):
            if row_id not in table.columns:
                raise DataError(
                    f"{what} must have the column `row_id` = {row_id!r}, "
                    f"found {list(table.columns)}"
                )
            _check_unique(what, row_id, pd.Index(table[row_id]))
        log_ids, ids = pd.Index(log[row_id]), pd.Index(frame[row_id])
        _check_same_rows(name, log_ids, ids)
        return np.asarray(ids.get_indexer(log_ids), dtype=np.int64)
    if len(frame) != len(log):
        _check_same_rows(name, log.index, frame.index)
    if not frame.index.equals(log.index):
        other = np.flatnonzero(frame.index.to_numpy() != log.index.to_numpy())
        raise DataError(
            f"predictions of {name!r} must have the log's index; they differ in "
            f"{rows_text(log.index[other], len(other))}: reindex them to the log, or name the "
            "column of both that identifies a row, row_id='impression_id'"
        )
    return np.arange(len(log), dtype=np.int64)


def checkpoint_rules(scores: Mapping[str, Source]) -> str:
    """Checkpoint rules that predictions of a `FunnelEstimator` carry as metadata."""
    models: dict[str, list[str]] = {}
    for name, source in scores.items():
        models.setdefault(_rule(source), []).append(name)
    if len(models) == 1:
        return next(iter(models))
    return "; ".join(f"{rule} ({', '.join(names)})" for rule, names in models.items())


def _rule(source: Source) -> str:
    from pyarrow import parquet as pq

    if isinstance(source, pd.DataFrame):
        attributes = source.attrs
    else:
        path = Path(source)
        part = min(path.glob("*.parquet")) if path.is_dir() else path
        metadata = pq.read_schema(part).metadata or {}
        attributes = json.loads(metadata.get(b"pandas", b"{}")).get("attributes") or json.loads(
            metadata.get(b"PANDAS_ATTRS", b"{}")
        )
    return str(attributes.get("checkpoint_rule") or "not stated")


def _is_truth(frame: pd.DataFrame) -> bool:
    return any(str(column).startswith("true_") for column in frame.columns)


def _check_unique(what: str, column: str, ids: pd.Index) -> None:
    duplicates = ids.duplicated()
    if duplicates.any():
        where = rows_text(ids[duplicates], int(duplicates.sum()))
        raise DataError(
            f"{column!r} must be unique in {what}, found duplicate ids in {where}: drop the "
            "duplicates"
        )


def _check_same_rows(name: str, log_ids: pd.Index, ids: pd.Index) -> None:
    """Check that both hold the same rows, in any order."""
    missing, extra = ~log_ids.isin(ids), ~ids.isin(log_ids)
    if len(log_ids) == len(ids) and not missing.any() and not extra.any():
        return
    problems = []
    if missing.any():
        problems.append(f"missing {rows_text(log_ids[missing], int(missing.sum()))}")
    if extra.any():
        problems.append(f"not in the log {rows_text(ids[extra], int(extra.sum()))}")
    if not problems:
        duplicates = ids.duplicated()
        problems.append(f"duplicates in {rows_text(ids[duplicates], int(duplicates.sum()))}")
    if missing.all() and log_ids.dtype != ids.dtype:
        problems.append(f"ids are {log_ids.dtype} in the log and {ids.dtype} in the predictions")
    raise DataError(
        f"predictions of {name!r} must have one row per row of the log, {len(log_ids):,}, found "
        f"{len(ids):,}: {'; '.join(problems)}: predict the rows of this log"
    )
