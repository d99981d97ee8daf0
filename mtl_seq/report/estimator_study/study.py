"""Bias and spread of estimators of the entire space, over many redraws of the clicks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch

from mtl_seq._files import write_json
from mtl_seq.errors import DataError
from mtl_seq.functional.estimators import ClickLaw, MeanEstimator, Values, moments, redraw
from mtl_seq.records import FloatArray
from mtl_seq.report.compute.serialise import to_json
from mtl_seq.report.estimator_study.study_inputs import StudyInputs, check_inputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ESTIMANDS", "EstimatorStudy"]

ESTIMANDS = ("log loss", "mean CVR")
"""Both over all impressions: the ideal log loss of the prediction, and the CVR."""

_KIND, _VERSION = "mtl_seq.estimator_study", 1
_KEYS = ("estimand", "estimator", "propensity", "imputation")


@dataclass(frozen=True)
class EstimatorStudy:
    """Bias, spread and error of estimators of two means over all impressions.

    The means are the ideal log loss of a prediction, ``E[-r log q^ - (1 - r) log(1 - q^)]``, and
    the CVR, ``E[r]``, with r the potential conversion. The features are fixed; clicks and
    conversions are redrawn, the same ones for every estimator.

    Attributes:
        table: A row per estimand, estimator, propensity and imputation (``""`` where it uses none):
            ``truth`` (the estimand), ``bias`` (mean estimate minus truth), ``mc_error`` (standard
            error of that mean over the redraws), ``analytic_bias``, ``sd`` (of the estimate),
            ``analytic_sd``, ``rmse``, ``formula`` (``"exact"``, or ``"first order"`` where the
            analytic columns are those of a ratio of expectations) and ``reason`` (why a measured
            value is NaN). Bias, errors and sd are in the units of the estimand.
        metadata: What the study was made from.
    """

    table: pd.DataFrame
    metadata: Mapping[str, Any]

    @classmethod
    def from_arrays(
        cls,
        pctr: FloatArray,
        pcvr: FloatArray,
        prediction: FloatArray,
        *,
        propensities: Mapping[str, FloatArray],
        imputations: Mapping[str, FloatArray],
        pctcvr: FloatArray | None = None,
        replicates: int = 200,
        seed: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> Self:
        """Study estimators under a given truth.

        Args:
            pctr: ``(N,)`` true P(click | x).
            pcvr: ``(N,)`` true P(r = 1 | x) over the entire space. Draws of r (0 or 1) hold the
                conversions fixed, so that only the clicks are redrawn.
            prediction: ``(N,)`` predicted CVR in (0, 1) whose loss is estimated.
            propensities: By name, ``(N,)`` propensities in (0, 1] of the weights.
            imputations: By name, ``(N,)`` imputed CVR in [0, 1]; the imputed error is the
                prediction's cross-entropy against it.
            pctcvr: ``(N,)`` true P(click and conversion | x); by default ``pctr * pcvr``, which
                assumes no hidden confounding.
            replicates: Number of redraws, at least 2.
            seed: Seed of the redraws.
            metadata: Further metadata to keep: the source of the arrays.

        Returns:
            The study. With no imputation it holds no direct and no DR estimate.

        Raises:
            DataError: Arrays of other lengths, or values out of range.

        >>> p, q = np.full(1000, 0.2), np.full(1000, 0.1)
        >>> wrong = {"half": p / 2}
        >>> study = EstimatorStudy.from_arrays(p, q, q, propensities=wrong, imputations={})
        >>> round(study.row("mean CVR", "IPS", "half")["analytic_bias"], 9)
        0.1
        >>> bool(abs(study.row("mean CVR", "SNIPS", "half")["analytic_bias"]) < 1e-12)
        True
        """
        if replicates < 2:
            raise DataError(f"`replicates` must be at least 2, found {replicates}")
        inputs = check_inputs(
            pctr, pcvr, prediction, pctcvr, propensities=propensities, imputations=imputations
        )
        clicks = inputs.pctr.sum()
        metadata = {
            **(metadata or {}),
            "space": "all",
            "impressions": len(inputs.pctr),
            "expected clicks": float(clicks),
            "CTR": float(clicks / len(inputs.pctr)),
            "CVR": float(inputs.pcvr.mean()),
            "CVR on clicks": float(inputs.pctcvr.sum() / clicks),
            "redraws": replicates,
            "seed": seed,
        }
        parts = [_measure(inputs, estimand, replicates, seed) for estimand in ESTIMANDS]
        return cls(pd.concat(parts, ignore_index=True), metadata)

    def row(
        self, estimand: str, estimator: str, propensity: str = "", imputation: str = ""
    ) -> dict[str, Any]:
        """One row of the table.

        Raises:
            DataError: No such row.
        """
        key = (estimand, estimator, propensity, imputation)
        rows = self.table[(self.table[list(_KEYS)] == list(key)).all(axis=1)]
        if rows.empty:
            raise DataError(f"no row {key} in the study: see `table`")
        row: dict[str, Any] = rows.iloc[0].to_dict()
        return row

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Draw a forest plot, a panel per estimand.

        Args:
            path: PNG or SVG file to write too; None for none.

        Returns:
            The Matplotlib figure.
        """
        from mtl_seq.report.estimator_study.study_plot import forest
        from mtl_seq.report.render.plot_bias import save

        return save(forest(self.table, self.metadata), path)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; NaN becomes null."""
        return {"metadata": dict(self.metadata), "rows": to_json(self.table)}

    def to_json(self, path: str | Path) -> None:
        """Write every value as JSON."""
        write_json(path, self.to_dict(), kind=_KIND, version=_VERSION)


class _Choice(NamedTuple):
    estimator: str
    propensity: str
    imputation: str
    normalised: bool


def _choices(inputs: StudyInputs) -> list[_Choice]:
    """Every estimator with every propensity and imputation that it takes."""
    choices = [_Choice("naive", "", "", True)]
    choices += [_Choice("direct", "", imputed, False) for imputed in inputs.imputations]
    for name, normalised in (("IPS", False), ("SNIPS", True)):
        choices += [_Choice(name, weighted, "", normalised) for weighted in inputs.propensities]
    for name, normalised in (("DR", False), ("self-normalised DR", True)):
        choices += [
            _Choice(name, weighted, imputed, normalised)
            for weighted in inputs.propensities
            for imputed in inputs.imputations
        ]
    return choices


def _measure(inputs: StudyInputs, estimand: str, replicates: int, seed: int) -> pd.DataFrame:
    converted, unconverted = _values(inputs, estimand)
    choices = _choices(inputs)
    estimators = [_estimator(inputs, choice, converted, unconverted) for choice in choices]
    values = Values(torch.from_numpy(converted), torch.from_numpy(unconverted))
    click_law = ClickLaw(torch.from_numpy(inputs.pctr), torch.from_numpy(inputs.pctcvr))
    # One seed for both estimands: they are estimated from the same logs.
    drawn = redraw(
        estimators,
        values,
        click_law,
        replicates=replicates,
        generator=torch.Generator().manual_seed(seed),
    ).numpy()
    expected = moments(estimators, values, click_law)
    truth = float((inputs.pcvr * converted + (1 - inputs.pcvr) * unconverted).mean())
    deviation = drawn.std(0, ddof=1)
    return pd.DataFrame(
        {
            "estimand": estimand,
            "estimator": [choice.estimator for choice in choices],
            "propensity": [choice.propensity for choice in choices],
            "imputation": [choice.imputation for choice in choices],
            "truth": truth,
            "bias": drawn.mean(0) - truth,
            "mc_error": deviation / np.sqrt(replicates),
            "analytic_bias": expected.mean.numpy() - truth,
            "sd": deviation,
            "analytic_sd": expected.deviation.numpy(),
            "rmse": np.sqrt(((drawn - truth) ** 2).mean(0)),
            "formula": ["first order" if choice.normalised else "exact" for choice in choices],
            "reason": [
                f"{count} of {replicates} redraws hold no click" if count else None
                for count in np.isnan(drawn).sum(0)
            ],
        }
    )


def _values(inputs: StudyInputs, estimand: str) -> tuple[FloatArray, FloatArray]:
    if estimand == "mean CVR":
        return np.ones_like(inputs.pctr), np.zeros_like(inputs.pctr)
    return -np.log(inputs.prediction), -np.log1p(-inputs.prediction)


def _estimator(
    inputs: StudyInputs, choice: _Choice, converted: FloatArray, unconverted: FloatArray
) -> MeanEstimator:
    weight, imputed = np.ones_like(inputs.pctr), np.zeros_like(inputs.pctr)
    if choice.propensity:
        weight = 1 / inputs.propensities[choice.propensity]
    if choice.imputation:
        cvr = inputs.imputations[choice.imputation]
        imputed = cvr * converted + (1 - cvr) * unconverted
    return MeanEstimator(torch.from_numpy(weight), torch.from_numpy(imputed), choice.normalised)
