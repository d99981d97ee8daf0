"""MRDR's semi-synthetic study, as published but for the defect of its code."""

import numpy as np
import pytest

from mtl_seq.errors import SimulationError
from mtl_seq.simulate import MRDR_LEVELS, mrdr_predictions, mrdr_propensity, mrdr_recipe

RATINGS = np.random.default_rng(0).normal(size=(50, 40))
PROPENSITY = {0.1: 1 / 16, 0.3: 1 / 16, 0.5: 1 / 8, 0.7: 1 / 4, 0.9: 1 / 2}


def test_levels_have_their_shares_and_rise_with_the_ratings():
    _, truth = mrdr_recipe(RATINGS).sample(2000, np.random.default_rng(1))
    counts = {level: int((truth.pcvr == level).sum()) for level in MRDR_LEVELS}
    assert counts == {0.1: 1060, 0.3: 480, 0.5: 280, 0.7: 140, 0.9: 40}
    ordered = truth.pcvr[np.argsort(RATINGS.ravel())]
    assert (np.diff(ordered) >= 0).all()
    for level, propensity in PROPENSITY.items():
        assert set(truth.pctr[truth.pcvr == level]) == {propensity}


def test_a_draw_of_all_pairs_is_the_matrix_row_by_row():
    log, _ = mrdr_recipe(RATINGS).sample(2000, np.random.default_rng(1))
    np.testing.assert_array_equal(log["user_id"], np.repeat(np.arange(50), 40))
    np.testing.assert_array_equal(log["item_id"], np.tile(np.arange(40), 50))


def test_every_replicate_draws_its_labels_from_the_cvr():
    """Not from the labels of the replicate before, which would freeze them."""
    simulator, rng = mrdr_recipe(RATINGS), np.random.default_rng(2)
    draws = [simulator.sample(2000, rng) for _ in range(200)]
    q = draws[0][1].pcvr
    assert all((truth.pcvr == q).all() for _, truth in draws)
    mean = np.mean([truth.potential for _, truth in draws], axis=0)
    assert np.abs((mean - q) / np.sqrt(q * (1 - q) / 200)).max() <= 5
    assert not np.array_equal(draws[0][1].potential, draws[1][1].potential)


def test_predictions_are_wrong_as_stated():
    _, truth = mrdr_recipe(RATINGS).sample(2000, np.random.default_rng(1))
    q = truth.pcvr
    result = mrdr_predictions(q, np.random.default_rng(3))
    for name, level in (("ONE", 0.1), ("THREE", 0.3), ("FIVE", 0.5)):
        moved = result[name] != q
        assert moved.sum() == 40
        assert set(q[moved]) == {level}
        assert set(result[name][moved]) == {0.9}
    assert result["SKEW"].min() >= 0.1
    assert result["SKEW"].max() <= 0.9
    middle = q == 0.5
    # About 0.5 the cuts are even, and they only narrow the standard deviation of 0.25.
    assert abs(result["SKEW"][middle].mean() - 0.5) <= 4.5 * 0.25 / np.sqrt(middle.sum())
    np.testing.assert_array_equal(result["CRS"], np.where(np.isin(q, (0.7, 0.9)), 0.1, 0.5))


def test_the_learned_propensity_lies_between_the_true_one_and_the_ctr():
    p = np.array([1 / 16, 1 / 2])
    np.testing.assert_allclose(mrdr_propensity(p, 0.1, beta=1.0), p)
    np.testing.assert_allclose(mrdr_propensity(p, 0.1, beta=0.0), 0.1)
    np.testing.assert_allclose(mrdr_propensity(p, 0.1), 1 / (0.5 / p + 0.5 / 0.1))


@pytest.mark.parametrize(
    ("ratings", "parameters", "message"),
    [
        (np.zeros(3), {}, r"matrix \(users, items\).*found shape \(3,\)"),
        (np.array([[1.0, np.nan]]), {}, "finite"),
        (RATINGS, {"shares": (0.5, 0.5)}, "five and together 1"),
        (RATINGS, {"shares": (0.5, 0.2, 0.2, 0.2, 0.2)}, "five and together 1"),
        (RATINGS, {"propensities": (0.5,)}, "must be five"),
        (RATINGS, {"propensities": (0.5, 0.5, 0.5, 0.5, 1.0)}, r"\(0, 1\), found 1.0"),
    ],
)
def test_what_is_no_study_is_an_error(ratings, parameters, message):
    with pytest.raises(SimulationError, match=message):
        mrdr_recipe(ratings, **parameters)


def test_too_few_of_a_level_to_move_is_an_error():
    with pytest.raises(SimulationError, match=r"as many entries of 0.1 as of 0.9, 2, found 1"):
        mrdr_predictions(np.array([0.9, 0.9, 0.1, 0.3, 0.5]), np.random.default_rng(0))
