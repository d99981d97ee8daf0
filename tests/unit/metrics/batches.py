"""Every streaming metric, the columns it is fed with, and its one-shot twin."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torchmetrics import Metric

from mtl_seq import functional as F
from mtl_seq import metrics as M

ROWS = 600
FEATURES = 3
FIELDS = 12


class Case(NamedTuple):
    """A metric and what it must give for some columns, by pure functions on whole columns."""

    make: Callable[[], Metric]
    columns: tuple[str, ...]
    twin: Callable[[Mapping[str, torch.Tensor]], Any]


def columns(seed: int = 0, rows: int = ROWS, users: int = 40) -> dict[str, torch.Tensor]:
    """Ties in the predictions, row weights of which some are 0, clicks that favour conversions."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=rows)
    p, q = 1 / (1 + np.exp(1 - z)), 1 / (1 + np.exp(0.5 - z))
    click = rng.random(rows) < p
    potential = rng.random(rows) < q
    prediction = np.round(1 / (1 + np.exp(rng.normal(0.5, 0.3, rows) - z)), 2)
    made = {
        "prediction": np.clip(prediction, 0.01, 0.99),
        "pcvr": prediction,
        "pctr": np.clip(p + rng.normal(0, 0.05, rows), 0.02, 0.98),
        "target": potential,
        "conversion": click & potential,
        "click": click,
        "true_pctr": p,
        "true_pcvr": q,
        "propensity": np.clip(np.round(p, 2), 0.05, 1),
        "imputation": np.round(q, 1),
        "weight": rng.random(rows) * (rng.random(rows) < 0.9),
    }
    found = {name: torch.from_numpy(np.asarray(v, dtype=np.float64)) for name, v in made.items()}
    found["group"] = torch.from_numpy(rng.integers(users, size=rows) * 10**15)
    found["field"] = torch.from_numpy(rng.integers(FIELDS, size=rows))
    found["features"] = torch.from_numpy(rng.normal(size=(rows, FEATURES)))
    return found


def part(given: Mapping[str, torch.Tensor], rows: Any) -> dict[str, torch.Tensor]:
    """Some rows of the columns."""
    return {name: column[rows] for name, column in given.items()}


def fed(metric: Metric, names: tuple[str, ...], *batches: Mapping[str, torch.Tensor]) -> Metric:
    """The metric after some batches."""
    for batch in batches:
        metric.update(**{name: batch[name] for name in names})
    return metric


def numbers(value: Any) -> torch.Tensor:
    """A metric's value, be it a number or a tuple of columns, as one row of numbers."""
    parts = value if isinstance(value, tuple) else (value,)
    return torch.cat([torch.atleast_1d(part).double().flatten() for part in parts])


def _space(space: str, function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Any]:
    def twin(c: Mapping[str, torch.Tensor]) -> Any:
        clicked = c["click"] > 0
        kept = {"all": clicked | True, "clicks": clicked, "non-clicks": ~clicked}[space]
        return function(part(c, kept))

    return twin


def _plain(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Any]:
    return lambda c: function(c["prediction"], c["target"], c["weight"])


def _weighted(function: Callable[..., Any], **options: Any) -> Callable[[Mapping[str, Any]], Any]:
    return lambda c: function(c["prediction"], c["target"], weight=c["weight"], **options)


PLAIN = {
    "AUC": (M.AUC, _plain(F.auc)),
    "KS": (M.KS, _plain(F.ks)),
    "ECE": (M.ECE, _weighted(F.expected_calibration_error)),
    "NullECE": (M.NullECE, lambda c: F.expected_null_ece(c["prediction"], weight=c["weight"])),
    "ReliabilityCurve": (M.ReliabilityCurve, _weighted(F.calibration_bins)),
    "Recalibration": (M.Recalibration, _plain(F.recalibration)),
    "LogLoss": (M.LogLoss, _plain(F.log_loss)),
    "NormalisedEntropy": (M.NormalisedEntropy, _plain(F.normalised_entropy)),
    "PCOC": (M.PCOC, _plain(F.pcoc)),
    "MeanBias": (M.MeanBias, _plain(F.mean_bias)),
    "RelativeBias": (M.RelativeBias, _plain(F.relative_bias)),
    "RMSE": (M.RMSE, _plain(F.rmse)),
}
_PLAIN_COLUMNS = ("prediction", "target", "click", "weight")
_LOG = ("prediction", "conversion", "click", "propensity")


