"""Models that only rank: one column ``score``, of which nothing but the order can be reported."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from mtl_seq.errors import DataError, rows_text

__all__ = ["SCORE", "as_predictions", "without_probabilities"]

SCORE = "score"
"""The column of a model that only ranks: any number, the higher the better."""

_REASON = "a score that only ranks is no probability"


def as_predictions(
    scores: Mapping[str, pd.DataFrame],
) -> tuple[Mapping[str, pd.DataFrame], frozenset[str]]:
    """Frames of which each has the three columns of a prediction, and the names of rankers.

    A ranker's score stands in all three, as its rank over the number of rows: every figure that is
    made of the order is that of the score, and `without_probabilities` takes the others out.

    Args:
        scores: By model, a frame.

    Raises:
        DataError: A score that is no number.
    """
    if not hasattr(scores, "items"):
        return scores, frozenset()  # refused where predictions are checked
    found: dict[str, pd.DataFrame] = {}
    rankers = set()
    for name, frame in scores.items():
        found[name] = frame
        if isinstance(frame, pd.DataFrame) and list(frame.columns) == [SCORE]:
            rankers.add(name)
            values = frame[SCORE].to_numpy(dtype=np.float64, na_value=np.nan)
            missing = np.isnan(values)
            if missing.any():
                where = rows_text(frame.index[missing], int(missing.sum()))
                raise DataError(f"{SCORE} of {name!r} is NaN in {where}")
            rank = frame[SCORE].rank(method="average") / (len(frame) + 1)
            found[name] = pd.DataFrame(dict.fromkeys(("pctr", "pcvr", "pctcvr"), rank))
    return found, frozenset(rankers)


def without_probabilities(table: pd.DataFrame, rankers: Collection[str]) -> pd.DataFrame:
    """The table of measures with those of rankers undefined that need a probability.

    Args:
        table: Long form: model, metric, value, low, high, reason and more.
        rankers: Names of models that only rank.
    """
    gone = table["model"].isin(rankers) & (table["metric"] != "auc")
    table = table.copy()
    table.loc[gone, ["value", "low", "high"]] = np.nan
    table.loc[gone, "reason"] = _REASON
    return table
