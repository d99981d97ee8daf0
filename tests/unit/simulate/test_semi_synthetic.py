"""Relabelled logs: real columns stay, labels follow the teacher."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from mtl_seq import Funnel, Schema, Stage
from mtl_seq.errors import SimulationError
from mtl_seq.simulate import SemiSynthetic

ROWS = 40_000
K = 4.5


def real(rows=ROWS):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user": rng.integers(0, 2**62, rows),
            "words": [["a", "b"][: k % 3] for k in range(rows)],
            "price": rng.random(rows),
            "when": np.arange(rows),
            "clicked": rng.integers(0, 2, rows),
            "bought": 0,
            "propensity": 0.5,
            "watched": rng.random(rows),
        },
        index=np.arange(rows) * 3 + 7,
    )


SCHEMA = Schema(
    labels={"click": "clicked", "conversion": "bought"},
    ids=("user",),
    bags=("words",),
    dense=("price",),
    group="user",
    time="when",
    propensity="propensity",
)


def teacher(log):
    return {"click": 0.1 + 0.5 * log["price"].to_numpy(), "conversion": 0.4 * log["price"] ** 2}


def off(draws, rate):
    return abs((draws - rate).sum()) / np.sqrt((rate * (1 - rate)).sum())


def test_features_and_exposure_stay_and_labels_are_the_teachers():
    log = real()
    before = log.copy(deep=True)
    simulator = SemiSynthetic(log, SCHEMA, teacher)
    drawn, truth = simulator.sample(ROWS, np.random.default_rng(1))
    pd.testing.assert_frame_equal(log, before)
    kept = ["user", "words", "price", "when"]
    pd.testing.assert_frame_equal(drawn[kept], log[kept].reset_index(drop=True))
    assert list(drawn) == [*kept, "clicked", "bought"]
    assert simulator.schema.propensity is None
    np.testing.assert_array_equal(truth.pctr, 0.1 + 0.5 * log["price"])
    np.testing.assert_array_equal(truth.pcvr, 0.4 * log["price"] ** 2)
    np.testing.assert_array_equal(drawn["bought"], drawn["clicked"] * truth.potential)
    for half in (log["price"].to_numpy() < 0.5, log["price"].to_numpy() >= 0.5):
        assert off(drawn["clicked"].to_numpy()[half], truth.pctr[half]) <= K
        assert off(truth.potential[half], truth.pcvr[half]) <= K
        assert off(drawn["bought"].to_numpy()[half], truth.pctcvr[half]) <= K


def test_arrays_and_functions_teach_alike():
    log = real(500)
    simulators = [SemiSynthetic(log, SCHEMA, t) for t in (teacher, teacher(log))]
    draws = [simulator.sample(500, np.random.default_rng(2)) for simulator in simulators]
    pd.testing.assert_frame_equal(draws[0][0], draws[1][0])


def test_some_rows_are_drawn_once_each_in_the_logs_order():
    log = real(1000)
    drawn, truth = SemiSynthetic(log, SCHEMA, teacher).sample(300, np.random.default_rng(3))
    rows = truth.hidden["row"].astype(int)
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(drawn["user"], log["user"].to_numpy()[rows])
    np.testing.assert_array_equal(truth.pctr, teacher(log)["click"][rows])


def test_more_rows_than_there_are_must_be_asked_for():
    log = real(100)
    with pytest.raises(SimulationError, match=r"`n` must lie in \[1, 100\].*found 101.*replace"):
        SemiSynthetic(log, SCHEMA, teacher).sample(101, np.random.default_rng(0))
    simulator = SemiSynthetic(log, SCHEMA, teacher, replace=True)
    _, truth = simulator.sample(5000, np.random.default_rng(0))
    counts = np.bincount(truth.hidden["row"].astype(int), minlength=100)
    assert np.abs(counts - 50).max() <= K * np.sqrt(50)


def test_replicates_differ_and_their_mean_is_the_truth():
    """The labels of one replicate are not the probabilities of the next."""
    log = real(50)
    simulator = SemiSynthetic(log, SCHEMA, teacher)
    rng = np.random.default_rng(4)
    replicates = np.stack([simulator.sample(50, rng)[1].potential for _ in range(2000)])
    q = teacher(log)["conversion"].to_numpy()
    sigma = np.sqrt(q * (1 - q) / 2000)
    assert np.abs((replicates.mean(axis=0) - q) / np.maximum(sigma, 1e-12)).max() <= K


WAYS = Funnel(
    (
        Stage("click"),
        Stage("cart", "click"),
        Stage("fav", "click"),
        Stage("gift", "cart"),
        Stage("buy", "click", ("cart", "fav")),
        Stage("review", "buy"),
    )
)


def test_any_funnel_composes_as_enumeration_says():
    """Probabilities of every stage against a sum over the classes and later stages by hand."""
    rows = 60_000
    log = pd.DataFrame({"user": np.arange(rows)})
    rng = np.random.default_rng(5)
    names = [conditional.name for conditional in WAYS.conditionals]
    taught = {name: 0.1 + 0.35 * rng.random(rows) for name in names}
    schema = Schema(labels={n: n for n in WAYS.names}, funnel=WAYS, ids=("user",))
    drawn, truth = SemiSynthetic(log, schema, taught).sample(rows, np.random.default_rng(6))
    classes = {
        "cart": taught["cart"],
        "fav": taught["fav"],
        "other": 1 - taught["cart"] - taught["fav"],
    }
    buy, review = np.zeros(rows), np.zeros(rows)
    for way, (bought, reviewed) in product(classes, [(1, 0), (1, 1)]):
        chance = classes[way] * taught[f"buy|{way}"]
        last = taught["review"] if reviewed else 1 - taught["review"]
        buy += bought * chance * last
        review += reviewed * chance * last
    np.testing.assert_allclose(truth.pcvr, review, rtol=1e-12)
    expected = {
        "cart": taught["cart"],
        "fav": taught["fav"],
        "gift": taught["cart"] * taught["gift"],
        "buy": buy,
    }
    assert set(truth.further) == set(expected)
    for name, given_click in expected.items():
        np.testing.assert_allclose(truth.further[name], taught["click"] * given_click, rtol=1e-12)
        assert off(drawn[name].to_numpy(), truth.further[name]) <= K
    assert off(drawn["review"].to_numpy(), truth.pctcvr) <= K
    assert (drawn["gift"] <= drawn["cart"]).all()
    assert (drawn["cart"] + drawn["fav"] <= drawn["click"]).all()
    assert (drawn["review"] <= drawn["buy"]).all()


@pytest.mark.parametrize(
    ("taught", "message"),
    [
        ({"click": [0.5] * 3}, r"conditionals \['click', 'conversion'\], found \['click'\]"),
        ({"click": [0.5] * 2, "conversion": [0.5] * 3}, "each of the 3 rows.*found shape"),
        ({"click": [0.5] * 3, "conversion": [0.5, 1.5, 0]}, r"\[0, 1\], found 1.5 in row 1"),
        ({"click": [0.5, 0.5, 0], "conversion": [0.5] * 3}, r"\(0, 1\), found 0.0 in row 2"),
        ({"click": [0.5] * 3, "conversion": [np.nan, 0, 0]}, "found nan in row 0"),
    ],
)
def test_a_teacher_of_no_probabilities_is_an_error(taught, message):
    with pytest.raises(SimulationError, match=message):
        SemiSynthetic(real(3), SCHEMA, taught)


def test_exclusive_actions_are_at_most_certain():
    schema = Schema(labels={n: n for n in WAYS.names}, funnel=WAYS, ids=("user",))
    taught = {conditional.name: np.full(2, 0.6) for conditional in WAYS.conditionals}
    with pytest.raises(SimulationError, match=r"\['cart', 'fav'\] at most 1 together"):
        SemiSynthetic(pd.DataFrame({"user": [1, 2]}), schema, taught)


def test_a_log_without_its_columns_is_an_error():
    with pytest.raises(SimulationError, match=r"columns \['words'\]"):
        SemiSynthetic(real(5).drop(columns="words"), SCHEMA, teacher)
