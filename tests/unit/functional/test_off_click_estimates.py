"""Estimates from clicks alone: exact expectations over every log that could have been."""

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss as sk_log_loss
from sklearn.metrics import roc_auc_score

from mtl_seq.errors import DataError
from mtl_seq.functional import (
    auc,
    dr_auc,
    dr_log_loss,
    ips_auc,
    ips_log_loss,
    log_loss,
    snips_log_loss,
)
from mtl_seq.functional.auc import rank
from mtl_seq.functional.off_click_estimates import doubly_robust_label
from mtl_seq.functional.weight_diagnostics import inverse

RNG = np.random.default_rng(0)
P, Q, PREDICTION = RNG.uniform(0.1, 0.9, (3, 4))
PREDICTION[3] = PREDICTION[0]  # a tie
WRONG_P, WRONG_Q = RNG.uniform(0.1, 0.9, (2, 4))


def logs(hidden=False):
    """Every log of four rows that could have been, and its chance."""
    for click in product((0.0, 1.0), repeat=4):
        for drawn in product((0.0, 1.0), repeat=4):
            o, r = np.array(click), np.array(drawn)
            chance = np.prod(np.where(o, P, 1 - P) * np.where(r, Q, 1 - Q))
            yield chance, o, o * r


def expectation(estimate):
    return sum(chance * float(estimate(o, r)) for chance, o, r in logs())


IDEAL = float(log_loss(PREDICTION, Q))


def test_ips_log_loss_is_unbiased_under_the_true_propensity():
    assert expectation(lambda o, r: ips_log_loss(PREDICTION, r, o, P)) == pytest.approx(
        IDEAL, abs=1e-13
    )
    assert abs(expectation(lambda o, r: ips_log_loss(PREDICTION, r, o, WRONG_P)) - IDEAL) > 0.01


@pytest.mark.parametrize(
    ("propensity", "imputation", "unbiased"),
    [(P, WRONG_Q, True), (WRONG_P, Q, True), (WRONG_P, WRONG_Q, False)],
)
def test_dr_log_loss_has_two_chances(propensity, imputation, unbiased):
    found = expectation(lambda o, r: dr_log_loss(PREDICTION, r, o, propensity, imputation))
    assert (abs(found - IDEAL) < 1e-13) == unbiased


def pairs(o, r, propensity, imputation):
    """Numerator and denominator of the doubly robust AUC by a loop over pairs of rows."""
    label = doubly_robust_label(
        torch.from_numpy(imputation),
        inverse(torch.from_numpy(o), torch.from_numpy(propensity)),
        torch.from_numpy(r),
    ).numpy()
    return over_pairs(label)


def over_pairs(label):
    top = bottom = 0.0
    for i, j in product(range(len(label)), repeat=2):
        if i != j:
            pair = label[i] * (1 - label[j])
            won = (PREDICTION[i] > PREDICTION[j]) + 0.5 * (PREDICTION[i] == PREDICTION[j])
            top, bottom = top + pair * won, bottom + pair
    return np.array([top, bottom])


@pytest.mark.parametrize(
    ("propensity", "imputation", "unbiased"),
    [(P, WRONG_Q, True), (WRONG_P, Q, True), (WRONG_P, WRONG_Q, False)],
)
def test_both_sums_of_the_dr_auc_are_unbiased(propensity, imputation, unbiased):
    found = sum(chance * pairs(o, r, propensity, imputation) for chance, o, r in logs())
    assert (np.abs(found - over_pairs(Q)).max() < 1e-13) == unbiased


def test_dr_auc_is_the_quotient_of_those_sums_within_bounds():
    seen = set()
    for _, o, r in logs():
        top, bottom = pairs(o, r, P, WRONG_Q)
        found = float(dr_auc(PREDICTION, r, o, P, WRONG_Q))
        if bottom <= 0:
            assert np.isnan(found)
            seen.add("undefined")
        else:
            assert found == pytest.approx(np.clip(top / bottom, 0, 1), abs=1e-12)
            seen.add("clipped" if not 0 < top / bottom < 1 else "inside")
    assert seen == {"undefined", "clipped", "inside"}


