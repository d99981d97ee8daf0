"""Days move the logits by what the parameters say, and turns keep every moment."""

import numpy as np
import pytest

from mtl_seq.simulate import Drift, LogisticFunnel, ParameterError
from mtl_seq.simulate.logistic.sample_impressions import Impressions


def logit(p):
    return np.log(p) - np.log1p(-p)


def test_rates_drift_by_day_and_by_nothing_else():
    simulator = LogisticFunnel(users=60, items=40, days=5, drift=Drift(click=0.2, conversion=-0.3))
    log, truth = simulator.sample(40_000, np.random.default_rng(0))
    day = np.floor(log["time"].to_numpy())
    assert set(day) == {0, 1, 2, 3, 4}
    for values in (logit(truth.pctr) - 0.2 * day, logit(truth.pcvr) + 0.3 * day):
        spread = log.assign(value=values).groupby(["user_id", "item_id"])["value"].agg(np.ptp)
        assert spread.max() <= 1e-9


@pytest.mark.parametrize("day", [0, 1, 6])
def test_a_turn_keeps_variance_and_correlation_on_every_day(day):
    """Over all pairs of the scenario, weighted by popularity: no sampling."""
    simulator = LogisticFunnel(users=80, items=50, rho=0.6, days=7, drift=Drift(turn=20.0), seed=4)
    users, items = np.repeat(np.arange(80), 50), np.tile(np.arange(50), 80)
    impression_sampler, logit_model = (
        simulator._scenario.impressions,
        simulator._scenario.outcomes.logit_model,
    )
    weight = np.outer(
        impression_sampler.users.popularity, impression_sampler.items.popularity
    ).ravel()

    def scores(on):
        time = np.full(4000, on + 0.5)
        return logit_model.logits(Impressions(users, items, time=time)).scores

    click, conversion = scores(day)
    first = scores(0)[1]
    own = (conversion - 0.6 * click) / 0.8
    first_own = (first - 0.6 * click) / 0.8
    for values, expected in (
        (click, 0),
        (conversion, 0),
        (click**2, 1),
        (conversion**2, 1),
        (click * conversion, 0.6),
        (own * first_own, np.cos(np.deg2rad(20 * day))),
    ):
        assert weight @ values == pytest.approx(expected, abs=1e-10)


def test_time_is_spread_evenly_and_is_the_schemas():
    simulator = LogisticFunnel(users=60, items=40, days=3)
    log, _ = simulator.sample(30_000, np.random.default_rng(0))
    assert simulator.schema.time == "time"
    assert log["time"].between(0, 3, inclusive="left").all()
    counts = np.bincount(log["time"].astype(int))
    assert np.abs(counts - 10_000).max() <= 4.5 * np.sqrt(30_000 * 2 / 9)
    assert LogisticFunnel(users=60, items=40).schema.time is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"click": 6.0}, r"`drift.click` must lie in \[-5, 5\]"),
        ({"conversion": -6.0}, "`drift.conversion` must lie in"),
        ({"turn": 181.0}, r"`drift.turn` must lie in \[-180, 180\]"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Drift(**parameters)


def test_a_drift_needs_days():
    with pytest.raises(
        ParameterError, match="`days` must be at least 1 in a scenario with a `drift`"
    ):
        LogisticFunnel(users=60, items=40, drift=Drift(click=0.1))
