"""Predictions of any source: read, with mapped columns, aligned to the rows of the log, checked."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import read_frame
from mtl_seq.errors import DataError, rows_text
from mtl_seq.records import FloatArray, Scores

__all__ = ["QUANTITIES", "Columns", "Source", "check_scores", "checkpoint_rules", "column_names"]

QUANTITIES = ("pctr", "pcvr", "pctcvr")

Source: TypeAlias = "pd.DataFrame | str | Path"
Columns: TypeAlias = Mapping[str, str] | Mapping[str, Mapping[str, str]]

_MANY = 0.2


def check_scores(
    scores: Mapping[str, Source],
    log: pd.DataFrame,
    *,
    reserved: Collection[str] = (),
    columns: Columns | None = None,
    row_id: str | None = None,
) -> dict[str, Scores]:
    """Validated predictions by model as arrays, in the order of the log.

    Arguments and errors are those of `BiasReport`; no model may have a reserved name. A quantity
    that is absent follows from pCTCVR = pCTR x pCVR.
    """
    if not isinstance(scores, Mapping):
        raise DataError(
            f"`scores` must be a dict of frames by model, found {type(scores).__name__}: "
            "{'my model': frame}"
        )
    if not scores:
        raise DataError("`scores` must hold at least one model's predictions, found none")
    for name in scores:
        if name in reserved:
            raise DataError(f"no model may have the name {name!r} of a reference row: rename it")
    mapped = column_names(columns, list(scores))
    return {
        name: _checked(name, source, log, mapped[name], row_id) for name, source in scores.items()
    }


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


def _checked(
    name: str, source: Source, log: pd.DataFrame, columns: Mapping[str, str], row_id: str | None
) -> Scores:
    frame = _prediction_frame(name, source, columns)
    order = _align_rows(name, frame, log, row_id)
    values = {
        quantity: _values(f"{columns[quantity]} of {name!r}", frame[columns[quantity]], log, order)
        for quantity in QUANTITIES
        if columns[quantity] in frame.columns
    }
    if "pctcvr" not in values:
        values["pctcvr"] = values["pctr"] * values["pcvr"]
    if "pcvr" not in values:
        values["pcvr"] = _conditional(name, values["pctr"], values["pctcvr"], log)
    return Scores(**values)


def _values(
    what: str, column: pd.Series, log: pd.DataFrame, order: NDArray[np.int64]
) -> FloatArray:
    try:
        raw = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} must hold numbers, found type {column.dtype}") from error
    values: FloatArray = raw[order]
    missing = np.isnan(values)
    if missing.any():
        where = rows_text(log.index[missing], int(missing.sum()))
        raise DataError(f"{what} is NaN in {where}")
    outside = (values < 0) | (values > 1)
    if outside.any():
        where = rows_text(log.index[outside], int(outside.sum()))
        raise DataError(
            f"{what} must lie in [0, 1], found {values.min():.4g} to {values.max():.4g} in "
            f"{where}: {_hint(values, float(outside.mean()))}"
        )
    return values


def _hint(values: FloatArray, share: float) -> str:
    if share <= _MANY:
        return "fix those rows"
    if values.min() >= 0:
        return "they look like percentages: divide them by 100"
    if values.max() <= 0:
        return "they look like logits (or logarithms): pass their sigmoid (or their exponential)"
    return "they look like logits: pass their sigmoid"


def _conditional(name: str, pctr: FloatArray, pctcvr: FloatArray, log: pd.DataFrame) -> FloatArray:
    bad = (pctcvr > pctr) | (pctr == 0)
    if bad.any():
        raise DataError(
            f"pcvr of {name!r} is absent and follows from pctcvr / pctr only where pctr is above 0 "
            f"and no smaller than pctcvr; it is not in "
            f"{rows_text(log.index[bad], int(bad.sum()))}: pass pcvr too"
        )
    ratio: FloatArray = pctcvr / pctr
    return ratio


def _prediction_frame(name: str, source: Source, columns: Mapping[str, str]) -> pd.DataFrame:
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


def _align_rows(
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
