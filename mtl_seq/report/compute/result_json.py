"""A report as JSON, and back."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mtl_seq.report.compute.comparisons import DIFFERENCE_COLUMNS, Contradiction, Lead
from mtl_seq.report.compute.deciles import Decile
from mtl_seq.report.compute.overlap import WEIGHT_COLUMNS, Overlap
from mtl_seq.report.compute.reliability import RELIABILITY_COLUMNS
from mtl_seq.report.compute.report_diff import CHANGE_COLUMNS, FACT_COLUMNS, Changes
from mtl_seq.report.compute.result import Findings
from mtl_seq.report.compute.segments import SEGMENT_COLUMNS
from mtl_seq.report.compute.selection import selection_from_dict, selection_to_dict
from mtl_seq.report.compute.sensitivity import ASSUMED_COLUMNS, Sensitivity

__all__ = ["KIND", "VERSION", "fields_of", "to_dict"]

KIND = "mtl_seq.bias_report"
VERSION = 2
"""Format 2 holds everything that a page is made from; format 1 held metrics, deciles and gap."""

_METRIC_COLUMNS = ("model", "quantity", "space", "metric", "value", "low", "high", "reason")
_RANDOM_COLUMNS = ("slice", *_METRIC_COLUMNS)
_TEXT = {
    *("model", "control", "quantity", "space", "metric", "reason", "slice", "by", "segment"),
    *("small", "propensity", "figure", "fact", "before", "after"),
}
_COUNTS = {"rows", "users", "clicks"}


def to_dict(report: Findings) -> dict[str, Any]:
    """A JSON-ready form; NaN becomes null, with its reason beside it where there may be one."""
    return {
        "title": report.title,
        "models": list(report.models),
        "oracle": report.oracle,
        "control": report.control,
        "metadata": dict(report.metadata),
        "metrics": _records(report.metrics),
        "differences": _records(report.differences),
        "contradictions": [
            {**one._asdict(), "lead_on_clicks": list(one[2]), "lead_on_all": list(one[3])}
            for one in report.contradictions
        ],
        "lead": report.lead
        and {**report.lead._asdict(), "lead": [_number(v) for v in report.lead.lead]},
        "deciles": report.deciles and _deciles(report.deciles),
        "gap_closed": {
            name: {"value": _number(value), "reason": reason}
            for name, (value, reason) in report.gap.items()
        },
        "reliability": _records(report.reliability),
        "segments": _records(report.segments),
        "overlap": report.overlap and _overlap(report.overlap),
        "sensitivity": report.sensitivity and _sensitivity(report.sensitivity),
        "random": None if report.random is None else _records(report.random),
        "selection": selection_to_dict(report.selection),
        "changes": report.changes and _changes(report.changes),
    }


def fields_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Findings` from what `to_dict` made, in this format or an older one."""
    changes, random = content.get("changes"), content.get("random")
    return {
        "title": content["title"],
        "metrics": _frame(_with_gap(content), _METRIC_COLUMNS),
        "models": tuple(content["models"]),
        "deciles": content["deciles"] and _read_deciles(content["deciles"]),
        "gap": {
            name: (math.nan if one["value"] is None else one["value"], one["reason"])
            for name, one in content["gap_closed"].items()
        },
        "metadata": content["metadata"],
        # The first format did not name it; it was called so unless one said otherwise.
        "oracle": content.get("oracle", "oracle" if "oracle" in content["models"] else None),
        "control": content.get("control"),
        "differences": _frame(content.get("differences", []), DIFFERENCE_COLUMNS),
        "contradictions": tuple(
            Contradiction(
                one["clicked"],
                one["entire"],
                tuple(one["lead_on_clicks"]),
                tuple(one["lead_on_all"]),
            )
            for one in content.get("contradictions", [])
        ),
        "lead": _read_lead(content.get("lead")),
        "reliability": _frame(content.get("reliability", []), RELIABILITY_COLUMNS),
        "segments": _frame(content.get("segments", []), SEGMENT_COLUMNS),
        "overlap": _read_overlap(content.get("overlap")),
        "sensitivity": _read_sensitivity(content.get("sensitivity")),
        "random": None if random is None else _frame(random, _RANDOM_COLUMNS),
        "selection": selection_from_dict(content.get("selection")),
        "changes": changes
        and Changes(
            _frame(changes["figures"], CHANGE_COLUMNS, text=_TEXT - {"before", "after"}),
            _frame(changes["metadata"], FACT_COLUMNS),
            tuple(changes["added"]),
            tuple(changes["removed"]),
        ),
    }


