"""Delays follow their distribution; no label is known before its time."""

import numpy as np
import pytest
from scipy.stats import kstest

from mtl_seq.errors import SimulationError
from mtl_seq.simulate import Delay, LogisticFunnel, ParameterError, known_at
from mtl_seq.simulate.logistic.sample_impressions import Impressions

ROWS = 60_000


@pytest.fixture(scope="module")
def drawn():
    simulator = LogisticFunnel(
        users=200, items=80, days=10, delay=Delay(mean=2.0, slope=0.7, window=5.0), seed=1
    )
    return (simulator, *simulator.sample(ROWS, np.random.default_rng(2)))


def rates(simulator, log):
    """The exponential rates, from the docstring's formula."""
    impressions = Impressions(log["user_id"].to_numpy(), log["item_id"].to_numpy())
    return (
        np.exp(0.7 * simulator._scenario.outcomes.logit_model.logits(impressions).scores[1]) / 2.0
    )


def test_delays_follow_the_truncated_exponential(drawn):
    simulator, log, truth = drawn
    delay, rate = truth.hidden["delay"], rates(simulator, log)
    assert delay.min() >= 0
    assert delay.max() <= 5
    uniform = -np.expm1(-rate * delay) / -np.expm1(-rate * 5)
    assert kstest(uniform, "uniform").pvalue > 1e-4


def test_no_label_before_its_conversion(drawn):
    _, log, truth = drawn
    converted = (log["click"] * truth.potential).to_numpy() == 1
    known = log["time"].to_numpy() + truth.hidden["delay"] <= 10
    np.testing.assert_array_equal(log["conversion"], converted & known)
    assert (converted & ~known).sum() > 100


def test_what_is_known_at_the_cut_off_has_its_probability(drawn):
    simulator, log, truth = drawn
    rate = rates(simulator, log)
    age = np.minimum(10 - log["time"].to_numpy(), 5)
    expected = truth.pctcvr * np.expm1(-rate * age) / np.expm1(-rate * 5)
    np.testing.assert_allclose(truth.further["conversion_known"], expected, rtol=1e-10)


def test_labels_mature(drawn):
    _, log, truth = drawn
    before = log.copy(deep=True)
    last = np.zeros(len(log))
    for day in (1.0, 4.5, 10.0, 12.0, np.inf):
        then, known = known_at(log, truth, day)
        assert (then["time"] <= day).all()
        assert len(then) == (log["time"] <= day).sum() == len(known.pctr)
        label = np.zeros(len(log))
        label[then.index] = then["conversion"]
        assert (label >= last).all()
        last = label
    np.testing.assert_array_equal(last, log["click"] * truth.potential)
    again, known = known_at(log, truth, 10.0)
    np.testing.assert_array_equal(again["conversion"], log["conversion"])
    assert "conversion_known" not in known.further
    assert log.equals(before)


def test_a_later_cut_off_misses_nothing():
    simulator = LogisticFunnel(users=60, items=40, days=3, delay=Delay(window=2.0, cutoff=np.inf))
    log, truth = simulator.sample(5000, np.random.default_rng(0))
    np.testing.assert_array_equal(log["conversion"], log["click"] * truth.potential)
    np.testing.assert_allclose(truth.further["conversion_known"], truth.pctcvr, rtol=1e-12)


def test_the_targets_are_those_of_matured_labels():
    simulator = LogisticFunnel(users=200, items=80, days=3, delay=Delay(mean=5.0), cvr=0.3, seed=0)
    log, truth = simulator.sample(ROWS, np.random.default_rng(0))
    error = truth.pctcvr - 0.3 * truth.pctr
    assert abs(error.mean()) <= 4.5 * error.std() / np.sqrt(ROWS)
    assert log["conversion"].sum() < 0.8 * (log["click"] * truth.potential).sum()


def test_a_log_without_delays_has_no_other_day():
    log, truth = LogisticFunnel(users=60, items=40, days=2).sample(100, np.random.default_rng(0))
    with pytest.raises(SimulationError, match="with a `delay`, found none"):
        known_at(log, truth, 1.0)


def test_a_day_before_the_log_is_an_error(drawn):
    with pytest.raises(SimulationError, match="after the first impression"):
        known_at(*drawn[1:], -1.0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mean": 0.0}, r"`delay.mean` must lie in \(0, 1000\], found 0"),
        ({"window": -1.0}, "`delay.window` must lie in"),
        ({"slope": 9.0}, r"`delay.slope` must lie in \[-5, 5\]"),
        ({"cutoff": -1.0}, "`delay.cutoff` must lie in"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Delay(**parameters)


@pytest.mark.parametrize(
    ("days", "cutoff", "message"),
    [(0, None, "`days` must be at least 1"), (7, 6.0, "at least the log's `days`, 7, found 6.0")],
)
def test_a_delay_needs_days_and_a_cut_off_after_them(days, cutoff, message):
    with pytest.raises(ParameterError, match=message):
        LogisticFunnel(users=60, items=40, days=days, delay=Delay(cutoff=cutoff))
