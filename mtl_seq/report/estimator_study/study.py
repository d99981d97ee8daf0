"""How far estimators of the entire space are off, over many redraws of the clicks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq._files import write_json
from mtl_seq.errors import DataError
from mtl_seq.functional.estimators import ClickLaw, MeanEstimator, Values, moments, redraw
from mtl_seq.report.estimator_study.study_inputs import StudyInputs, checked_inputs

__all__ = ["ESTIMANDS", "EstimatorStudy"]

FloatArray = NDArray[np.float64]

ESTIMANDS = ("log loss", "mean CVR")
"""What is estimated, both over all impressions: the ideal loss of the prediction, and the CVR."""

_KIND, _VERSION = "mtl_seq.estimator_study", 1
_KEYS = ("estimand", "estimator", "propensity", "imputation")


@dataclass(frozen=True)
class EstimatorStudy:
    """Bias, spread and error of estimators of two means over all impressions.

    The means are the ideal log loss of a prediction, ``E[-r log q^ - (1 - r) log(1 - q^)]``, and
    the CVR, ``E[r]``, with r the conversion there would be after a click. The features stay; clicks
    and conversions are drawn anew in every redraw, the same ones for every estimator.

    Attributes:
        table: A row per estimand, estimator, propensity and imputation (``""`` where it uses none):
            ``truth`` (the estimand), ``bias`` (mean estimate minus truth), ``mc_error`` (standard
            error of that mean over the redraws), ``analytic_bias``, ``sd`` (of the estimate),
            ``analytic_sd``, ``rmse``, ``formula`` (``"exact"``, or ``"first order"`` where the
            analytic columns are those of a ratio of expectations) and ``reason`` (why a measured
            figure is NaN). Bias, errors and sd are in the units of the estimand.
        metadata: What the study was made from.
    """

    table: pd.DataFrame
    metadata: Mapping[str, Any]

    @classmethod
    def of(
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
    ) -> "EstimatorStudy":
        """Study estimators on a truth of one's own.

        Args:
            pctr: ``(N,)`` true P(click | x).
            pcvr: ``(N,)`` true P(r = 1 | x) over the entire space. Draws of r (0 or 1) hold the
                conversions fixed, so that only the clicks are drawn anew.
            prediction: ``(N,)`` predicted CVR in (0, 1) whose loss is estimated.
            propensities: By name, ``(N,)`` propensities in (0, 1] that weights are made of.
            imputations: By name, ``(N,)`` imputed CVR in [0, 1]; the imputed error is the
                prediction's cross-entropy against it.
            pctcvr: ``(N,)`` true P(click and conversion | x); by default ``pctr * pcvr``, which
                says that nothing hidden moves both.
            replicates: How many redraws, at least 2.
            seed: Seed of the redraws.
            metadata: Further metadata to keep: where the arrays come from.

        Returns:
            The study. With no imputation it holds no direct and no DR estimate.

        Raises:
            DataError: Arrays of other lengths, or values out of range.

        >>> p, q = np.full(1000, 0.2), np.full(1000, 0.1)
        >>> study = EstimatorStudy.of(p, q, q, propensities={"half": p / 2}, imputations={})
        >>> round(study.row("mean CVR", "IPS", "half")["analytic_bias"], 9)
        0.1
        >>> bool(abs(study.row("mean CVR", "SNIPS", "half")["analytic_bias"]) < 1e-12)
        True
        """
        if replicates < 2:
            raise DataError(f"`replicates` must be at least 2, found {replicates}")
        given = checked_inputs(
            pctr, pcvr, prediction, pctcvr, propensities=propensities, imputations=imputations
        )
        clicks = given.pctr.sum()
        told = {
            **(metadata or {}),
            "space": "all impressions",
            "impressions": len(given.pctr),
            "expected clicks": float(clicks),
            "CTR": float(clicks / len(given.pctr)),
            "CVR": float(given.pcvr.mean()),
            "CVR on clicks": float(given.pctcvr.sum() / clicks),
            "redraws": replicates,
            "seed": seed,
        }
        parts = [_measured(given, estimand, replicates, seed) for estimand in ESTIMANDS]
        return cls(pd.concat(parts, ignore_index=True), told)

    def row(
        self, estimand: str, estimator: str, propensity: str = "", imputation: str = ""
    ) -> dict[str, Any]:
        """One row of the table.

        Raises:
            DataError: No such row.
        """
        key = (estimand, estimator, propensity, imputation)
        found = self.table[(self.table[list(_KEYS)] == list(key)).all(axis=1)]
        if found.empty:
            raise DataError(f"no row {key} in the study: see `table`")
        row: dict[str, Any] = found.iloc[0].to_dict()
        return row

    def plot(self, path: str | Path) -> None:
        """Draw a forest plot into a file, PNG or SVG by its suffix: a panel per estimand."""
        from mtl_seq.report.estimator_study.study_plot import forest
        from mtl_seq.report.render.plot_bias import save

        save(forest(self.table, self.metadata), path)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; what is undefined becomes null."""
        table = self.table.astype(object)
        rows = table.where(table.notna(), None).to_dict("records")
        return {"metadata": dict(self.metadata), "rows": rows}

    def to_json(self, path: str | Path) -> None:
        """Write every figure as JSON."""
        write_json(path, self.to_dict(), kind=_KIND, version=_VERSION)


