"""What weighting clicks by engagement does to calibration: optima over the outcomes, no noise."""

from itertools import product

import numpy as np
import pytest
import torch

from mtl_seq import Funnel, FunnelLabels, losses
from mtl_seq.errors import CompositionError
from mtl_seq.nn import compose_conditionals

FUNNEL = Funnel.chain("click", "conversion")
CELLS = 50
RNG = np.random.default_rng(3)
P, Q = RNG.uniform(0.01, 0.5, CELLS), RNG.uniform(0.01, 0.6, CELLS)
BETA = 6.0
K = 1 + BETA * Q
MEAN = P @ K / P.sum()


def outcomes(p=P, q=Q):
    """Every cell with every outcome, weighted by its chance."""
    rows = [
        (o, o * r, (p if o else 1 - p) * (q if r else 1 - q)) for o, r in product((0, 1), (0, 1))
    ]
    size = len(p)
    click, conversion = (
        torch.cat([torch.full((size,), float(row[i])) for row in rows]).double() for i in (0, 1)
    )
    chance = torch.from_numpy(np.concatenate([row[2] for row in rows]))
    return FunnelLabels.of(click=click, conversion=conversion, weight=chance), len(rows)


def expected_gradient(loss, odds, p=P, q=Q):
    """Gradient by each cell's score, where the score says `odds`."""
    labels, copies = outcomes(p, q)
    z = torch.tensor(np.log(odds), requires_grad=True)
    tiled = z.repeat(copies)
    prediction = compose_conditionals(FUNNEL, torch.stack((tiled, tiled), dim=1), {})
    prediction = prediction._replace(joint_logit={"click": tiled, "conversion": tiled})
    terms = loss(prediction, labels)
    (gradient,) = torch.autograd.grad((terms * labels.weight).sum(), z)
    return gradient.numpy()


def loss(scale):
    return losses.ReweightedClick({"conversion": BETA}, scale=scale)


ODDS = P / (1 - P)
OPTIMA = {"raw": ODDS * K, "normalised": ODDS * K / MEAN, "corrected": ODDS * K / MEAN}


@pytest.mark.parametrize("scale", OPTIMA)
def test_the_optimum_has_the_odds_of_the_click_times_the_mean_weight(scale):
    # FunnelLabels keeps float32: the mean weight is exact to that.
    assert np.abs(expected_gradient(loss(scale), OPTIMA[scale])).max() <= 1e-6
    assert (expected_gradient(loss(scale), 1.05 * OPTIMA[scale]) > 1e-5).all()
    assert (expected_gradient(loss(scale), 0.95 * OPTIMA[scale]) < -1e-5).all()


def pcoc(odds, p=P):
    """Predicted over observed clicks."""
    return float((odds / (1 + odds)).sum() / p.sum())


@pytest.mark.parametrize("ctr", [0.1, 0.01, 0.001])
@pytest.mark.parametrize("k", [1.5, 4.0])
def test_predicted_over_observed_clicks_is_k_at_a_low_ctr(ctr, k):
    """``k / (1 - p + k p)`` where p and k are the same everywhere."""
    p, q = np.full(3, ctr), np.full(3, (k - 1) / BETA)
    found = ctr / (1 - ctr) * k * np.ones(3)
    assert np.abs(expected_gradient(loss("raw"), found, p, q)).max() <= 1e-6 * ctr
    assert pcoc(found, p) == pytest.approx(k / (1 - ctr + k * ctr), rel=1e-12)
    assert abs(pcoc(found, p) / k - 1) < k * ctr
    scaled = ctr / (1 - ctr) * np.ones(3)
    for scale in ("normalised", "corrected"):
        assert np.abs(expected_gradient(loss(scale), scaled, p, q)).max() <= 1e-6 * ctr
    assert pcoc(scaled, p) == pytest.approx(1, rel=1e-12)


def test_scaling_corrects_the_average_but_not_the_cells():
    """At a CTR of about 1%: raw weights are off by k, scaled ones by k(x) / k cell by cell."""
    p = P / 20
    odds, mean = p / (1 - p), p @ K / p.sum()
    assert pcoc(odds * K, p) == pytest.approx(mean, rel=0.06)
    assert pcoc(odds * K / mean, p) == pytest.approx(1, abs=0.01)
    cells = (odds * K / mean) / odds
    assert np.abs(expected_gradient(loss("normalised"), odds * K / mean, p)).max() <= 1e-6
    assert cells.min() < 0.5 < 1.5 < cells.max()


@pytest.mark.parametrize("scale", OPTIMA)
@pytest.mark.parametrize("seed", [0, 1])
def test_terms_are_those_of_the_formula(scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((300, 3), generator=generator, dtype=torch.float64)
    chain = Funnel.chain("click", "cart", "order")
    click = (torch.rand(300, generator=generator) < 0.4).float()
    cart = click * (torch.rand(300, generator=generator) < 0.5)
    order = cart * (torch.rand(300, generator=generator) < 0.5)
    prediction = compose_conditionals(chain, logits, {})
    labels = FunnelLabels.of(click=click, cart=cart, order=order)
    found = losses.ReweightedClick(scale=scale).eval()(prediction, labels).numpy()
    o = click.numpy()
    w = 1 + cart.numpy() + order.numpy()  # click 1, cart 2, order 3
    k = w[o == 1].mean()
    z = prediction.joint_logit["order"].numpy() + (np.log(k) if scale == "corrected" else 0)
    error = np.logaddexp(0, -z) * o + np.logaddexp(0, z) * (1 - o)
    expected = w * error / np.where((o == 1) & (scale == "normalised"), k, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_mean_weight_is_that_of_all_clicks_so_far():
    one = loss("normalised")
    for clicks, conversions in ((4, 1), (6, 5)):
        click = (torch.arange(10) < clicks).float()
        conversion = (torch.arange(10) < conversions).float()
        prediction = compose_conditionals(FUNNEL, torch.zeros(10, 2), {})
        terms = one(prediction, FunnelLabels.of(click=click, conversion=conversion))
    assert (float(one.clicks), float(one.mass)) == (10, 10 + 6 * BETA)
    z = prediction.joint_logit["conversion"][0]
    expected = (1 + BETA) / (1 + 0.6 * BETA) * torch.nn.functional.softplus(-z)
    assert float(terms[0]) == pytest.approx(float(expected), rel=1e-6)
    again = loss("normalised")
    again.load_state_dict(one.state_dict())
    labels = FunnelLabels.of(click=click, conversion=conversion)
    assert torch.equal(again.eval()(prediction, labels), one.eval()(prediction, labels))


def test_a_batch_without_clicks_trains_on():
    logits = torch.zeros((4, 2), requires_grad=True)
    prediction = compose_conditionals(FUNNEL, logits, {})
    for scale in OPTIMA:
        terms = loss(scale)(prediction, FunnelLabels(torch.zeros(4, 2)))
        assert torch.isfinite(terms).all()
        assert (torch.autograd.grad(terms.sum(), logits, retain_graph=True)[0] > 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.ReweightedClick({"conversion": -1}), "at least 0 and finite, found -1"),
        (lambda: losses.ReweightedClick({"conversion": np.inf}), "at least 0 and finite"),
        (lambda: losses.ReweightedClick(scale="mean"), "found 'mean'"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(CompositionError, match=message):
        make()


def test_engagement_of_another_stage_is_refused():
    labels = FunnelLabels(torch.zeros(1, 2))
    with pytest.raises(CompositionError, match=r"stages after the click \('conversion',\)"):
        losses.ReweightedClick({"click": 1}).weight(labels, FUNNEL.names)
