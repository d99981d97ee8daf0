"""What a test for hidden selection says of the mean CVR over all impressions."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtl_seq.errors import ArtifactError
from mtl_seq.functional import mean_odds_ratio_cvr
from mtl_seq.records import Scores, SelectionTest

__all__ = [
    "QUANTILE",
    "Selection",
    "evidence_from_dict",
    "evidence_to_dict",
    "read_evidence",
    "selection_from_dict",
    "selection_to_dict",
    "selection_under",
]

QUANTILE = 1.6448536269514722
"""Of the standard normal, for intervals of 90%."""

_ASSUMED = 3.0


class Selection(NamedTuple):
    """A test for hidden selection, and the mean CVR over all impressions that it leaves open.

    Attributes:
        test: The test.
        mean: The mean at its lambda; NaN unless lambda is identified.
        low: The least mean in the 90% interval of lambda, or, where that is not identified, for
            odds ratios within 1/3 and 3.
        high: The greatest.
    """

    test: SelectionTest
    mean: float
    low: float
    high: float


def selection_under(test: SelectionTest, known: Scores) -> Selection:
    """What a test says with pCTR and pCTCVR of some model, which a log identifies.

    Args:
        test: The test.
        known: Predictions.
    """
    p = np.maximum(known.pctr, 1e-9)
    t = np.minimum(known.pctcvr, p)
    log_psi = [math.log(_ASSUMED), -math.log(_ASSUMED)]
    if test.verdict != "not identified":
        log_psi = [test.log_odds_ratio + sign * QUANTILE * test.standard_error for sign in (1, -1)]
    low, high = (float(mean_odds_ratio_cvr(p, t, math.exp(one))) for one in log_psi)
    mean = math.nan
    if test.verdict == "identified":
        mean = float(mean_odds_ratio_cvr(p, t, math.exp(test.log_odds_ratio)))
    return Selection(test, mean, low, high)


def evidence_to_dict(test: SelectionTest) -> dict[str, Any]:
    """A JSON-ready form; NaN becomes null."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in test._asdict().items()
    }


def evidence_from_dict(content: Mapping[str, Any]) -> SelectionTest:
    """Read what `evidence_to_dict` wrote.

    Raises:
        ArtifactError: Something else.
    """
    given = {name: content[name] for name in SelectionTest._fields if name in content}
    fields: dict[str, Any] = {n: math.nan if v is None else v for n, v in given.items()}
    try:
        return SelectionTest(**fields)
    except TypeError as error:
        raise ArtifactError(
            f"a selection test must hold {SelectionTest._fields}, found {sorted(content)}: write "
            "it by `mtl-seq test-confounding --json`"
        ) from error


def read_evidence(path: Path) -> SelectionTest:
    """Read a file of what `evidence_to_dict` made.

    Raises:
        ArtifactError: The file holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtifactError(f"{path} is no JSON of a selection test: {error}") from error
    return evidence_from_dict(content if isinstance(content, dict) else {})


def selection_to_dict(found: Selection | None) -> dict[str, Any] | None:
    """A JSON-ready form; `selection_from_dict` reads it."""
    if found is None:
        return None
    mean = None if math.isnan(found.mean) else found.mean
    test = evidence_to_dict(found.test)
    return {"test": test, "mean": mean, "low": found.low, "high": found.high}


def selection_from_dict(content: Mapping[str, Any] | None) -> Selection | None:
    """Read what `selection_to_dict` wrote."""
    if content is None:
        return None
    mean = math.nan if content["mean"] is None else content["mean"]
    return Selection(evidence_from_dict(content["test"]), mean, content["low"], content["high"])