class _Choice(NamedTuple):
    estimator: str
    propensity: str
    imputation: str
    normalised: bool


def _choices(given: StudyInputs) -> list[_Choice]:
    """Every estimator with every propensity and imputation that it takes."""
    found = [_Choice("naive", "", "", True)]
    found += [_Choice("direct", "", imputed, False) for imputed in given.imputations]
    for name, normalised in (("IPS", False), ("SNIPS", True)):
        found += [_Choice(name, weighted, "", normalised) for weighted in given.propensities]
    for name, normalised in (("DR", False), ("self-normalised DR", True)):
        found += [
            _Choice(name, weighted, imputed, normalised)
            for weighted in given.propensities
            for imputed in given.imputations
        ]
    return found


def _measured(given: StudyInputs, estimand: str, replicates: int, seed: int) -> pd.DataFrame:
    converted, unconverted = _values(given, estimand)
    choices = _choices(given)
    estimators = [_estimator(given, choice, converted, unconverted) for choice in choices]
    values = Values(torch.from_numpy(converted), torch.from_numpy(unconverted))
    law = ClickLaw(torch.from_numpy(given.pctr), torch.from_numpy(given.pctcvr))
    # One seed for both estimands: they are estimated from the same logs.
    drawn = redraw(
        estimators,
        values,
        law,
        replicates=replicates,
        generator=torch.Generator().manual_seed(seed),
    ).numpy()
    expected = moments(estimators, values, law)
    truth = float((given.pcvr * converted + (1 - given.pcvr) * unconverted).mean())
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


def _values(given: StudyInputs, estimand: str) -> tuple[FloatArray, FloatArray]:
    if estimand == "mean CVR":
        return np.ones_like(given.pctr), np.zeros_like(given.pctr)
    return -np.log(given.prediction), -np.log1p(-given.prediction)


def _estimator(
    given: StudyInputs, choice: _Choice, converted: FloatArray, unconverted: FloatArray
) -> MeanEstimator:
    weight, imputed = np.ones_like(given.pctr), np.zeros_like(given.pctr)
    if choice.propensity:
        weight = 1 / given.propensities[choice.propensity]
    if choice.imputation:
        cvr = given.imputations[choice.imputation]
        imputed = cvr * converted + (1 - cvr) * unconverted
    return MeanEstimator(torch.from_numpy(weight), torch.from_numpy(imputed), choice.normalised)
