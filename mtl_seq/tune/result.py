"""Result of a hyper-parameter search, and the training settings that it searches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mtl_seq._files import read_json, write_json
from mtl_seq.data import Encoding
from mtl_seq.errors import ArtifactError
from mtl_seq.fit.estimator import FunnelEstimator
from mtl_seq.fit.storage.builder_json import builder_from_dict, builder_to_dict
from mtl_seq.models import Builder, Choice, Range, SearchSpace
from mtl_seq.tune.objective import Estimate

__all__ = ["SETTINGS", "TRAINING", "Tuned", "values_text"]

_KIND, _VERSION = "mtl_seq.tuned", 1

TRAINING: SearchSpace = {
    "lr": Range(1e-3, 2e-2, log=True),
    "weight_decay": Range(1e-6, 1e-2, log=True),
    "batch_size": Choice((128, 256, 512)),
    "embedding": Choice((8, 16, 32)),
}
"""The training settings that are searched by default: arguments of `FunnelEstimator`."""

SETTINGS = frozenset((*TRAINING, "id_dropout"))
"""Names in a search space that are arguments of `FunnelEstimator`, not of the builder."""


@dataclass(frozen=True)
class Tuned:
    """Result of a hyper-parameter search.

    Attributes:
        model: The builder with the best arguments.
        settings: The best arguments of `FunnelEstimator`; empty if no trial beat the defaults.
        value: The objective, in nats. On the rows it was chosen on, the best of many trials looks
            better than it is: evaluate it on other rows.
        default: The objective of the given builder with default settings.
        estimate: The estimator of the objective.
        trials: A row per finished trial: ``value`` and the parameters.
    """

    model: Builder
    settings: Mapping[str, Any]
    value: float
    default: float
    estimate: Estimate
    trials: pd.DataFrame

    def apply(self, estimator: FunnelEstimator) -> FunnelEstimator:
        """Set the best model and settings on an estimator that is not fitted.

        Args:
            estimator: It is changed in place; parameters that were not searched are kept.
        """
        settings = dict(self.settings)
        estimator.model = self.model
        if "embedding" in settings:
            estimator.encoding = replace(
                estimator.encoding or Encoding(), embedding=settings.pop("embedding")
            )
        for name, value in settings.items():
            setattr(estimator, name, value)
        return estimator

    def to_json(self, path: str | Path) -> None:
        """Write model, settings and objective to a file for ``mtl-seq fit --settings``.

        Raises:
            ArtifactError: The builder is user-defined, and files hold no code.
        """
        model = builder_to_dict(self.model)
        if model is None:
            raise ArtifactError(
                "the builder is user-defined, and files hold no code: read `settings` and `trials`"
            )
        content = {
            "model": model,
            "settings": dict(self.settings),
            "value": self.value,
            "default": self.default,
            "estimate": self.estimate,
        }
        write_json(path, content, kind=_KIND, version=_VERSION)

    @classmethod
    def from_json(cls, path: str | Path) -> "Tuned":
        """Read what `to_json` wrote, without the trials.

        Raises:
            ArtifactError: The file is missing, from a newer version, or names an unknown model.
        """
        content = read_json(path, kind=_KIND, version=_VERSION)
        try:
            unknown = sorted(set(content["settings"]) - SETTINGS)
            if unknown:
                raise ArtifactError(f"{path} must set some of {sorted(SETTINGS)}, found {unknown}")
            return cls(
                builder_from_dict(content["model"]),
                content["settings"],
                content["value"],
                content["default"],
                content["estimate"],
                pd.DataFrame(),
            )
        except KeyError as error:
            raise ArtifactError(f"{path} is incomplete: it lacks {error}") from error


def values_text(values: Mapping[str, Any]) -> str:
    """The values of a trial in one line."""
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
