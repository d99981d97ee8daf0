"""What a search of hyper-parameters turns besides the model, and what it found."""

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

__all__ = ["SETTINGS", "TRAINING", "Tuned"]

_KIND, _VERSION = "mtl_seq.tuned", 1

TRAINING: SearchSpace = {
    "lr": Range(1e-3, 2e-2, log=True),
    "weight_decay": Range(1e-6, 1e-2, log=True),
    "batch_size": Choice((128, 256, 512)),
    "embedding": Choice((8, 16, 32)),
}
"""What is searched beside a builder's own arguments: arguments of `FunnelEstimator`."""

SETTINGS = frozenset((*TRAINING, "id_dropout"))
"""Names that a space of one's own may hold of `FunnelEstimator`; others are the builder's."""


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        model: The builder with the arguments that were found.
        settings: Arguments of `FunnelEstimator` that were found; empty where nothing beat the
            defaults.
        value: The objective, in nats. The least of many trials looks better on the rows it was
            chosen on than it is: measure it on other rows.
        default: The objective of the builder as it was given, with default settings.
        estimate: How the objective is estimated.
        trials: A row per finished trial: ``value`` and what was tried.
    """

    model: Builder
    settings: Mapping[str, Any]
    value: float
    default: float
    estimate: Estimate
    trials: pd.DataFrame

    def apply(self, estimator: FunnelEstimator) -> FunnelEstimator:
        """Give an unfitted estimator the model and settings that were found.

        Args:
            estimator: It is changed; what was not searched stays.
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
        """Write model, settings and objective to a file, which ``mtl-seq fit --settings`` takes.

        Raises:
            ArtifactError: The builder is one's own, and no file holds code.
        """
        model = builder_to_dict(self.model)
        if model is None:
            raise ArtifactError(
                "the builder is one's own, and no file holds code: read `settings` and `trials`"
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
        """Read what `to_json` wrote; the trials stay with the study.

        Raises:
            ArtifactError: No such file, one of a newer version, or a model this package lacks.
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
