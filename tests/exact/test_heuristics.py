"""Where the heuristics of the ESMM paper lead: optima over the four outcomes, no sampling noise.

A table of cells, each with its own logits, can represent anything: a loss's optimum is where the
gradient of its expectation vanishes in every cell.
"""

from itertools import product

import numpy as np
import pytest
import torch

from mtl_seq import Funnel, FunnelLabels, losses
from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy, logit_product
from mtl_seq.nn import compose_conditionals

FUNNEL = Funnel.chain("click", "conversion")
CELLS = 60
RNG = np.random.default_rng(0)
P, Q = RNG.uniform(0.02, 0.6, CELLS), RNG.uniform(0.01, 0.5, CELLS)


def expected_gradient(loss, q, p=P):
    """Gradient of the expected mean by each cell's CVR logit, at pCVR = q and pCTR = p."""
    a = torch.tensor(np.log(p / (1 - p)))
    b = torch.tensor(np.log(q / (1 - q)), requires_grad=True)
    prediction = compose_conditionals(FUNNEL, torch.stack((a, b), dim=1), {})
    total = torch.zeros((), dtype=torch.float64)
    for o, r in product((0, 1), (0, 1)):
        chance = torch.tensor((P if o else 1 - P) * (Q if r else 1 - Q))
        column = torch.full((CELLS,), float(o))
        labels = FunnelLabels.of(click=column, conversion=column * r)
        total = total + (chance * loss(prediction, labels)).sum()
    (gradient,) = torch.autograd.grad(total, b)
    return gradient.numpy()


def odds_times(q, k):
    return k * q / (1 - q + k * q)


RATE, FACTOR = 0.2, 5.0
OPTIMA = {
    "naive": (losses.ClickSpace(), Q),
    "AMAN": (losses.AMAN(RATE), P * Q / (P + RATE * (1 - P))),
    "AMAN, every impression": (losses.AMAN(1.0), P * Q),
    "AMAN, corrected": (losses.AMAN(RATE, corrected=True), Q),
    "oversampling": (losses.Oversampling(FACTOR), odds_times(Q, FACTOR)),
    "oversampling, corrected": (losses.Oversampling(FACTOR, corrected=True), Q),
    "UNBIAS": (losses.Unbias(), Q),
}


@pytest.mark.parametrize("name", OPTIMA)
def test_the_optimum_is_the_one_stated(name):
    loss, optimum = OPTIMA[name]
    assert np.abs(expected_gradient(loss.eval(), optimum)).max() <= 1e-15
    # From either side the loss pulls towards it.
    assert (expected_gradient(loss, odds_times(optimum, 1.1)) > 1e-6).all()
    assert (expected_gradient(loss, odds_times(optimum, 0.9)) < -1e-6).all()


def scenario(seed=1, rows=512, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((rows, 2), generator=generator, dtype=torch.float64).to(dtype)
    click = (torch.rand(rows, generator=generator) < 0.3).float()
    conversion = click * (torch.rand(rows, generator=generator) < 0.3)
    return logits, FunnelLabels.of(click=click, conversion=conversion)


def predict(logits):
    return compose_conditionals(FUNNEL, logits, {})


def numpy_terms(name, logits, labels):
    """The formulas of the table of heuristics, from probabilities, in NumPy."""
    p, q = (1 / (1 + np.exp(-column)) for column in logits.double().numpy().T)
    o, r = labels.click.double().numpy(), labels.conversion.double().numpy()
    if name == "AMAN, corrected":
        q = p * q / (p + RATE * (1 - p))
    if name == "oversampling, corrected":
        q = odds_times(q, FACTOR)
    error = -(r * np.log(q) + (1 - r) * np.log(1 - q))
    if name.startswith("AMAN"):
        rate = 1.0 if "every" in name else RATE
        return np.where(o == 1, error, rate * error)
    if name.startswith("oversampling"):
        return o * np.where(r == 1, FACTOR, 1) * error
    if name == "UNBIAS":
        clicked = np.sort(p[o == 1])
        c = clicked[int(0.1 * (len(clicked) - 1))]
        return o * np.clip(c / p, 0, 1) * error
    return o * error


@pytest.mark.parametrize("name", OPTIMA)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_terms_are_those_of_the_formula(name, seed):
    logits, labels = scenario(seed, dtype=torch.float64)
    found = OPTIMA[name][0].eval()(predict(logits), labels).numpy()
    np.testing.assert_allclose(found, numpy_terms(name, logits, labels), rtol=1e-6, atol=1e-12)


def test_corrected_aman_on_every_impression_is_ctcvr_with_a_detached_pctr():
    logits, labels = scenario(dtype=torch.float64)
    found = losses.AMAN(1.0, corrected=True).eval()(predict(logits), labels)
    a, b = logits.unbind(1)
    expected = binary_cross_entropy(logit_product(a, b), labels.conversion.double())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("low", "high"), [(-200.0, -200.0), (-200.0, 200.0), (200.0, -200.0)])
