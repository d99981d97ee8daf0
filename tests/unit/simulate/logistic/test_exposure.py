"""Policies show what their formulas say, and positions move clicks only."""

import numpy as np
import pytest

from mtl_seq.simulate import Exposure, LogisticFunnel, ParameterError

SLOTS, CANDIDATES = 4, 9
POLICIES = {
    "top_k": Exposure("top_k", SLOTS, CANDIDATES, strength=1.5),
    "epsilon_greedy": Exposure("epsilon_greedy", SLOTS, CANDIDATES, epsilon=0.4),
}


def logit(p):
    return np.log(p) - np.log1p(-p)


def small(**exposure):
    return LogisticFunnel(users=60, items=40, exposure=Exposure(**exposure), seed=2)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_inverse_propensity_counts_the_candidates_left(policy):
    """Given the candidates, ``E[1 / P(shown)]`` is how many could have been shown."""
    simulator = LogisticFunnel(users=60, items=40, exposure=POLICIES[policy], seed=0)
    log, _ = simulator.sample(200_000, np.random.default_rng(1))
    for slot in range(SLOTS):
        inverse = 1 / log.loc[log["position"] == slot + 1, "exposure_propensity"].to_numpy()
        error = inverse.std() / np.sqrt(len(inverse))
        assert abs(inverse.mean() - (CANDIDATES - slot)) <= 4.5 * error


def test_a_strong_ranker_shows_what_is_clicked_first():
    simulator = small(policy="top_k", slots=SLOTS, candidates=CANDIDATES, strength=20.0)
    _, truth = simulator.sample(40_000, np.random.default_rng(0))
    by_slot = truth.pctr.reshape(-1, SLOTS).mean(axis=0)
    assert (np.diff(by_slot) < 0).all()


def test_without_strength_any_candidate_left_is_as_likely():
    log, _ = small(policy="top_k", slots=SLOTS, candidates=CANDIDATES, strength=0.0).sample(
        4000, np.random.default_rng(0)
    )
    np.testing.assert_allclose(
        log["exposure_propensity"], 1 / (CANDIDATES + 1 - log["position"]), rtol=1e-12
    )


def test_without_epsilon_the_best_is_certain():
    log, truth = small(
        policy="epsilon_greedy", slots=SLOTS, candidates=CANDIDATES, epsilon=0.0
    ).sample(4000, np.random.default_rng(0))
    assert (log["exposure_propensity"] == 1).all()
    assert (np.diff(truth.pctr.reshape(-1, SLOTS), axis=1) <= 1e-12).all()


def test_the_uniform_policy_shows_by_popularity():
    simulator = small(policy="uniform", slots=SLOTS)
    log, _ = simulator.sample(100_000, np.random.default_rng(0))
    popularity = np.arange(1, 41.0) ** -simulator.item_zipf
    popularity /= popularity.sum()
    np.testing.assert_allclose(log["exposure_propensity"], popularity[log["item_id"]])
    counts = np.bincount(log["item_id"], minlength=40)
    sigma = np.sqrt(len(log) * popularity * (1 - popularity))
    assert np.abs((counts - len(log) * popularity) / sigma).max() <= 4.5


def test_a_slate_is_one_users_and_numbered_from_the_top():
    log, _ = small(policy="top_k", slots=SLOTS, candidates=CANDIDATES).sample(
        403, np.random.default_rng(0)
    )
    assert len(log) == 403
    full = log.iloc[:400]
    assert (full["position"].to_numpy().reshape(-1, SLOTS) == [1, 2, 3, 4]).all()
    users = full["user_id"].to_numpy().reshape(-1, SLOTS)
    assert (users == users[:, :1]).all()
    assert log["position"].iloc[400:].tolist() == [1, 2, 3]


def test_position_takes_its_effect_from_the_click_logit_and_nothing_from_the_conversion():
    effect = 0.8
    log, truth = small(policy="uniform", slots=SLOTS, position_effect=effect).sample(
        50_000, np.random.default_rng(0)
    )
    without = logit(truth.pctr) + effect * np.log(log["position"].to_numpy())
    for values in (without, logit(truth.pcvr)):
        spread = log.assign(value=values).groupby(["user_id", "item_id"])["value"].agg(np.ptp)
        assert spread.max() <= 1e-9
    assert log.groupby(["user_id", "item_id"])["position"].nunique().max() == SLOTS


def test_only_the_click_tower_sees_the_position():
    schema = small(slots=3).schema
    assert "position" in schema.ids
    assert schema.hidden == {"conversion": ("position",)}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"policy": "best"}, "one of uniform, top_k, epsilon_greedy, found 'best'"),
        ({"slots": 0}, r"`exposure.slots` must lie in \[1, 100\], found 0"),
        ({"slots": 2.5}, "`exposure.slots` must be a whole number"),
        ({"slots": 10, "candidates": 9}, "at least the 10 `slots`, found 9"),
        ({"epsilon": 1.2}, r"`exposure.epsilon` must lie in \[0, 1\]"),
        ({"strength": -1.0}, "`exposure.strength` must lie in"),
        ({"position_effect": float("nan")}, "`exposure.position_effect` must lie in"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Exposure(**parameters)
