"""Simulate, fit several models on the same rows, report how biased each is."""

import inspect
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mtl_seq import models
from mtl_seq.errors import CompositionError
from mtl_seq.fit import CHECKPOINT_RULE, FunnelEstimator
from mtl_seq.models import CLICK_CONVERSION, Builder
from mtl_seq.report import BiasReport
from mtl_seq.report.compute.log import versions
from mtl_seq.simulate import Simulator

__all__ = ["ALL", "BUILDERS", "MODELS", "compare_models", "versions"]

# A builder is what takes features and says for itself what it is trained on.
BUILDERS: Mapping[str, Builder] = {
    name: function
    for name in models.__all__
    if inspect.isfunction(function := getattr(models, name))
    and "spec" in (taken := inspect.signature(function).parameters)
    and "objective" not in taken
}
"""Every named model."""

MODELS: Mapping[str, Builder] = {
    "click_space": models.click_space,
    "multitask": models.multitask,
    "esmm": models.esmm,
    "escm2_ips": models.escm2_ips,
    "escm2_dr": models.escm2_dr,
    "oracle": models.oracle,
}
"""What is compared unless one says otherwise: both ends of the gap, the control, and the methods
between them."""

ALL: Mapping[str, Builder] = {
    **MODELS,
    **{
        name: builder
        for name, builder in BUILDERS.items()
        if inspect.signature(builder).parameters["funnel"].default == CLICK_CONVERSION
        and name not in ("esmm_dependent", "esmm_gaussian")
    },
}
"""Every named model that any log of clicks and conversions will do for: `MODELS`, then the others.
One with a dependence needs a feature that moves clicks only."""


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
    """Fit models on one draw of a scenario and measure them on another, against its truth.

    Args:
        simulator: The simulator.
        builders: Models by the name they are to have in the report.
        rows: Impressions to train on.
        test_rows: Impressions to measure on.
        seed: Seed of both draws and of every fit; the scenario has its own.
        progress: Whether to draw a progress line per model on standard error.
        settings: Further arguments of `FunnelEstimator`, the same for all models.
        metadata: Further metadata for the report.

    Returns:
        The report.

    Raises:
        CompositionError: No model.
        SimulationError: Fewer than one row.
        DataError: A draw that cannot be trained on, such as one without a conversion.
    """
    if not builders:
        raise CompositionError(f"at least one model is needed, found none: known are {[*MODELS]}")
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