def _read_lead(content: Mapping[str, Any] | None) -> Lead | None:
    if content is None:
        return None
    value, low, high = (math.nan if one is None else one for one in content["lead"])
    return Lead(content["first"], content["second"], (value, low, high))


def _with_gap(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records of the metrics; the first format kept the gap closed beside them only."""
    records: list[dict[str, Any]] = content["metrics"]
    if any(row["metric"] == "gap_closed" for row in records):
        return records
    at = {"quantity": "pcvr", "space": "all", "metric": "gap_closed", "low": None, "high": None}
    gap = content["gap_closed"].items()
    return [*records, *({"model": name, **at, **own} for name, own in gap)]


def _deciles(found: Decile) -> dict[str, Any]:
    named = {"relative_bias": found.relative_bias, "low": found.low, "high": found.high}
    return {
        "propensity": _list(found.propensity),
        **{key: {name: _list(v) for name, v in own.items()} for key, own in named.items()},
    }


def _read_deciles(content: Mapping[str, Any]) -> Decile:
    bias = {name: _array(values) for name, values in content["relative_bias"].items()}
    nothing = {name: [None] * len(values) for name, values in bias.items()}
    low, high = (
        {name: _array(values) for name, values in content.get(key, nothing).items()}
        for key in ("low", "high")
    )
    return Decile(_array(content["propensity"]), bias, low, high)


def _overlap(found: Overlap) -> dict[str, Any]:
    return {
        "source": found.source,
        "edges": _list(found.edges),
        "clicks": _list(found.clicks),
        "others": _list(found.others),
        "weights": _records(found.weights),
    }


def _read_overlap(content: Mapping[str, Any] | None) -> Overlap | None:
    if content is None:
        return None
    edges, clicks, others = (_array(content[key]) for key in ("edges", "clicks", "others"))
    weights = _frame(content["weights"], WEIGHT_COLUMNS)
    return Overlap(content["source"], edges, clicks, others, weights)


def _sensitivity(found: Sensitivity) -> dict[str, Any]:
    return {
        "base": found.base,
        "psi": _list(found.psi),
        "mean": _list(found.mean),
        "ranges": [
            {"gamma": g, "low": low, "high": high} for g, (low, high) in found.ranges.items()
        ],
        "worst": list(found.worst),
        "models": _records(found.models),
        "control": found.control,
        "reason": found.reason,
    }


def _read_sensitivity(content: Mapping[str, Any] | None) -> Sensitivity | None:
    if content is None:
        return None
    return Sensitivity(
        content["base"],
        _array(content["psi"]),
        _array(content["mean"]),
        {one["gamma"]: (one["low"], one["high"]) for one in content["ranges"]},
        (content["worst"][0], content["worst"][1]),
        _frame(content["models"], ASSUMED_COLUMNS),
        content["control"],
        content["reason"],
    )


def _changes(found: Changes) -> dict[str, Any]:
    return {
        "figures": _records(found.figures),
        "metadata": _records(found.metadata),
        "added": list(found.added),
        "removed": list(found.removed),
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    native = frame.astype(object)
    records: list[dict[str, Any]] = native.where(native.notna(), None).to_dict("records")
    return records


def _frame(
    records: list[dict[str, Any]], columns: tuple[str, ...], text: set[str] = _TEXT
) -> pd.DataFrame:
    frame = pd.DataFrame(records, columns=list(columns), dtype=object)
    for column in columns:
        if column not in text and column != "apart":
            frame[column] = frame[column].astype(np.int64 if column in _COUNTS else np.float64)
    return frame


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _list(values: "np.ndarray[Any, Any]") -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _array(values: list[float | None]) -> "np.ndarray[Any, Any]":
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
