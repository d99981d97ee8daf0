"""Inference of a schema from the names and values of a log's columns, without leaks."""

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mtl_seq.data.validate.leakage import LEAK_AUC, find_leaks
from mtl_seq.errors import DataError, SchemaError, rows_text
from mtl_seq.schema import Schema

__all__ = ["InferredSchema", "infer_schema"]

STAGES = {
    "click": r"click(ed|s)?|clk|is_click|ctr_label|label_ctr|y_ctr",
    "cart": r"(add_?(to_?)?)?cart|basket|atc",
    "conversion": r"conv(ersion|ert(ed)?)?s?|order(ed)?|purchase[ds]?|buy|bought|paid|pay|install"
    r"|transaction|cvr_label|label_cvr|y_cvr",
}
_USER = r"user|uid|member|visitor|customer|buyer|device"
_ID = r"id|code|cat(egory|e)?|brand|type|group|segment|city|region|country|gender|seller|shop|tag"
_TIME = r"time|timestamp|ts|date(time)?|day|dt"
_SOFT = 0.9
_SEPARATORS = "|;,"
_FEW = 64


class InferredSchema(NamedTuple):
    """An inferred schema, with reasons.

    Attributes:
        schema: The roles.
        roles: By column, its role and the reason.
        separators: By bag, the separator of its items in the text; None where they are lists.
        leaks: By column that predicts a stage suspiciously well, a description.
    """

    schema: Schema
    roles: dict[str, tuple[str, str]]
    separators: dict[str, str | None]
    leaks: dict[str, str]


def infer_schema(log: pd.DataFrame, labels: dict[str, str] | None = None) -> InferredSchema:
    """Infer the roles of a log's columns from some of its rows.

    Labels are columns of 0 and 1 with a stage's name, each 1 only where the earlier ones are, if
    there are such columns; a conversion that some rows have without a click is a label as well, and
    its reason states their number. Further columns with a stage's name, and features that predict
    a stage almost perfectly on their own, are left out. The result should be reviewed.

    Args:
        log: Some rows, the more the better.
        labels: Label column of each stage, in order, if known.

    Raises:
        SchemaError: No column that may be the click, or no feature.
        DataError: A label that is missing in some rows.
    """
    labels = _labels(log) if labels is None else labels
    absent = [column for column in labels.values() if column not in log.columns]
    if absent:
        raise SchemaError(f"the log must hold the labels {absent}, found {list(log.columns)}")
    for stage, column in labels.items():
        missing = log[column].isna()
        if missing.any():
            raise DataError(
                f"label {column!r} of {stage!r} is missing in "
                f"{rows_text(log.index[missing], int(missing.sum()))}: write 0 where it did not "
                "happen, drop those rows, or name another column (`--label STAGE=COLUMN`)"
            )
    roles = {
        column: ("label", f"of {stage}" + _orphans(log, labels, stage))
        for stage, column in labels.items()
    }
    separators: dict[str, str | None] = {}
    for column in log.columns:
        if column in roles:
            continue
        named = _stage(column) if _is_binary(log[column]) else None
        if named is not None:
            why = f"named as a {named}, so known only after the impression"
            roles[column] = ("left out", f"{why}; a label by `--label {named}={column}`")
        else:
            roles[column] = _role(str(column), log[column], separators)
    leaks = _take_out_leaks(log, labels, roles)

    def having(role: str) -> list[str]:
        return [column for column, (of_column, _) in roles.items() if of_column == role]

    users = [column for column in having("id") if _named(column, _USER)]
    times, weights, propensities = having("time"), having("weight"), having("propensity")
    schema = Schema(
        labels=labels,
        ids=having("id"),
        bags=having("bag"),
        dense=having("number"),
        group=users[0] if users else None,
        time=times[0] if times else None,
        weight=weights[0] if weights else None,
        propensity=propensities[0] if propensities else None,
    )
    return InferredSchema(schema, roles, {c: separators[c] for c in schema.bags}, leaks)


def _labels(log: pd.DataFrame) -> dict[str, str]:
    binary = [column for column in log.columns if _is_binary(log[column])]
    labels: dict[str, str] = {}
    for stage in STAGES:
        free = [c for c in binary if _stage(c) == stage]
        inside = [c for c in free if not any(_alone(log, c, one).any() for one in labels.values())]
        if inside:
            labels[stage] = inside[0]
        elif free and stage == "conversion" and "click" in labels:
            # Some rows have it without its parent: then the cart is dropped, never the conversion.
            labels.pop("cart", None)
            click = log[labels["click"]]
            labels[stage] = min(free, key=lambda c: int((log[c] > click).sum()))
    if "click" not in labels:
        raise SchemaError(
            f"no column of 0 and 1 is named as a click, found {binary}: name the click and the "
            "conversion (`--label click=COLUMN --label conversion=COLUMN`)"
        )
    return labels


