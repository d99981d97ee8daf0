"""Comparison of models on simulated data."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mtl_seq import models
from mtl_seq.errors import CompositionError
from mtl_seq.fit import CHECKPOINT_RULE, FunnelEstimator
from mtl_seq.models import Builder
from mtl_seq.report import BiasReport
from mtl_seq.report.compute.inputs import versions
from mtl_seq.simulate import Simulator

__all__ = ["ALL", "BUILDERS", "MODELS", "compare_models", "versions"]

# `assemble` composes a model of given parts; every other function of `models` builds a named one.
BUILDERS: Mapping[str, Builder] = {
    name: getattr(models, name) for name in models.__all__ if name.islower() and name != "assemble"
}
"""The builders of `mtl_seq.models` by name."""

MODELS: Mapping[str, Builder] = {
    "click_space": models.click_space,
    "multitask": models.multitask,
    "esmm": models.esmm,
    "escm2_ips": models.escm2_ips,
    "escm2_dr": models.escm2_dr,
    "oracle": models.oracle,
}
"""The models compared by default: the naive model, the control, three methods, and the oracle."""

# `esm2` needs a label between click and conversion; the other two are identified only by features
# that move clicks alone (`Schema.click_only`).
_NEEDS_MORE = ("esm2", "esmm_dependent", "esmm_gaussian")

ALL: Mapping[str, Builder] = {
    **MODELS,
    **{name: builder for name, builder in BUILDERS.items() if name not in _NEEDS_MORE},
}
"""Every model that any log of clicks and conversions can be fitted with; `MODELS` first."""


def compare_models(
    simulator: Simulator,
    builders: Mapping[str, Builder] = MODELS,
    *,
    rows: int = 200_000,
    test_rows: int = 50_000,
    seed: int = 0,
    progress: bool = False,
    settings: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> BiasReport:
    """Fit models to one draw of a scenario and evaluate them on another, against the truth.

    Args:
        simulator: The simulator.
        builders: Models by their names in the report.
        rows: Impressions to train on.
        test_rows: Impressions to evaluate on.
        seed: Seed of both draws and of every fit; the simulator has a seed of its own.
        progress: Whether to show the progress of each fit on standard error.
        settings: Further arguments of `FunnelEstimator`, the same for all models.
        metadata: Further metadata of the report.

    Raises:
        CompositionError: `builders` is empty.
        SimulationError: Fewer than one row.
        DataError: A draw that cannot be trained on, such as one without a conversion.
    """
    if not builders:
        raise CompositionError(
            f"`builders` must name at least one model, such as {[*MODELS]}, found none"
        )
    log, truth = simulator.sample(rows, np.random.default_rng([seed, 1]))
    test, test_truth = simulator.sample(test_rows, np.random.default_rng([seed, 2]))
    scores: dict[str, pd.DataFrame] = {}
    seconds = {}
    for name, builder in builders.items():
        start = time.perf_counter()
        estimator = FunnelEstimator(
            builder, simulator.schema, seed=seed, progress=progress, **(settings or {})
        )
        estimator.fit(log, truth=truth)
        seconds[name] = round(time.perf_counter() - start, 1)
        scores[name] = estimator.predict(test)
    return BiasReport.against_truth(
        scores,
        test,
        test_truth,
        schema=simulator.schema,
        checkpoint_rule=CHECKPOINT_RULE,
        metadata={
            **(metadata or {}),
            "training impressions": rows,
            "seed": seed,
            "seconds to fit": ", ".join(f"{name} {took}" for name, took in seconds.items()),
            "versions": versions(),
        },
        seed=seed,
    )
