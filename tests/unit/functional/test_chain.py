"""Logits of products, mixtures and exclusive classes against 200 digits."""

import itertools

import numpy as np
import pytest
import torch
from mpmath import mp, mpf
from torch.nn.functional import logsigmoid

from mtl_seq.functional import logit_exclusive, logit_mixture, logit_product, promote

EXTREMES = (-700.0, -90.0, -36.5, -8.0, -1e-9, 0.0, 1e-9, 8.0, 36.5, 90.0, 700.0)
# A logit near 0 stands for a probability near one half, so below 1 the error is taken as absolute.
LIMIT = {torch.float64: 1e-12, torch.float32: 2e-6}


@pytest.fixture(autouse=True)
def _two_hundred_digits():
    # Enough although probabilities fall to 1e-1000 here: nothing below forms 1 - p.
    with mp.workdps(200):
        yield


def odds(z):
    """``(p, 1 - p)`` of a logit, both without cancellation."""
    z = mpf(float(z))
    return 1 / (1 + mp.exp(-z)), 1 / (1 + mp.exp(z))


def cases(arity, seed, random=60):
    """Every combination of extreme logits, thinned to a few hundred, and random ones beside."""
    generator = np.random.default_rng(seed)
    grid = np.array(list(itertools.product(EXTREMES, repeat=arity)))
    if len(grid) > 150:
        grid = grid[generator.choice(len(grid), 150, replace=False)]
    drawn = [generator.normal(scale=s, size=(random // 3, arity)) for s in (1, 10, 100)]
    return np.concatenate([grid, *drawn]).T


def assert_logits(found, expected):
    exact = np.array([float(value) for value in expected])
    error = np.abs(found.double().numpy() - exact) / np.maximum(1, np.abs(exact))
    assert found.shape == exact.shape
    assert error.max() <= LIMIT[found.dtype]


def columns(arity, seed, dtype):
    """The logits as tensors; the reference reads the rounded ones."""
    return [torch.tensor(column, dtype=dtype) for column in cases(arity, seed)]


@pytest.mark.parametrize("dtype", LIMIT)
def test_the_product_is_exact(dtype):
    a, b = columns(2, 0, dtype)
    expected = []
    for x, y in zip(a, b, strict=True):
        (p, not_p), (q, not_q) = odds(x), odds(y)
        expected.append(mp.log(p * q) - mp.log(not_p + p * not_q))
    assert_logits(logit_product(a, b), expected)


@pytest.mark.parametrize("dtype", LIMIT)
def test_folding_the_product_gives_a_chain_of_four(dtype):
    logits = columns(4, 1, dtype)
    found = logits[0]
    for logit in logits[1:]:
        found = logit_product(found, logit)
    expected = []
    for row in zip(*logits, strict=True):
        reached, missed = mpf(1), mpf(0)
        for p, not_p in map(odds, row):
            reached, missed = reached * p, missed + reached * not_p
        expected.append(mp.log(reached) - mp.log(missed))
    assert_logits(found, expected)


@pytest.mark.parametrize("dtype", LIMIT)
def test_the_mixture_of_two_ways_is_exact(dtype):
    way, first, second = columns(3, 2, dtype)
    expected = []
    for row in zip(way, first, second, strict=True):
        (w, not_w), (p, not_p), (q, not_q) = map(odds, row)
        expected.append(mp.log(w * p + not_w * q) - mp.log(w * not_p + not_w * not_q))
    found = logit_mixture((logsigmoid(way), logsigmoid(-way)), (first, second))
    assert_logits(found, expected)


@pytest.mark.parametrize("dtype", LIMIT)
def test_the_mixture_of_three_ways_is_exact(dtype):
    *classes, one, two, three = columns(5, 3, dtype)
    expected = []
    for a, b, *given in zip(*classes, one, two, three, strict=True):
        mass = [mp.exp(mpf(float(a))), mp.exp(mpf(float(b))), mpf(1)]
        pairs = [odds(z) for z in given]
        reached = sum(w * p for w, (p, _) in zip(mass, pairs, strict=True))
        missed = sum(w * p for w, (_, p) in zip(mass, pairs, strict=True))
        expected.append(mp.log(reached) - mp.log(missed))
    _, log_weights = logit_exclusive(torch.stack(classes, dim=1))
    assert_logits(logit_mixture(log_weights.unbind(1), (one, two, three)), expected)


@pytest.mark.parametrize("dtype", LIMIT)
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_exclusive_classes_are_exact(dtype, classes):
    logits = torch.stack(columns(classes, 4, dtype), dim=1)
    found, log_probabilities = logit_exclusive(logits)
    masses = [[*(mp.exp(mpf(float(z))) for z in row), mpf(1)] for row in logits]
    for j in range(classes):
        expected = [mp.log(m[j]) - mp.log(sum(m[:j]) + sum(m[j + 1 :])) for m in masses]
        assert_logits(found[:, j], expected)
    for j in range(classes + 1):
        assert_logits(log_probabilities[:, j], [mp.log(m[j] / sum(m)) for m in masses])


@pytest.mark.parametrize("dtype", LIMIT)
def test_one_class_beside_none_keeps_its_logit(dtype):
    logits = torch.tensor(EXTREMES, dtype=dtype).unsqueeze(1)
    torch.testing.assert_close(logit_exclusive(logits)[0], logits, rtol=0, atol=0)


def test_the_product_with_a_sure_event_is_the_other_event():
    a = torch.tensor(EXTREMES, dtype=torch.float64)
    sure = torch.full_like(a, torch.inf)
    torch.testing.assert_close(logit_product(a, sure), a, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_only_half_types_are_promoted(given, expected):
    logit = torch.tensor([-1.5, 0.0, 40.0], dtype=given)
    promoted = promote(logit)
    assert promoted.dtype == expected
    torch.testing.assert_close(promoted.double(), logit.double(), rtol=0, atol=0)
    assert (promoted is logit) == (given == expected)
