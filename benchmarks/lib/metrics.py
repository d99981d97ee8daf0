"""Metrics of predictions against a scenario's truth, and differences paired over seeds."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student

from mtl_seq.functional import auc
from mtl_seq.records import FunnelTruth

__all__ = ["Pair", "area", "cross_entropy", "measure", "pair_of", "paired"]


def measure(scores: Any, click: np.ndarray, truth: FunnelTruth) -> dict[str, float]:
    """Metrics by name and space; a ranker, without probabilities, has its AUC alone."""
    if "pcvr" not in scores:
        return {"AUC, all": area(scores["score"].to_numpy(), truth.pcvr)}
    pcvr, target = scores["pcvr"].to_numpy(), truth.pcvr
    return {
        "AUC, all": area(pcvr, target),
        "log loss, all": cross_entropy(pcvr, target),
        "relative bias, all": _relative_bias(pcvr, target),
        "relative bias, non-clicks": _relative_bias(pcvr[~click], truth.pcvr_unclicked[~click]),
        "AUC, clicks": area(pcvr[click], truth.pcvr_clicked[click]),
        "relative bias, clicks": _relative_bias(pcvr[click], truth.pcvr_clicked[click]),
        "CTCVR AUC, all": area(scores["pctcvr"].to_numpy(), truth.pctcvr),
    }


def area(score: np.ndarray, target: np.ndarray) -> float:
    """AUC against labels or probabilities."""
    return float(auc(torch.from_numpy(score.copy()), torch.from_numpy(target.copy())))


def cross_entropy(probability: np.ndarray, target: np.ndarray) -> float:
    """Mean log loss against labels or probabilities, in nats."""
    safe = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(-(target * np.log(safe) + (1 - target) * np.log1p(-safe)).mean())


def _relative_bias(predicted: np.ndarray, target: np.ndarray) -> float:
    return float(predicted.mean() / target.mean() - 1)


class Pair(NamedTuple):
    """Mean over seeds, its standard error, and the number of seeds."""

    mean: float
    error: float
    seeds: int

    def text(self, form: str = "+.4f") -> str:
        """Mean ± standard error."""
        if not self.seeds:
            return "n/a"
        plain = form.removeprefix("+")
        return f"{self.mean:{form}}" + ("" if self.seeds < 2 else f" ± {self.error:{plain}}")

    def times(self, factor: float) -> "Pair":
        """In another unit."""
        return Pair(factor * self.mean, abs(factor) * self.error, self.seeds)

    def apart(self, errors: float = 2.0) -> bool:
        """Whether the mean is more than so many standard errors from 0; never with one seed."""
        return self.seeds > 1 and abs(self.mean) > errors * self.error

    def half_width(self, error: float = 0.05) -> float:
        """Half the t interval of the mean at level 1 - error."""
        return float(student.ppf(1 - error / 2, self.seeds - 1) * self.error)


def pair_of(values: pd.Series) -> Pair:
    """Mean and standard error of values by seed."""
    known = values.dropna()
    return Pair(float(known.mean()), float(known.sem()), len(known))


def paired(values: pd.Series, method: Any, other: Any) -> Pair:
    """A method minus another over the seeds that both have.

    Args:
        values: Indexed by method and seed, sorted.
        method: First key.
        other: Second key; where one is absent, the result has no seed.
    """
    if not {method, other} <= set(values.index.get_level_values(0)):
        return Pair(float("nan"), float("nan"), 0)
    return pair_of(values[method] - values[other])
