"""The contract of simulators."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mtl_seq.data import truth_to_frame
from mtl_seq.data.validate.checks import check_columns, check_labels
from mtl_seq.records import FloatArray, FunnelTruth
from mtl_seq.schema import Schema
from mtl_seq.simulate import Simulator
from mtl_seq.testing.base import keeps_global_random_state, require

__all__ = ["check_simulator"]

_SIGMAS = 5.0


def check_simulator(simulator: Simulator, *, rows: int = 20_000, seed: int = 0) -> None:
    """Check a simulator: the log fits its schema, the truth is consistent, draws follow the truth.

    Rates are tested within 5 standard errors, so that one seed in about a million fails by chance.

    Args:
        simulator: The simulator.
        rows: Number of rows to draw.
        seed: Seed of the draws.
    """
    with keeps_global_random_state("`sample`"):
        log, truth = simulator.sample(rows, np.random.default_rng(seed))
    require(isinstance(simulator, Simulator), "a simulator must have `schema` and `sample`")
    require(len(log) == rows, f"the log must have {rows} rows, found {len(log)}")
    check_columns(simulator.schema, log, labels=True)
    check_labels(simulator.schema, log)
    _check_truth(log, truth, simulator)
    again, truth_again = simulator.sample(rows, np.random.default_rng(seed))
    require(again.equals(log), "one seed must give one log")
    require(truth_to_frame(truth_again).equals(truth_to_frame(truth)), "and one truth")
    rng = np.random.default_rng(seed)
    first, _ = simulator.sample(rows, rng)
    second, _ = simulator.sample(rows, rng)
    require(not first.equals(second), "a second call with the same generator must give other rows")


def _check_truth(log: pd.DataFrame, truth: FunnelTruth, simulator: Simulator) -> None:
    schema = simulator.schema
    labels = {
        stage: log[column].to_numpy(dtype=np.float64) for stage, column in schema.labels.items()
    }
    click, conversion = labels[schema.funnel.first], labels[schema.funnel.last]
    for name, values in truth.arrays().items():
        require(values.shape == (len(log),), f"`{name}` must have one entry per row")
        require(values.dtype == np.float64, f"`{name}` must be float64, found {values.dtype}")
        require(bool(np.isfinite(values).all()), f"`{name}` must be finite")
        if not name.startswith("hidden_"):
            require(bool(((values >= 0) & (values <= 1)).all()), f"`{name}` must lie in [0, 1]")
    slack = 1e-12
    most = np.minimum(truth.pctr, truth.pcvr) + slack
    least = np.maximum(truth.pctr + truth.pcvr - 1, 0) - slack
    between = (truth.pctcvr <= most) & (truth.pctcvr >= least)
    require(bool(between.all()), "`pctcvr` must be a joint probability of click and conversion")
    require(set(np.unique(truth.potential)) <= {0.0, 1.0}, "`potential` must hold draws")
    converted = click * truth.potential
    if "delay" in truth.hidden:
        require(bool((conversion <= converted).all()), "conversion needs click and potential")
        _require_rate(conversion, truth.further["conversion_known"], "conversions known so far")
    else:
        require(bool((conversion == converted).all()), "conversion = click * potential")
    if not truth.hidden:
        same = np.array_equal(truth.pctr, truth.pctr_hidden)
        require(
            same and np.array_equal(truth.pcvr, truth.pcvr_hidden),
            "where `hidden` is empty, the truth given what is hidden must be that given x",
        )
    _require_rate(click, truth.pctr, "clicks given x")
    _require_rate(click, truth.pctr_hidden, "clicks given x and what is hidden")
    _require_rate(truth.potential, truth.pcvr, "potential conversions given x")
    _require_rate(truth.potential, truth.pcvr_hidden, "potential conversions given all")
    _require_rate(converted, truth.pctcvr, "conversions")
    for rows, rate, who in (
        (click == 1, truth.pcvr_clicked, "clicks"),
        (click == 0, truth.pcvr_unclicked, "non-clicks"),
    ):
        _require_rate(truth.potential[rows], rate[rows], f"potential conversions of {who}")
    _check_between(schema, labels, truth, click)


def _check_between(
    schema: Schema, labels: Mapping[str, FloatArray], truth: FunnelTruth, click: FloatArray
) -> None:
    """Check the stages between click and conversion."""
    for stage in schema.funnel.stages:
        acted = np.sum([labels[name] for name in stage.via], axis=0)
        require(bool(np.all(acted <= 1)), f"mediators of {stage.name!r} must be exclusive")
    for name in schema.funnel.names[1:-1]:
        require(name in truth.further, f"`further` must hold P({name} | x)")
        _require_rate(labels[name], truth.further[name], f"{name} given x")
        then = f"{name}_then_{schema.funnel.last}"
        if then in truth.further:
            joint = labels[name] * click * truth.potential
            _require_rate(joint, truth.further[then], f"{schema.funnel.last} by way of {name}")
        if f"potential_{name}" in truth.hidden:
            expected = click * truth.hidden[f"potential_{name}"]
            require(np.array_equal(labels[name], expected), f"{name} = click * potential {name}")


def _require_rate(drawn: FloatArray, rate: FloatArray, what: str) -> None:
    deviation = math.sqrt(float((rate * (1 - rate)).sum()))
    off = abs(float((drawn - rate).sum())) / max(deviation, 1e-12)
    require(off <= _SIGMAS, f"{what}: the draws are {off:.1f} standard errors off the truth")