def _stage(column: Any) -> str | None:
    """The stage whose name a column has."""
    return next((s for s, names in STAGES.items() if _named(column, names, whole=True)), None)


def _alone(log: pd.DataFrame, child: str, parent: str) -> "pd.Series[bool]":
    return (log[child] == 1) & (log[parent] == 0)


def _orphans(log: pd.DataFrame, labels: dict[str, str], stage: str) -> str:
    """Text on the rows that have a stage without the one before it; empty where none has."""
    before = list(labels)[: list(labels).index(stage)]
    if not before:
        return ""
    alone = _alone(log, labels[stage], labels[before[-1]])
    if not alone.any():
        return ""
    return f", but without {before[-1]} in {rows_text(log.index[alone], int(alone.sum()))}"


def _role(column: str, values: pd.Series, separators: dict[str, str | None]) -> tuple[str, str]:
    kept = values.dropna()
    if kept.empty:
        return "left out", "no value at all"
    if pd.api.types.is_datetime64_any_dtype(kept.dtype):
        return "time", "holds times"
    first = kept.iloc[0]
    if isinstance(first, list | np.ndarray):
        separators[column] = None
        return "bag", "holds lists"
    distinct = int(kept.nunique())
    if distinct == 1 and len(kept) == len(values):
        return "left out", f"always {first}"
    if isinstance(first, str):
        return _text_role(column, kept, distinct, separators)
    if _named(column, r"(sample_?)?weight", whole=True) and (kept >= 0).all():
        return "weight", "by its name"
    if _named(column, r"propensity", whole=True) and kept.between(0, 1, inclusive="neither").all():
        return "propensity", "by its name, within (0, 1)"
    whole = bool((kept == kept.round()).all())
    if not whole:
        return "number", "holds fractions"
    if _named(column, _TIME) and distinct > 1 and not _named(column, _ID + "|" + _USER):
        return "time", "by its name"
    if _named(column, _ID + "|" + _USER + "|item|product|sku|ad|query"):
        return _id_role(kept, distinct, "whole numbers named as an id")
    if distinct <= _FEW:
        return "id", f"{distinct} different whole numbers"
    return "number", f"{distinct:,} different whole numbers, not named as an id"


def _text_role(
    column: str, kept: pd.Series, distinct: int, separators: dict[str, str | None]
) -> tuple[str, str]:
    for separator in _SEPARATORS:
        share = kept.str.contains(separator, regex=False).mean()
        items = kept.str.split(separator).explode().nunique()
        if share > 0.2 and items < distinct:
            separators[column] = separator
            return "bag", f"{share:.0%} of the texts hold {separator!r}, between {items:,} items"
    return _id_role(kept, distinct, "holds texts")


def _id_role(kept: pd.Series, distinct: int, why: str) -> tuple[str, str]:
    if distinct > 0.98 * len(kept) and len(kept) > 100:
        return "left out", f"{why}, but different in every row, so not informative"
    return "id", f"{why}, {distinct:,} different"


def _take_out_leaks(
    log: pd.DataFrame, labels: dict[str, str], roles: dict[str, tuple[str, str]]
) -> dict[str, str]:
    ids = [column for column, (role, _) in roles.items() if role == "id"]
    dense = [column for column, (role, _) in roles.items() if role == "number"]
    if not ids and not dense:
        return {}
    worst: dict[str, str] = {}
    for column, stage, auc, equal in find_leaks(
        Schema(labels=labels, ids=ids, dense=dense), log, above=_SOFT
    ):
        if equal:
            worst[column] = f"equals the label of {stage}"
        elif auc > LEAK_AUC:
            worst.setdefault(column, f"predicts {stage} alone with AUC {auc:.3f}")
        else:
            worst.setdefault(
                column, f"predicts {stage} alone with AUC {auc:.3f}: kept, but review it"
            )
            continue
        roles[column] = ("left out", f"a likely leak: it {worst[column]}")
    return worst


def _is_binary(values: pd.Series) -> bool:
    if not (
        pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype)
    ):
        return False
    kept = values.dropna()
    return bool(len(kept) and kept.isin([0, 1]).all())


def _named(column: Any, names: str, *, whole: bool = False) -> bool:
    """Whether a name, or without `whole` one of its words, is one of these."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", str(column)).lower()
    words = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    bare = re.sub(r"^(is|has|label|y)_|_(label|flag|ind)$", "", words)
    if whole:
        return any(re.fullmatch(names, word) is not None for word in (words, bare))
    return any(re.fullmatch(names, word) is not None for word in words.split("_"))
