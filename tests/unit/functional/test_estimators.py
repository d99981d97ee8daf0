"""Estimators of a mean over all impressions against their definitions and by enumeration."""

from itertools import product

import numpy as np
import pytest
import torch

from mtl_seq.functional import dr, inverse_propensity, ips
from mtl_seq.functional.estimators import (
    ClickLaw,
    MeanEstimator,
    Values,
    estimate_means,
    moments,
    redraw,
)

NAMES = ("naive", "ips", "snips", "direct", "dr", "sndr")


def rows_of(count, seed=0):
    """p, q, a model's q^, a wrong propensity and a wrong imputed CVR."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 0.9, (5, count))


def made(count, seed=0, *, hidden=0.0):
    """The six estimators of the log loss of q^, the law of the log, and all as NumPy."""
    p, q, predicted, wrong, imputed = rows_of(count, seed)
    t = p * q + hidden * p * q * (1 - p) * (1 - q)
    v1, v0 = -np.log(predicted), -np.log(1 - predicted)
    error = imputed * v1 + (1 - imputed) * v0
    zero, one = np.zeros(count), np.ones(count)
    choices = [
        (one, zero, True),
        (1 / wrong, zero, False),
        (1 / wrong, zero, True),
        (one, error, False),
        (1 / wrong, error, False),
        (1 / wrong, error, True),
    ]
    estimators = [
        MeanEstimator(torch.from_numpy(w), torch.from_numpy(m), normalised)
        for w, m, normalised in choices
    ]
    values = Values(torch.from_numpy(v1), torch.from_numpy(v0))
    law = ClickLaw(torch.from_numpy(p), torch.from_numpy(t))
    return estimators, values, law, (p, q, wrong, v1, v0, error)


def drawn(law, count, seed):
    uniform = np.random.default_rng(seed).random((count, len(law.pctr)))
    return uniform < law.pctr.numpy(), uniform < law.pctcvr.numpy()


def test_each_is_its_textbook_definition():
    estimators, values, law, (_, _, wrong, v1, v0, error) = made(500)
    clicked, converted = drawn(law, 4, seed=1)
    found = estimate_means(estimators, values, *map(torch.from_numpy, (clicked, converted)))
    for o, r, row in zip(clicked, converted, found.tolist(), strict=True):
        e = np.where(r, v1, v0)
        w = o / wrong
        expected = {
            "naive": e[o].mean(),
            "ips": (o * e / wrong).mean(),
            "snips": (w * e).sum() / w.sum(),
            "direct": np.where(o, e, error).mean(),
            "dr": (error + w * (e - error)).mean(),
            "sndr": error.mean() + (w * (e - error)).sum() / w.sum(),
        }
        assert dict(zip(NAMES, row, strict=True)) == pytest.approx(expected, rel=1e-12)


def test_they_agree_with_the_row_terms_that_models_train_on():
    estimators, values, law, (_, _, wrong, v1, v0, error) = made(300)
    clicked, converted = (torch.from_numpy(x) for x in drawn(law, 1, seed=2))
    found = estimate_means(estimators, values, clicked, converted)[0]
    e = torch.where(converted[0], *map(torch.from_numpy, (v1, v0)))
    weight = inverse_propensity(clicked[0].double(), torch.from_numpy(wrong))
    torch.testing.assert_close(found[1], ips(e, weight).mean(), rtol=1e-12, atol=0)
    terms = dr(e, torch.from_numpy(error), weight)
    torch.testing.assert_close(found[4], terms.mean(), rtol=1e-12, atol=0)


def enumerated(estimators, values, law):
    """Mean and standard deviation over every possible log of the rows: 3 outcomes a row."""
    p, t = law.pctr.numpy(), law.pctcvr.numpy()
    chance = np.stack([1 - p, p - t, t])
    logs = np.array(list(product(range(3), repeat=len(p))))
    probability = chance[logs, np.arange(len(p))].prod(1)
    assert probability.sum() == pytest.approx(1)
    clicked, converted = torch.from_numpy(logs > 0), torch.from_numpy(logs == 2)
    estimates = estimate_means(estimators, values, clicked, converted).numpy()
    mean = probability @ estimates
    return mean, np.sqrt(probability @ (estimates - mean) ** 2)


@pytest.mark.parametrize("hidden", [0.0, 0.8, -0.8])
@pytest.mark.parametrize("seed", [0, 1])
def test_moments_of_the_linear_ones_are_exact(hidden, seed):
    """Over all 3^6 logs of six rows, with and without something hidden."""
    estimators, values, law, _ = made(6, seed, hidden=hidden)
    linear = [e for e in estimators if not e.normalised]
    mean, deviation = enumerated(linear, values, law)
    found = moments(linear, values, law)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.deviation, deviation, rtol=1e-12)


def test_moments_are_the_published_formulas():
    """Where nothing is hidden: methods for fixed x, errors averaged over the conversion."""
    estimators, values, law, (p, q, wrong, v1, v0, error) = made(1000)
    e = q * v1 + (1 - q) * v0
    found = moments(estimators, values, law).mean.numpy() - e.mean()
    assert found[0] == pytest.approx(np.cov(p, e, bias=True)[0, 1] / p.mean(), rel=1e-10)
    assert found[1] == pytest.approx(((p - wrong) / wrong * e).mean(), rel=1e-10)
    assert found[3] == pytest.approx(((1 - p) * (error - e)).mean(), rel=1e-10)
    assert found[4] == pytest.approx(((p - wrong) / wrong * (e - error)).mean(), rel=1e-10)


def test_deviations_with_fixed_conversions_are_the_published_formulas():
    """With q of 0 or 1 only the clicks are drawn: N^-2 sum p(1 - p) / p^^2 e^2."""
    estimators, values, law, (p, q, wrong, v1, v0, error) = made(1000)
    r = (q > 0.5).astype(float)
    fixed = ClickLaw(law.pctr, law.pctr * torch.from_numpy(r))
    e = np.where(r > 0, v1, v0)
    found = moments(estimators, values, fixed).deviation.numpy()
    expected_ips = np.sqrt((p * (1 - p) / wrong**2 * e**2).sum()) / 1000
    expected_dr = np.sqrt((p * (1 - p) / wrong**2 * (e - error) ** 2).sum()) / 1000
    assert found[1] == pytest.approx(expected_ips, rel=1e-10)
    assert found[4] == pytest.approx(expected_dr, rel=1e-10)


def test_double_robustness_has_two_chances_and_no_third():
    p, q, predicted, *_ = rows_of(400, seed=4)
    v1, v0 = -np.log(predicted), -np.log(1 - predicted)
    e = q * v1 + (1 - q) * v0
    wrong, bad = p**0.7, e / 2

    def bias(propensity, error):
        one = MeanEstimator(torch.from_numpy(1 / propensity), torch.from_numpy(error), False)
        law = ClickLaw(torch.from_numpy(p), torch.from_numpy(p * q))
        found = moments([one], Values(torch.from_numpy(v1), torch.from_numpy(v0)), law)
        return float(found.mean) - e.mean()

    assert bias(p, bad) == pytest.approx(0, abs=1e-14)
    assert bias(wrong, e) == pytest.approx(0, abs=1e-14)
    assert bias(wrong, bad) == pytest.approx(((p**0.3 - 1) * e / 2).mean(), rel=1e-10)
    assert bias(wrong, bad) < -0.05


def test_something_hidden_biases_even_the_true_propensity():
    estimators, _, law, (p, q, *_) = made(400, hidden=0.8)
    conversion = Values(torch.ones_like(law.pctr), torch.zeros_like(law.pctr))
    one = estimators[1]._replace(weight=torch.from_numpy(1 / p))
    bias = float(moments([one], conversion, law).mean) - q.mean()
    assert bias == pytest.approx((law.pctcvr.numpy() / p - q).mean(), rel=1e-10)
    assert bias > 0.05


@pytest.mark.parametrize("hidden", [0.0, 0.8])
def test_redraws_scatter_as_the_moments_say(hidden):
    """4,000 logs of 20,000 rows, more than one block: mean and deviation within 4 sigma."""
    estimators, values, law, _ = made(20_000, hidden=hidden)
    draws = 4000
    found = redraw(
        estimators, values, law, replicates=draws, generator=torch.Generator().manual_seed(0)
    ).numpy()
    expected = moments(estimators, values, law)
    error = found.std(0, ddof=1) / np.sqrt(draws)
    assert (np.abs(found.mean(0) - expected.mean.numpy()) < 4 * error).all()
    np.testing.assert_allclose(found.std(0), expected.deviation, rtol=4 / np.sqrt(2 * draws))


def test_one_seed_gives_one_set_of_logs_whatever_is_estimated():
    estimators, values, law, _ = made(17_000)
    all_of_them, one = (
        redraw(some, values, law, replicates=3, generator=torch.Generator().manual_seed(5))
        for some in (estimators, estimators[2:3])
    )
    torch.testing.assert_close(all_of_them[:, 2:3], one, rtol=1e-13, atol=0)


@pytest.mark.parametrize("scale", [0.01, 0.3, 7.0])
def test_only_self_normalised_estimates_ignore_the_scale_of_the_propensity(scale):
    estimators, values, law, _ = made(200)
    clicked, converted = (torch.from_numpy(x) for x in drawn(law, 5, seed=6))
    scaled = [e._replace(weight=e.weight / scale) for e in estimators]
    before, after = (estimate_means(e, values, clicked, converted) for e in (estimators, scaled))
    for column in (0, 2, 5):
        torch.testing.assert_close(after[:, column], before[:, column], rtol=1e-13, atol=0)
    torch.testing.assert_close(after[:, 1], before[:, 1] / scale, rtol=1e-13, atol=0)


def test_a_log_without_clicks_has_no_self_normalised_estimate():
    estimators, values, _, (*_, error) = made(10)
    nothing = torch.zeros(1, 10)
    found = estimate_means(estimators, values, nothing, nothing)[0]
    assert found[[0, 2, 5]].isnan().all()
    expected = [0, error.mean(), error.mean()]
    assert found[[1, 3, 4]].tolist() == pytest.approx(expected, rel=1e-12)