def _gauc(by: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda c: (
        F.grouped_auc(
            c["prediction"],
            c["target"],
            c["group"],
            weight=c["weight"],
            share=c["weight"] * c["click"] if by == "clicks" else None,
        ).value
    )


def _bias_curve(c: Mapping[str, torch.Tensor]) -> M.BiasCurve:
    cut = {"by": c["propensity"], "bins": 10, "weight": c["weight"]}
    mass, predicted, observed = F.calibration_bins(c["prediction"], c["target"], **cut)
    key = F.calibration_bins(c["propensity"], c["propensity"], **cut).predicted
    return M.BiasCurve(
        mass, key, predicted, observed, predicted - observed, predicted / observed - 1
    )


def _ipw(c: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return c["weight"] * c["click"] / c["propensity"]


def _log(function: Callable[..., Any], *more: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda c: function(*(c[name] for name in (*_LOG, *more, "weight")))


CASES: dict[str, Case] = {
    f"{name} on {space}": Case(
        lambda kind=kind, space=space: kind(space=space), _PLAIN_COLUMNS, _space(space, twin)
    )
    for name, (kind, twin) in PLAIN.items()
    for space in ("all", "clicks", "non-clicks")
}
CASES |= {
    f"GAUC by {by} on {space}": Case(
        lambda by=by, space=space: M.GAUC(space, by=by),
        (*_PLAIN_COLUMNS, "group"),
        _space(space, _gauc(by)),
    )
    for by in ("impressions", "clicks")
    for space in ("all", "clicks")
}
CASES |= {
    "FieldRCE": Case(
        lambda: M.FieldRCE(FIELDS),
        ("prediction", "target", "field", "weight"),
        lambda c: F.field_rce(c["prediction"], c["target"], c["field"], weight=c["weight"]),
    ),
    "BiasByPropensity": Case(
        lambda: M.BiasByPropensity("non-clicks"),
        (*_PLAIN_COLUMNS, "propensity"),
        _space("non-clicks", _bias_curve),
    ),
    "CTCVRAUC": Case(
        M.CTCVRAUC,
        ("pctr", "pcvr", "conversion", "weight"),
        lambda c: F.auc(c["pctr"] * c["pcvr"], c["conversion"], c["weight"]),
    ),
    "ErrorCorrelation": Case(
        M.ErrorCorrelation,
        ("pctr", "pcvr", "true_pctr", "true_pcvr", "weight"),
        lambda c: F.error_correlation(
            c["pctr"], c["pcvr"], c["true_pctr"], c["true_pcvr"], c["weight"]
        ),
    ),
    "EffectiveSampleSize": Case(
        M.EffectiveSampleSize,
        ("click", "propensity", "weight"),
        lambda c: F.effective_sample_size(_ipw(c)),
    ),
    "LargestWeightShare": Case(
        M.LargestWeightShare,
        ("click", "propensity", "weight"),
        lambda c: F.largest_weight_share(_ipw(c)),
    ),
    "Balance": Case(
        lambda: M.CovariateBalance(FEATURES),
        ("click", "propensity", "features", "weight"),
        lambda c: F.balance(c["click"], c["propensity"], c["features"], c["weight"]),
    ),
    "IPSAUC": Case(M.IPSAUC, (*_LOG, "weight"), _log(F.ips_auc)),
    "DRAUC": Case(M.DRAUC, (*_LOG, "imputation", "weight"), _log(F.dr_auc, "imputation")),
    "IPSLogLoss": Case(M.IPSLogLoss, (*_LOG, "weight"), _log(F.ips_log_loss)),
    "SNIPSLogLoss": Case(M.SNIPSLogLoss, (*_LOG, "weight"), _log(F.snips_log_loss)),
    "DRLogLoss": Case(
        M.DRLogLoss, (*_LOG, "imputation", "weight"), _log(F.dr_log_loss, "imputation")
    ),
}