def test_the_corrected_forms_are_finite_at_extreme_logits(low, high):
    logits = torch.tensor([[low, high]] * 3, requires_grad=True)
    stages = FunnelLabels(torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]))
    for loss in (losses.AMAN(0.1, corrected=True), losses.Oversampling(10, corrected=True)):
        terms = loss.eval()(predict(logits), stages)
        (gradient,) = torch.autograd.grad(terms.sum(), logits)
        assert torch.isfinite(terms).all()
        assert torch.isfinite(gradient).all()


DRAWN = {"AMAN": lambda: losses.AMAN(RATE, seed=3), "UNBIAS": lambda: losses.Unbias(seed=3)}


@pytest.mark.parametrize("name", DRAWN)
def test_draws_average_to_what_eval_mode_gives(name):
    logits, labels = scenario()
    prediction = predict(logits)
    loss = DRAWN[name]()
    drawn = torch.stack([loss(prediction, labels) for _ in range(2000)]).double()
    expected = loss.eval()(prediction, labels).double()
    # A term is the error times a coin.
    error = binary_cross_entropy(prediction.pcvr_logit, labels.conversion).double()
    chance = expected / error
    sigma = error * (chance * (1 - chance) / 2000).sqrt()
    assert ((drawn.mean(0) - expected).abs() <= 5 * sigma + 1e-6).all()
    assert set(torch.unique((drawn / error).round(decimals=5)).tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("name", DRAWN)
def test_one_seed_draws_the_same_rows_and_a_restored_state_goes_on(name):
    logits, labels = scenario()
    prediction = predict(logits)
    one, other = DRAWN[name](), DRAWN[name]()
    first, second = one(prediction, labels), one(prediction, labels)
    assert not torch.equal(first, second)
    before = torch.get_rng_state()
    assert torch.equal(other(prediction, labels), first)
    assert torch.equal(torch.get_rng_state(), before)
    resumed = DRAWN[name]()
    resumed.load_state_dict(other.state_dict())
    assert torch.equal(resumed(prediction, labels), second)


def test_unbias_reports_how_many_clicks_it_accepted():
    logits, labels = scenario(rows=4000)
    prediction = predict(logits)
    loss = losses.Unbias(quantile=0.1, seed=0)
    terms = [loss(prediction, labels) for _ in range(3)]
    assert int(loss.clicks) == 3 * int(labels.click.sum())
    assert int(loss.accepted) == sum(int((term > 0).sum()) for term in terms)
    chance = loss.chance(prediction, labels).double()
    sigma = float((3 * chance * (1 - chance)).sum().sqrt())
    assert abs(float(loss.accepted) - 3 * float(chance.sum())) <= 5 * sigma


def test_with_the_least_propensity_the_share_accepted_is_c_over_the_ctr():
    """``E[c / p | o = 1] = c / CTR`` where nothing is clipped, by enumeration."""
    p = torch.tensor(P)
    c = p.min()
    assert float((p * c / p).sum() / p.sum()) == pytest.approx(float(c / p.mean()), rel=1e-12)
    prediction = predict(torch.stack((torch.logit(p), torch.zeros_like(p)), dim=1))
    clicked = FunnelLabels.of(click=torch.ones(CELLS), conversion=torch.zeros(CELLS))
    chance = losses.Unbias(quantile=0.0).chance(prediction, clicked)
    torch.testing.assert_close(chance, c / p, rtol=1e-12, atol=0)


def test_unbias_takes_the_propensity_of_the_labels():
    logits, labels = scenario()
    logged = torch.linspace(0.05, 0.9, len(logits))
    loss = losses.Unbias(quantile=0.2)
    chance = loss.chance(predict(logits), labels._replace(propensity=logged))
    clicked = labels.click > 0
    constant = np.sort(logged[clicked].numpy())[int(0.2 * (int(clicked.sum()) - 1))]
    expected = np.clip(constant / logged.numpy(), 0, 1) * clicked.numpy()
    np.testing.assert_allclose(chance.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", [*DRAWN, "oversampling"])
def test_labels_of_rows_that_were_not_clicked_never_matter(name):
    logits, labels = scenario()
    stages = labels.stages.clone()
    stages[labels.click == 0, 1] = 1
    make = DRAWN.get(name, losses.Oversampling)
    found = make()(predict(logits), labels._replace(stages=stages))
    assert torch.equal(found, make()(predict(logits), labels))


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("name", [*DRAWN, "oversampling"])
def test_a_batch_without_clicks_trains_on(name, rows):
    logits = torch.zeros((rows, 2), requires_grad=True)
    labels = FunnelLabels(torch.zeros((rows, 2)))
    terms = DRAWN.get(name, losses.Oversampling)()(predict(logits), labels)
    assert terms.shape == (rows,)
    assert torch.isfinite(terms).all()
    terms.sum().backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.AMAN(0.0), r"`rate` must lie in \(0, 1\], found 0.0"),
        (lambda: losses.AMAN(1.5), r"`rate` must lie in \(0, 1\], found 1.5"),
        (lambda: losses.AMAN(float("nan")), "`rate`"),
        (lambda: losses.Oversampling(0.5), "`factor` must be at least 1 and finite, found 0.5"),
        (lambda: losses.Oversampling(float("inf")), "`factor`"),
        (lambda: losses.Unbias(1.0), r"`quantile` must lie in \[0, 1\), found 1.0"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(CompositionError, match=message):
        make()
