"""Calibration of pCVR after training, on clicked rows."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from mtl_seq.calibration.maps import fit_isotonic, fit_platt, fit_shift
from mtl_seq.errors import CompositionError, DataError
from mtl_seq.functional import recalibration
from mtl_seq.losses import PropensityPolicy
from mtl_seq.models import CalibrationConfig
from mtl_seq.records import FloatArray, FunnelLabels, Scores

__all__ = ["Calibration", "fit_calibration", "fit_map"]

_TINY = 1e-12
_AGREE = 1e-3


@dataclass(frozen=True)
class Calibration:
    """A fitted map of pCVR, and the rows it was fitted to.

    Attributes:
        method: Which kind of map.
        weighted: Whether clicks were weighted by inverse propensities.
        rows: Number of clicked rows it was fitted to.
        effective_size: Effective sample size of their weights.
        slope: Factor of the logit.
        intercept: Added to the logit.
        points: Logits between which an isotonic map interpolates.
        values: Its values there, each at least ``0.5 / (rows + 1)`` from 0 and 1.
        pcoc: Mean prediction over mean conversion of those rows, weighted, before calibration.
        on: Whether those were validation or training rows.
    """

    method: str
    weighted: bool
    rows: int
    effective_size: float
    slope: float
    intercept: float
    points: tuple[float, ...]
    values: tuple[float, ...]
    pcoc: float
    on: str = "validation"

    def pcvr(self, predicted: FloatArray) -> FloatArray:
        """``(N,)`` pCVR, calibrated."""
        x = _logit(predicted)
        if self.method == "isotonic":
            moved = np.interp(x, np.array(self.points), _logit(np.array(self.values)))
        else:
            moved = self.slope * x + self.intercept
        calibrated: FloatArray = expit(moved)
        return calibrated

    def apply(self, scores: Scores) -> Scores:
        """The scores with pCVR calibrated, and pCTCVR = pCTR pCVR with it."""
        pcvr = self.pcvr(scores.pcvr)
        return Scores(scores.pctr, pcvr, scores.pctr * pcvr)

    def __str__(self) -> str:
        """One line for a report.

        >>> print(Calibration("shift", False, 900, 900.0, 1.0, -0.25, (), (), 1.2))
        shift of the logit by -0.250, fitted to 900 clicked validation rows as they are
        """
        fitted = {
            "shift": f"shift of the logit by {self.intercept:+.3f}",
            "platt": f"logit times {self.slope:.3f} {self.intercept:+.3f} (Platt)",
            "isotonic": f"isotonic map through {len(self.points)} points",
        }[self.method]
        how = (
            f"weighted by inverse propensities (effective size {self.effective_size:.0f})"
            if self.weighted
            else "as they are"
        )
        return f"{fitted}, fitted to {self.rows:,} clicked {self.on} rows {how}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Calibration":
        """Read what `to_dict` wrote."""
        return cls(
            **content | {"points": tuple(content["points"]), "values": tuple(content["values"])}
        )


def fit_calibration(
    config: CalibrationConfig, scores: Scores, labels: FunnelLabels, *, weighted: bool
) -> Calibration:
    """Fit a calibration to the clicked rows among some.

    Args:
        config: The settings.
        scores: Predictions of the rows.
        labels: Labels of the same rows.
        weighted: Whether clicks are weighted by their inverse propensities.

    Raises:
        DataError: Clicked rows of which none, or all, converted.
        CompositionError: A model whose pCVR is not pCTCVR / pCTR.
    """
    stages = labels.stages.numpy().astype(np.float64)
    clicked, converted = stages[:, 0] == 1, stages[:, -1]
    weight = np.ones(len(stages))
    if weighted:
        propensity = propensity_of(config, scores.pctr, labels)
        floor = float(PropensityPolicy().floor_of(propensity))
        weight = 1 / np.maximum(propensity, max(floor, _TINY))
    if labels.weight is not None:
        weight = weight * labels.weight.numpy()
    rows = clicked & (weight > 0)
    label, weight, pcvr = converted[rows], weight[rows], scores.pcvr[rows]
    _check(label, scores.pctcvr[rows] / scores.pctr[rows], pcvr, config.on)
    return fit_map(config, pcvr, label, weight, weighted=weighted)


def fit_map(
    config: CalibrationConfig,
    pcvr: FloatArray,
    label: FloatArray,
    weight: FloatArray,
    *,
    weighted: bool,
) -> Calibration:
    """Fit a calibration to clicked rows with weights.

    Args:
        config: The settings.
        pcvr: ``(N,)`` predictions in [0, 1].
        label: ``(N,)`` conversions, or their probabilities.
        weight: ``(N,)`` weights of at least 0.
        weighted: Whether the weights are inverse propensities; stated in the result.

    Raises:
        DataError: Platt scaling without a finite positive slope.
    """
    x = _logit(pcvr)
    slope, intercept = 1.0, 0.0
    points, values = np.empty(0), np.empty(0)
    if config.method == "shift":
        intercept = fit_shift(x, label, weight)
    elif config.method == "platt":
        slope, intercept = fit_platt(x, label, weight)
        if slope <= 0:
            raise DataError(
                f"Platt scaling found the slope {slope:.3g}: on the clicked {config.on} rows "
                "higher predictions convert less, so it would reverse the order; use the method "
                '"shift", or inspect the model'
            )
    else:
        points, values = fit_isotonic(x, label, weight)
        # A block without a conversion must not predict a probability of exactly 0.
        least = 0.5 / (len(label) + 1)
        values = np.clip(values, least, 1 - least)
    return Calibration(
        config.method,
        weighted,
        rows=len(label),
        effective_size=float(weight.sum() ** 2 / np.square(weight).sum()),
        slope=slope,
        intercept=intercept,
        points=tuple(points.tolist()),
        values=tuple(values.tolist()),
        pcoc=float(weight @ pcvr / (weight @ label)),
        on=config.on,
    )


def propensity_of(config: CalibrationConfig, pctr: FloatArray, labels: FunnelLabels) -> FloatArray:
    """``(N,)`` logged propensities, else pCTR, recalibrated if asked and if that is defined."""
    if labels.propensity is not None:
        return labels.propensity.numpy().astype(np.float64)
    if not config.recalibrated:
        return pctr
    mass = None if labels.weight is None else labels.weight.numpy()
    click = labels.click.numpy().astype(np.float64)
    intercept, slope = map(float, recalibration(pctr, click, mass))
    recalibrated: FloatArray = expit(slope * _logit(pctr) + intercept)
    return recalibrated if slope > 0 else pctr


def _logit(probability: FloatArray) -> FloatArray:
    """Logit of a probability kept 1e-12 away from 0 and 1."""
    clipped: FloatArray = logit(np.clip(probability, _TINY, 1 - _TINY))
    return clipped


def _check(label: FloatArray, implied: FloatArray, pcvr: FloatArray, on: str) -> None:
    if len(label) == 0 or label.min() == label.max():
        way = "enlarge `validation`, or pass validation rows"
        raise DataError(
            f"calibration needs clicked {on} rows with and without a conversion, found "
            f"{int(label.sum())} conversions in {len(label)} clicks: "
            f"{way if on == 'validation' else 'pass more rows'}"
        )
    # Where pCTCVR exceeds pCTR, pCVR is their ratio clipped below 1.
    apart = np.abs(np.minimum(implied, 1) - pcvr)
    if not apart.max() <= _AGREE:
        raise CompositionError(
            "pCVR of this model is not pCTCVR / pCTR, the CVR among clicks, and clicks do not say "
            f"how to calibrate it (they differ by up to {apart.max():.3f}): leave `calibrate` "
            "out"
        )
