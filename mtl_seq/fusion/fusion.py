"""Fusion of several models' scores into one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import CompositionError, DataError, rows_text

__all__ = ["Kind", "ScoreFusion", "checked"]

FloatArray = NDArray[np.float64]
Kind = Literal["geometric", "arithmetic", "rank"]

_KINDS = ("geometric", "arithmetic", "rank")
_LEAST = 1e-8


@dataclass(frozen=True)
class ScoreFusion:
    """Weighted fusion of several models' scores of the same impressions.

    The fused score orders impressions; it is no probability, even if its components are. Its order
    does not change if all weights are multiplied by the same number.

    Attributes:
        weights: Weight a_k of each component, at least 0 and not all 0.
        kind: ``"geometric"``: ``prod p_k^a_k``, whose order does not depend on the scale of a
            component; weights of 1 on pCTR and pCVR give the order of pCTCVR. ``"arithmetic"``:
            ``sum a_k p_k``, in which a component that is too high counts for more: calibrate
            first. ``"rank"``: ``sum a_k / (c + rank_k)`` within the group (reciprocal rank fusion,
            Cormack et al., SIGIR 2009), which uses only the order of each component.
        constant: The constant c of rank fusion; 60 in the paper.

    Raises:
        CompositionError: An unknown kind, a negative weight, no weight above 0, or a negative
            constant.

    >>> scores = {"ctr": pd.Series([0.1, 0.4]), "cvr": pd.Series([0.5, 0.2])}
    >>> ScoreFusion({"ctr": 1, "cvr": 1}).fuse(scores)["score"].round(3).tolist()
    [0.05, 0.08]
    """

    weights: Mapping[str, float]
    kind: Kind = "geometric"
    constant: float = 60.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise CompositionError(f"`kind` must be one of {_KINDS}, found {self.kind!r}")
        for name, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                raise CompositionError(
                    f"`weights` must be at least 0 and finite, found {weight} for {name!r}"
                )
        if not any(self.weights.values()):
            raise CompositionError(
                f"`weights` must hold one above 0, found {dict(self.weights)}: without one, all "
                "scores are equal"
            )
        if not self.constant >= 0:
            raise CompositionError(f"`constant` must be at least 0, found {self.constant}")

    def fuse(
        self, components: Mapping[str, pd.Series], group: pd.Series | None = None
    ) -> pd.DataFrame:
        """Fuse the components into one score.

        Args:
            components: By name, one score per impression, the higher the better: a column of a
                model's prediction. All have the same index. For a geometric fusion, probabilities;
                those below 1e-8 count as 1e-8.
            group: The user or request of each impression, on the same index, within which a rank
                fusion ranks; None for one group.

        Returns:
            One column ``score``, on the components' index, as a model that only ranks predicts it.

        Raises:
            DataError: Components with different rows, that are no numbers, or negative in a
                geometric fusion.
            CompositionError: The components are not those that have weights.
        """
        if set(components) != set(self.weights):
            raise CompositionError(
                f"`components` must be those of `weights` {tuple(self.weights)}, found "
                f"{tuple(components)}"
            )
        arrays, index = checked(components, positive=self.kind == "geometric")
        if group is not None and not group.index.equals(index):
            raise DataError("`group` must have the index of the components: reindex it to theirs")
        return pd.DataFrame({"score": self.combine(arrays, group)}, index=index)

    def combine(
        self, components: Mapping[str, FloatArray], group: pd.Series | None = None
    ) -> FloatArray:
        """`fuse`, of arrays that `checked` returned."""
        parts = {name: components[name] for name in self.weights}
        if self.kind == "geometric":
            logs = [a * np.log(np.maximum(parts[name], _LEAST)) for name, a in self.weights.items()]
            product: FloatArray = np.exp(np.sum(logs, axis=0))
            return product
        if self.kind == "rank":
            parts = {name: 1 / (self.constant + _rank(p, group)) for name, p in parts.items()}
        total: FloatArray = np.sum([a * parts[name] for name, a in self.weights.items()], axis=0)
        return total


def checked(
    components: Mapping[str, pd.Series], *, positive: bool
) -> tuple[dict[str, FloatArray], pd.Index]:
    """Components as checked arrays, if `positive` without negative scores, and their index."""
    arrays: dict[str, FloatArray] = {}
    index: pd.Index | None = None
    first = next(iter(components), "")
    for name, column in components.items():
        if not isinstance(column, pd.Series):
            raise DataError(
                f"component {name!r} must be a Series, one column of a model's predictions, found "
                f"{type(column).__name__}"
            )
        index = column.index if index is None else index
        if not column.index.equals(index):
            raise DataError(
                f"components must be of the same rows in the same order, but {name!r} has "
                f"{len(column):,} and {first!r} {len(index):,}, or another index: predict the same "
                "rows with every model, or reindex to theirs"
            )
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        bad = ~np.isfinite(values) | (positive & (values < 0))
        if bad.any():
            required = "finite numbers of at least 0" if positive else "finite numbers"
            raise DataError(
                f"component {name!r} must hold {required}, which it does not in "
                f"{rows_text(index[bad], int(bad.sum()))}"
                + (": fuse scores that are no probabilities by rank" if positive else "")
            )
        arrays[name] = values
    if index is None:
        raise DataError("`components` must hold at least one component to fuse, found none")
    return arrays, index


def _rank(values: FloatArray, group: pd.Series | None) -> FloatArray:
    """Ranks from 1 for the highest score; ties share their mean rank."""
    column = pd.Series(values)
    if group is None:
        ranks = column.rank(ascending=False)
    else:
        codes = pd.factorize(group, use_na_sentinel=False)[0]
        ranks = column.groupby(codes).rank(ascending=False)
    array: FloatArray = ranks.to_numpy(dtype=np.float64)
    return array