def test_ips_auc_is_scikit_learns_on_weighted_clicks():
    rng = np.random.default_rng(1)
    prediction, p, weight = rng.random(400), rng.uniform(0.1, 0.9, 400), rng.random(400)
    o = (rng.random(400) < p).astype(np.float64)
    r = o * (rng.random(400) < prediction)
    clicked = o == 1
    for own in (None, weight):
        sample = (1 / p if own is None else own / p)[clicked]
        expected = roc_auc_score(r[clicked], prediction[clicked], sample_weight=sample)
        assert float(ips_auc(prediction, r, o, p, own)) == pytest.approx(expected, abs=1e-12)
        assert float(ips_auc(prediction, r, o, p / 3, own)) == pytest.approx(expected, abs=1e-12)


def test_snips_is_scikit_learns_weighted_log_loss_and_ignores_a_common_factor():
    rng = np.random.default_rng(2)
    prediction, p, weight = rng.random(400), rng.uniform(0.1, 0.9, 400), rng.random(400)
    o = (rng.random(400) < p).astype(np.float64)
    r = o * (rng.random(400) < prediction)
    clicked = o == 1
    expected = sk_log_loss(r[clicked], prediction[clicked], sample_weight=(weight / p)[clicked])
    assert float(snips_log_loss(prediction, r, o, p, weight)) == pytest.approx(expected, rel=1e-12)
    scaled = snips_log_loss(prediction, r, o, p / 2, weight)
    assert float(scaled) == pytest.approx(expected, rel=1e-12)
    assert float(ips_log_loss(prediction, r, o, p / 2)) == pytest.approx(
        2 * float(ips_log_loss(prediction, r, o, p)), rel=1e-12
    )


def test_ips_and_dr_auc_near_the_truth_in_a_large_log():
    """200,000 rows, clicks that favour conversions: within 5 deviations over 20 redraws."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=200_000)
    p, q = 1 / (1 + np.exp(2 - z)), 1 / (1 + np.exp(1.5 - z + 0.5 * z**2))
    prediction = 1 / (1 + np.exp(1 - z))
    truth = float(auc(prediction, q))
    found = []
    for _ in range(20):
        o = (rng.random(len(z)) < p).astype(np.float64)
        r = o * (rng.random(len(z)) < q)
        naive = float(auc(prediction[o == 1], r[o == 1]))
        found.append(
            (float(ips_auc(prediction, r, o, p)), float(dr_auc(prediction, r, o, p, q)), naive)
        )
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(20)
    assert (np.abs(mean[:2] - truth) < 5 * error[:2]).all()
    assert abs(mean[2] - truth) > 20 * error[2]


def test_weights_repeat_rows():
    rng = np.random.default_rng(4)
    prediction, p, imputed = rng.uniform(0.1, 0.9, (3, 60))
    o = (rng.random(60) < p).astype(np.float64)
    r = o * (rng.random(60) < 0.5)
    times = rng.integers(0, 4, 60)
    many = [np.repeat(column, times) for column in (prediction, r, o, p)]
    w = times.astype(np.float64)
    for estimate in (ips_log_loss, snips_log_loss, ips_auc):
        assert float(estimate(prediction, r, o, p, w)) == pytest.approx(float(estimate(*many)))
    assert float(dr_log_loss(prediction, r, o, p, imputed, w)) == pytest.approx(
        float(dr_log_loss(*many, np.repeat(imputed, times)))
    )


def test_without_clicks_only_the_imputation_is_left():
    o = r = np.zeros(4)
    assert float(ips_log_loss(PREDICTION, r, o, P)) == 0
    assert torch.isnan(snips_log_loss(PREDICTION, r, o, P))
    assert torch.isnan(ips_auc(PREDICTION, r, o, P))
    assert float(dr_log_loss(PREDICTION, r, o, P, Q)) == pytest.approx(IDEAL, abs=1e-14)


def test_what_stands_off_the_clicks_has_no_influence():
    o = np.array([1.0, 1.0, 0.0, 0.0])
    r = np.array([1.0, 0.0, 1.0, 0.0])
    assert float(ips_auc(PREDICTION, r, o, P)) == float(ips_auc(PREDICTION, r * o, o, P))
    assert float(dr_auc(PREDICTION, r, o, P, Q)) == float(dr_auc(PREDICTION, r * o, o, P, Q))


def test_a_click_without_propensity_is_an_error():
    with pytest.raises(DataError, match=r"`propensity` must lie in \(0, 1\] on clicks"):
        ips_auc(PREDICTION, np.ones(4), np.ones(4), np.array([0.5, 0.0, 0.5, 0.5]))


def test_the_ranking_of_the_reference_has_its_tie():
    assert int((rank(torch.from_numpy(PREDICTION)).end.diff() == 0).sum()) == 1
