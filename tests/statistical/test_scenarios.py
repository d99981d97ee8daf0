"""The named scenarios have their parameters and rates, and their logs do not leak the truth."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from mtl_seq.simulate import scenario, scenarios
from mtl_seq.simulate.registry import _read

ROWS = 60_000
PARAMETERS = {
    "clean": {"users": 200, "items": 100, "id_effects": 0.0, "rho": 0.8, "ctr": 0.2, "cvr": 0.2},
    "dense": {"users": 5000, "items": 1000, "ctr": 0.2, "cvr": 0.2},
    "sparse": {"ctr": 0.04, "cvr": 0.02, "rho": 0.8},
    "aliccp": {"ctr": 0.04, "cvr": 0.006},
    "low_overlap": {"click_slope": 3.0, "ctr": 0.1, "rho": 0.8},
    "cvr_blind": {"ctr": 0.2, "cvr": 0.2, "rho": 0.8},
    "ctr_blind": {"ctr": 0.2, "cvr": 0.2, "rho": 0.8},
    "hidden": {"confounder": 1.0, "rho": 0.4},
    "mnar": {"mnar": 1.5},
    "mmoe_conflict": {"rho": -0.5},
    "esm2_cart": {"cvr": 0.1},
    "delayed": {"days": 14},
    "position": {"ctr": 0.2},
    "drift": {"days": 14},
}
# Hashes of the integer columns of 20,000 rows drawn at seed 3 from the scenario of seed 0. If draws
# change, the scenario needs a new version, and what was measured on it must be measured again.
DRAWS = {
    "aliccp": (1, "15a166f4ddbf1acc"),
    "clean": (1, "64e55fd53b7fb678"),
    "ctr_blind": (1, "3c95a8ae0feb1a69"),
    "cvr_blind": (1, "3c95a8ae0feb1a69"),
    "delayed": (1, "d7583b6f04acea94"),
    "dense": (1, "b06146f6b8845bb8"),
    "drift": (1, "55c64885ff6757ee"),
    "esm2_cart": (1, "8d2e12e04eb6079a"),
    "hidden": (1, "b9e2bb442a66299a"),
    "low_overlap": (1, "4638f66f510262ca"),
    "mmoe_conflict": (1, "f35dc848a14bb434"),
    "mnar": (1, "3b17b91108d4e68c"),
    "position": (1, "66675bdd7467567f"),
    "sparse": (1, "42ccddf4b7a3f5cd"),
}


@pytest.fixture(scope="module", params=PARAMETERS)
def drawn(request):
    simulator = scenario(request.param)
    return (request.param, simulator, *simulator.sample(ROWS, np.random.default_rng(5)))


def test_every_scenario_is_tested():
    assert set(scenarios()) == set(PARAMETERS)
    assert all(len(line) <= 100 for line in scenarios().values())


@pytest.mark.parametrize("name", PARAMETERS)
def test_scenarios_have_their_parameters(name):
    simulator = scenario(name)
    assert {
        parameter: getattr(simulator, parameter) for parameter in PARAMETERS[name]
    } == PARAMETERS[name]


def test_user_features_are_hidden_from_blind_towers():
    user = ("user_id", "user_segment", "user_tier")
    assert scenario("cvr_blind").schema.hidden == {"conversion": user}
    assert scenario("ctr_blind").schema.hidden == {"click": user}


def test_rates_are_realised(drawn):
    """Within 4 standard errors: of clicks over slates, of conversions among clicks."""
    _, simulator, log, truth = drawn
    slots = 1 if simulator.exposure is None else simulator.exposure.slots
    click = log["click"].to_numpy(float)
    converted = click * truth.potential
    for error in (click - simulator.ctr, converted - simulator.cvr * click):
        means = error.reshape(-1, slots).mean(axis=1)
        assert abs(means.mean()) <= 4 * means.std() / np.sqrt(len(means))


def test_a_log_is_drawn_as_it_was_in_this_version(drawn):
    name, simulator, *_ = drawn
    log, _ = simulator.sample(20_000, np.random.default_rng(3))
    whole = log.select_dtypes("int64").to_numpy()
    result = hashlib.sha256(np.ascontiguousarray(whole).tobytes()).hexdigest()[:16]
    assert (_read(name).version, result) == DRAWS[name]


def classified(features, label, rows):
    """Held-out probabilities of a gradient-boosted classifier, fitted on the first rows."""
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    model.fit(features[:rows], label[:rows])
    return model.predict_proba(features[rows:])[:, 1]


def advantage(features, label, optimum):
    """Standard errors by which a classifier's held-out log loss is below the optimum's."""
    half = len(label) // 2

    def loss(p):
        p = np.clip(p, 1e-12, 1 - 1e-12)
        return -(label[half:] * np.log(p) + (1 - label[half:]) * np.log1p(-p))

    gain = loss(optimum[half:]) - loss(classified(features, label, half))
    return gain.mean() / (gain.std() / np.sqrt(len(gain)))


def test_no_classifier_on_the_log_beats_the_truth(drawn):
    """If a column carried the draw or the confounder, boosted trees would detect it."""
    _, _, log, truth = drawn
    features = log.drop(columns=[*drawn[1].schema.labels.values()]).to_numpy(float)
    click = log["click"].to_numpy()
    assert advantage(features, click, truth.pctr) <= 3
    clicked = click == 1
    converted = truth.potential[clicked]
    if converted.sum() >= 200:
        assert advantage(features[clicked], converted, truth.pcvr_clicked[clicked]) <= 3


@pytest.mark.parametrize("planted", ["confounder", "potential"])
def test_that_check_detects_a_leaking_column(planted):
    simulator = scenario("hidden", users=300, items=100, confounder=2.0, mnar=3.0)
    log, truth = simulator.sample(ROWS, np.random.default_rng(5))
    planted_column = truth.hidden["confounder"] if planted == "confounder" else truth.potential
    features = (
        log.drop(columns=["click", "conversion"])
        .assign(planted_column=planted_column)
        .to_numpy(float)
    )
    assert advantage(features, log["click"].to_numpy(), truth.pctr) > 3


def test_another_seed_gives_another_scenario():
    rows = [scenario("clean", seed=s).sample(100, np.random.default_rng(0))[0] for s in (0, 1)]
    assert not pd.DataFrame.equals(*rows)
