"""Overlap of clicks and non-clicks: propensities, and inverse propensity weights."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import torch

from mtl_seq.functional import effective_sample_size, inverse_propensity, largest_weight_share
from mtl_seq.losses import PropensityPolicy
from mtl_seq.records import FloatArray
from mtl_seq.report.compute.serialise import COUNT, NUMBER, TEXT, make_frame

__all__ = ["LEAST_PROPENSITY", "WEIGHT_COLUMNS", "Overlap", "overlap"]

WEIGHT_COLUMNS = {
    "propensity": TEXT,
    "clicks": COUNT,
    **dict.fromkeys(("effective_size", "effective_share", "largest_share"), NUMBER),
    **dict.fromkeys(("floor", "clipped_share"), NUMBER),
    "reason": TEXT,
}

LEAST_PROPENSITY = 1e-9
"""Propensities below it are raised to it before anything is divided by them."""

_BINS = 40


class Overlap(NamedTuple):
    """Propensities of clicked and other impressions, and the weights of the clicks.

    Attributes:
        source: Name of the propensity that the histogram shows.
        edges: ``(M + 1,)`` edges of its bins, evenly spaced in the logarithm.
        clicks: ``(M,)`` clicked impressions in each bin.
        others: ``(M,)`` impressions without a click.
        weights: A row per propensity, columns `WEIGHT_COLUMNS`: effective sample size of the
            weights ``click / propensity``, its share of the clicks, the largest weight's share of
            their sum, the 1% quantile of the propensity, and the share of the clicks below it,
            whose weight a floor there would clip.
    """

    source: str
    edges: FloatArray
    clicks: FloatArray
    others: FloatArray
    weights: Annotated[pd.DataFrame, WEIGHT_COLUMNS]


def overlap(propensities: Mapping[str, FloatArray], click: FloatArray, source: str) -> Overlap:
    """Compute the overlap of clicks and non-clicks.

    Propensities are P(click | x) by name (a model, the truth, the log); the histogram shows that of
    `source`. Without clicks the weight diagnostics are NaN, with the reason.
    """
    shown = np.maximum(propensities[source], LEAST_PROPENSITY)
    low, high = shown.min(), shown.max()
    edges = np.geomspace(low * (1 - 1e-9), max(high, low * 1.01) * (1 + 1e-9), _BINS + 1)
    clicks, others = (
        np.histogram(shown[click == value], edges)[0].astype(np.float64) for value in (1, 0)
    )
    records = [_weights(name, values, click) for name, values in propensities.items()]
    return Overlap(source, edges, clicks, others, make_frame(records, WEIGHT_COLUMNS))


def _weights(name: str, propensity: FloatArray, click: FloatArray) -> tuple[object, ...]:
    clipped = torch.from_numpy(np.maximum(propensity, LEAST_PROPENSITY))
    floor = float(PropensityPolicy().floor_of(clipped))
    weight = inverse_propensity(torch.from_numpy(click.copy()), clipped)
    clicked = click == 1
    count = int(clicked.sum())
    size, largest = float(effective_sample_size(weight)), float(largest_weight_share(weight))
    if count == 0:
        return (name, 0, size, np.nan, largest, floor, np.nan, "no clicks")
    below = float((clipped.numpy()[clicked] < floor).mean())
    return (name, count, size, size / count, largest, floor, below, None)
