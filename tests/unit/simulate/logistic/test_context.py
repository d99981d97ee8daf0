"""Features of the impression: their directions have the stated cosine, their scores variance 1."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mtl_seq.simulate import Context, LogisticFunnel, ParameterError


def logit(p):
    return np.log(p) - np.log1p(-p)


@pytest.mark.parametrize("cosine", [-1.0, -0.5, 0.0, 0.9, 1.0])
def test_the_cosine_is_exact(cosine):
    result = Context(features=7, cosine=cosine).directions(0.3, np.random.default_rng(0))
    assert result.click @ result.conversion == pytest.approx(cosine, abs=1e-12)
    assert np.linalg.norm(result.click) == pytest.approx(1, abs=1e-12)
    assert np.linalg.norm(result.conversion) == pytest.approx(1, abs=1e-12)


def test_the_cosine_is_rho_unless_one_is_given():
    result = Context(features=7).directions(0.3, np.random.default_rng(0))
    assert result.click @ result.conversion == pytest.approx(0.3, abs=1e-12)


@pytest.mark.parametrize("sines", [0, 1, 4])
def test_waves_are_standardised(sines):
    """Against the integral of the formula in the docstring."""
    result = Context(features=2, sines=sines).directions(0.0, np.random.default_rng(0))

    def g(t):
        return t + sum(np.sin(j * t + (j - 1) ** 2) for j in range(1, sines + 1))

    mean = quad(lambda t: g(t) * norm.pdf(t), -10, 10, limit=200)[0]
    second = quad(lambda t: g(t) ** 2 * norm.pdf(t), -10, 10, limit=200)[0]
    assert result.centre == pytest.approx(mean, abs=1e-9)
    assert result.scale == pytest.approx(np.sqrt(second - mean**2), abs=1e-9)


def test_logits_are_those_of_the_formula():
    """From the log's own columns: ids' part from a scenario without, context's part by hand."""
    parameters = {"users": 60, "items": 40, "seed": 3, "click_slope": 1.3, "conversion_slope": 0.6}
    share, sines = 0.4, 2
    context = Context(features=5, share=share, cosine=-0.7, sines=sines)
    simulator = LogisticFunnel(**parameters, context=context)
    bare = LogisticFunnel(**parameters)
    log, truth = simulator.sample(2000, np.random.default_rng(0))
    impressions = bare._scenario.impressions.draw(1, np.random.default_rng(0))._replace(
        user=log["user_id"].to_numpy(), item=log["item_id"].to_numpy()
    )
    ids = bare._scenario.outcomes.logit_model.logits(impressions).scores
    w = context.directions(simulator.rho, np.random.default_rng([3, 3]))
    x = log[[f"context_{k}" for k in range(5)]].to_numpy()
    for p, z, along, slope in (
        (truth.pctr, ids[0], w.click, 1.3),
        (truth.pcvr, ids[1], w.conversion, 0.6),
    ):
        t = x @ along
        g = t + np.sin(t) + np.sin(2 * t + 1)
        expected = np.sqrt(1 - share) * z + np.sqrt(share) * (g - w.centre) / w.scale
        off = logit(p) - slope * expected
        assert np.ptp(off) <= 1e-9


@pytest.mark.parametrize("cosine", [None, -0.8])
def test_scores_have_the_stated_correlation(cosine):
    rho, share, rows = 0.6, 0.5, 200_000
    simulator = LogisticFunnel(
        users=2000, items=500, rho=rho, context=Context(4, share, cosine), seed=1
    )
    _, truth = simulator.sample(rows, np.random.default_rng(0))
    a, b = logit(truth.pctr), logit(truth.pcvr)
    expected = (1 - share) * rho + share * (rho if cosine is None else cosine)
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(expected, abs=5 * 2 / np.sqrt(rows))
    assert a.std() == pytest.approx(1, rel=0.02)
    assert b.std() == pytest.approx(1, rel=0.02)


def test_features_are_standard_normal_and_in_the_schema():
    simulator = LogisticFunnel(users=60, items=40, context=Context(features=3), seed=0)
    log, _ = simulator.sample(100_000, np.random.default_rng(0))
    names = ["context_0", "context_1", "context_2"]
    assert simulator.schema.dense == ("price", *names)
    covariance = np.cov(log[names].to_numpy().T)
    np.testing.assert_allclose(covariance, np.eye(3), atol=4.5 * np.sqrt(2 / 100_000))
    np.testing.assert_allclose(log[names].mean(), 0, atol=4.5 / np.sqrt(100_000))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"features": 1}, r"`context.features` must lie in \[2, 1000\], found 1"),
        ({"share": 1.1}, r"`context.share` must lie in \[0, 1\]"),
        ({"cosine": -1.01}, r"`context.cosine` must lie in \[-1, 1\]"),
        ({"sines": 21}, r"`context.sines` must lie in \[0, 20\]"),
        ({"sines": True}, "`context.sines` must be a whole number"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Context(**parameters)
