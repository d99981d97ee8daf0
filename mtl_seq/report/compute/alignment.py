"""Predictions from anywhere: read, their columns found, their rows put in the log's order."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import read_frame
from mtl_seq.errors import DataError, rows_text

__all__ = ["QUANTITIES", "Columns", "Source", "aligned", "columns_of", "named", "stated_rule"]

QUANTITIES = ("pctr", "pcvr", "pctcvr")

Source: TypeAlias = "pd.DataFrame | str | Path"
Columns: TypeAlias = Mapping[str, str] | Mapping[str, Mapping[str, str]]


def columns_of(columns: Columns | None, models: "list[str]") -> dict[str, dict[str, str]]:
    """By model, the column that holds each quantity.

    Args:
        columns: By quantity the column of every model, ``{"pcvr": "my_cvr"}``, or such a mapping by
            model, ``{"lightgbm": {"pcvr": "my_cvr"}}``; what is not named keeps its own name.
        models: The models.

    Returns:
        For each model all three quantities.

    Raises:
        DataError: A quantity or a model that there is not.
    """
    given = dict(columns or {})
    nested = any(isinstance(value, Mapping) for value in given.values())
    own = {name: {quantity: quantity for quantity in QUANTITIES} for name in models}
    for name, value in given.items():
        if nested != isinstance(value, Mapping):
            raise DataError(
                "`columns` must map quantities to columns, or models to such mappings, found both: "
                '{"pcvr": "my_cvr"} or {"my model": {"pcvr": "my_cvr"}}'
            )
        if nested and name not in own:
            raise DataError(f"`columns` must name models {models}, found {name!r}")
    by_model = given if nested else dict.fromkeys(models, given)
    for name, mapping in by_model.items():
        for quantity, column in cast("Mapping[str, str]", mapping).items():
            if quantity not in QUANTITIES:
                raise DataError(
                    f"`columns` must map {QUANTITIES} to columns, found {quantity!r}: "
                    f"write the quantity first, {{'pcvr': {quantity!r}}}"
                )
            own[name][quantity] = column
    return own


def named(name: str, source: Source, columns: Mapping[str, str]) -> pd.DataFrame:
    """One model's predictions with the columns ``pctr``, ``pcvr``, ``pctcvr``.

    Where just one of pCVR and pCTCVR is absent it follows from pCTCVR = pCTR x pCVR.

    Raises:
        DataError: No frame, a truth, or columns that are absent.
        ArtifactError: A path that is no parquet file.
    """
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


def aligned(
    name: str, frame: pd.DataFrame, log: pd.DataFrame, row_id: str | None
) -> NDArray[np.int64]:
    """Which row of the predictions belongs to each row of the log: ``(N,)``.

    Args:
        name: The model.
        frame: Its predictions.
        log: The rows they were made for.
        row_id: Column of both that names a row; by default the index does, in the log's order.

    Raises:
        DataError: Ids that stand twice, rows that are missing, or rows that the log does not hold.
    """
    if row_id is not None:
        for what, one in (("the log", log), (f"predictions of {name!r}", frame)):
            if row_id not in one.columns:
                raise DataError(
                    f"{what} must have the column `row_id` = {row_id!r}, found {list(one.columns)}"
                )
        ours, theirs = pd.Index(log[row_id]), pd.Index(frame[row_id])
        _unique("the log", row_id, ours)
        _unique(f"predictions of {name!r}", row_id, theirs)
        _same(name, ours, theirs)
        return np.asarray(theirs.get_indexer(ours), dtype=np.int64)
    if len(frame) != len(log):
        _same(name, log.index, frame.index)
    if not frame.index.equals(log.index):
        other = np.flatnonzero(frame.index.to_numpy() != log.index.to_numpy())
        raise DataError(
            f"predictions of {name!r} must have the log's index; they differ in "
            f"{rows_text(log.index[other], len(other))}: reindex them to the log, or name the "
            "column of both that identifies a row, row_id='impression_id'"
        )
    return np.arange(len(log), dtype=np.int64)


def stated_rule(scores: Mapping[str, Source]) -> str:
    """How checkpoints were picked, as the predictions say: those of our estimators carry it."""
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


def _unique(what: str, column: str, ids: pd.Index) -> None:
    twice = ids.duplicated()
    if twice.any():
        where = rows_text(ids[twice], int(twice.sum()))
        raise DataError(
            f"{column!r} must name each row of {what} once, found ids again in {where}: drop the "
            "duplicates"
        )


def _same(name: str, ours: pd.Index, theirs: pd.Index) -> None:
    """The two hold the same rows, in whatever order."""
    missing, extra = ~ours.isin(theirs), ~theirs.isin(ours)
    if len(ours) == len(theirs) and not missing.any() and not extra.any():
        return
    said = []
    if missing.any():
        said.append(f"missing {rows_text(ours[missing], int(missing.sum()))}")
    if extra.any():
        said.append(f"not in the log {rows_text(theirs[extra], int(extra.sum()))}")
    if not said:
        twice = theirs.duplicated()
        said.append(f"standing twice {rows_text(theirs[twice], int(twice.sum()))}")
    if missing.all() and ours.dtype != theirs.dtype:
        said.append(f"ids are {ours.dtype} in the log and {theirs.dtype} in the predictions")
    raise DataError(
        f"predictions of {name!r} must have one row per row of the log, {len(ours):,}, found "
        f"{len(theirs):,}: {'; '.join(said)}: predict the rows of this log"
    )
