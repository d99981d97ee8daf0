"""The objective of a search: the log loss of pCVR over all impressions.

It is estimated from the clicks of held-out rows. Its propensities, and the imputed conversions of
the doubly robust estimate, come from one reference that all trials share and never from the model
of a trial, which could lower its loss by raising its pCTR. A loss or an AUC on clicks alone would
prefer models that are right on clicks only.
"""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import write_frame
from mtl_seq.errors import ArtifactError
from mtl_seq.fit.estimator import FunnelEstimator
from mtl_seq.functional import dr_log_loss, ips_log_loss, snips_log_loss
from mtl_seq.losses import PropensityPolicy
from mtl_seq.models import multitask
from mtl_seq.schema import Schema

__all__ = ["OBJECTIVES", "Estimate", "Reference", "entire_space_loss"]

FloatArray = NDArray[np.float64]

Estimate = Literal["dr", "snips", "ips"]
"""Estimator of the loss over all impressions: doubly robust, self-normalised IPS, or IPS."""

OBJECTIVES: dict[Estimate, str] = {
    "dr": "doubly robust estimate of the log loss of pCVR over all impressions",
    "snips": "self-normalised IPS estimate of the log loss of pCVR over all impressions",
    "ips": "IPS estimate of the log loss of pCVR over all impressions",
}
"""Descriptions of the objective, by estimator."""


class Reference(NamedTuple):
    """Propensities and imputed conversions of the held-out rows, ``(N,)`` each.

    Attributes:
        propensity: Click propensities, floored at their 1% quantile.
        imputation: Conversion probabilities.
    """

    propensity: FloatArray
    imputation: FloatArray

    @classmethod
    def fit(
        cls, schema: Schema, rows: pd.DataFrame, held: pd.DataFrame, *, seed: int
    ) -> "Reference":
        """Fit the control, `models.multitask` with default settings, and predict held-out rows.

        A logged propensity of the schema replaces the control's pCTR.
        """
        control = FunnelEstimator(multitask, schema, seed=seed).fit(rows, validation=held)
        scores = control.predict(held)
        logged = schema.propensity
        column = scores["pctr"] if logged is None else held[logged]
        propensity = column.to_numpy(dtype=np.float64)
        floor = float(PropensityPolicy().floor_of(propensity))
        return cls(np.maximum(propensity, floor), scores["pcvr"].to_numpy())

    def save(self, path: str | Path) -> None:
        """Write the reference to a parquet file."""
        write_frame(pd.DataFrame(self._asdict()), path)

    @classmethod
    def load(cls, path: str | Path, rows: int) -> "Reference":
        """Read what `save` wrote.

        Raises:
            ArtifactError: The file is missing or holds another number of rows.
        """
        try:
            frame = pd.read_parquet(path, columns=list(cls._fields))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path} cannot be read: {error}") from error
        if len(frame) != rows:
            raise ArtifactError(
                f"{path} must hold the {rows:,} held-out rows, found {len(frame):,}: resume the "
                "study with its log, or name another folder"
            )
        return cls(*(frame[name].to_numpy() for name in cls._fields))


def entire_space_loss(
    estimate: Estimate,
    pcvr: FloatArray,
    click: FloatArray,
    conversion: FloatArray,
    reference: Reference,
    weight: FloatArray | None = None,
) -> float:
    """The log loss of pCVR over all impressions, estimated from the clicks, in nats.

    Args:
        estimate: The estimator: ``"dr"``, ``"snips"`` or ``"ips"``.
        pcvr: ``(N,)`` predictions.
        click: ``(N,)`` clicks.
        conversion: ``(N,)`` conversions, 0 off the clicks.
        reference: Propensities and imputed conversions.
        weight: ``(N,)`` weights of the rows; None for equal weights.
    """
    rows = (pcvr, conversion, click, reference.propensity)
    if estimate == "dr":
        return float(dr_log_loss(*rows, reference.imputation, weight))
    return float((snips_log_loss if estimate == "snips" else ips_log_loss)(*rows, weight))
