"""Mean CVR over all impressions under a test for hidden selection."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtl_seq.errors import ArtifactError
from mtl_seq.functional import mean_odds_ratio_cvr
from mtl_seq.records import Scores, SelectionTest
from mtl_seq.report.compute.overlap import LEAST_PROPENSITY
from mtl_seq.report.compute.serialise import from_json

__all__ = [
    *("QUANTILE", "Selection", "read_selection_test", "selection_under"),
    "selection_test_from_dict",
]

QUANTILE = 1.6448536269514722
"""Of the standard normal, for intervals of 90%."""

_ASSUMED = 3.0


class Selection(NamedTuple):
    """A test for hidden selection, and the mean CVR over all impressions under it.

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


def selection_under(test: SelectionTest, scores: Scores) -> Selection:
    """Mean CVR under a test; a model's pCTR and pCTCVR are taken for what the log identifies."""
    p = np.maximum(scores.pctr, LEAST_PROPENSITY)
    t = np.minimum(scores.pctcvr, p)
    log_psi = [math.log(_ASSUMED), -math.log(_ASSUMED)]
    if test.verdict != "not identified":
        log_psi = [test.log_odds_ratio + sign * QUANTILE * test.standard_error for sign in (1, -1)]
    low, high = (float(mean_odds_ratio_cvr(p, t, math.exp(one))) for one in log_psi)
    mean = math.nan
    if test.verdict == "identified":
        mean = float(mean_odds_ratio_cvr(p, t, math.exp(test.log_odds_ratio)))
    return Selection(test, mean, low, high)


def selection_test_from_dict(content: Mapping[str, Any]) -> SelectionTest:
    """Read the JSON form of a test; an `ArtifactError` for anything else."""
    try:
        test: SelectionTest = from_json(SelectionTest, content)
        return test
    except TypeError as error:
        raise ArtifactError(
            f"a selection test must hold {SelectionTest._fields}, found {sorted(content)}: write "
            "it by `mtl-seq test-confounding --json`"
        ) from error


def read_selection_test(path: Path) -> SelectionTest:
    """Read the JSON file of a test; an `ArtifactError` for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtifactError(f"{path} is no JSON of a selection test: {error}") from error
    return selection_test_from_dict(content if isinstance(content, dict) else {})
